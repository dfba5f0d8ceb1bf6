"""What the KPIs are: the catalogue for people, the semantic definitions for machines."""
