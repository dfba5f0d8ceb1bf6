"""The probability that an open promise to pay is kept."""
