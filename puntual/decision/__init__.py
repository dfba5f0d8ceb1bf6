"""Whom to contact today, how and by whom: rules, capacity, choice and assignment. Pure functions over frames."""
