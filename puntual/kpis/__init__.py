"""KPIs: the catalogue for people, the semantic definitions for machines, and what Python measures on models and decisions."""
