"""How fresh and how clean the data of the date are (K95)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pandas as pd

from puntual.kpis.values import KpiValues


def freshness(values: KpiValues, newest: Mapping[str, date | None]) -> None:
    """K95: days between the newest event of each delivered table and the date; the total is the oldest of them.

    A table that was never delivered is not there.
    """
    ages = {table: (values.as_of - day).days for table, day in newest.items() if day is not None}
    if not ages:
        values.off("K95", "No se entregó ninguna tabla con fechas.", "No table with dates was delivered.")
        return
    values.add("K95", float(max(ages.values())))
    for table, age in sorted(ages.items()):
        values.add("K95", float(age), detail=table)


def rejected_rows(values: KpiValues, loads: pd.DataFrame) -> None:
    """K95_REJECTED: rows that the contract refused over rows delivered, in total and by table.

    ``loads`` has table_name, row_count, rejected_count and superseded_count of the files in force; rows that only gave
    way to a newer version of their key are no failure.
    """
    if loads.empty:
        values.off("K95_REJECTED", "No se leyó ningún archivo.", "No file was read.")
        return
    frame = loads.assign(refused=loads["rejected_count"] - loads["superseded_count"].fillna(0))
    values.add("K95_REJECTED", float(frame["refused"].sum()), float(frame["row_count"].sum()))
    for table, rows in frame.groupby("table_name", sort=True):
        values.add("K95_REJECTED", float(rows["refused"].sum()), float(rows["row_count"].sum()), detail=str(table))
