"""What may enter the house: one machine-readable description of every landing table, and what is derived from it."""
