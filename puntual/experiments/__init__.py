"""Experiments: written as data before they begin, assigned by a hash, read at any time without being fooled."""
