"""Best channel: the extra money that a contact brings, per channel, against leaving the member alone."""
