"""Default risk: the calibrated probability that a loan reaches the past-due threshold within the horizon."""
