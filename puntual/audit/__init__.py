"""What was decided, kept so that it can be checked, explained and made again: log, archive, replay, why, what if."""
