"""What a run does, step by step, as plain functions of a Day. Knows no runner; the assets only call it."""
