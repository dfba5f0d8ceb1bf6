"""Expected recovery of a member over a horizon, with an interval, and of the portfolio."""
