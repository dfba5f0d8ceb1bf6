"""The door: reads what an institution hands over, checks every row against the contract and keeps it in raw."""
