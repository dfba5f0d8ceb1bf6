"""KPIs: the catalogue for people, definitions for machines, and what Python measures on models and decisions."""
