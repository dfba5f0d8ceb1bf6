"""A Power BI project made from what the warehouse and the KPI catalogue already say: nothing is defined here twice."""
