"""Segments as data: who belongs to which on a day, whether that is one each, and how members move between them."""
