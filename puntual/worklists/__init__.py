"""Filled work lists come back: read, judged row by row, recorded once, and handed to the next run as landing files."""
