<<<<<<< HEAD
"""What the KPIs are: the catalogue for people, the semantic definitions for machines."""
=======
"""KPIs that are no sums: what Python measures on models and decisions. Frames in, rows of the long table out."""
>>>>>>> 759c787 (What Python measures on models and decisions: recovery against expectation, collectors, lists, rules, drift, freshness)
