"""The only code that opens DuckDB or PostgreSQL. One writer at a time; everything else asks this package."""

from puntual.warehouse.connect import Warehouse

__all__ = ["Warehouse"]
