"""The tables that Python writes between the two stages of the dbt project; their columns are described there, once."""

from __future__ import annotations

from datetime import date
from functools import cache

import pandas as pd
import yaml

from puntual.decision.decide import DecisionOutcome
from puntual.paths import DBT_PROJECT
from puntual.warehouse import Warehouse

_DESCRIBED = DBT_PROJECT / "models" / "staging" / "_decided__sources.yml"

# A whole number or a truth value that may be missing; pandas would make a float or an object of it.
_NULLABLE = {"bigint": "Int64", "boolean": "boolean"}

DECIDED = {
    "decisions": ["customer_id"],
    "details": ["customer_id", "channel_code"],
    "prices": ["capacity_name"],
    "duty_alarms": ["customer_id", "rule_id", "due_on"],
    "second_contacts": ["customer_id"],
}
"""Tables of a decision that are published, with the order of their rows."""


@cache
def decided_columns(table: str) -> dict[str, str]:
    """SQL types of the columns of ``schema.name``, in their order."""
    sources = yaml.safe_load(_DESCRIBED.read_text(encoding="utf-8"))["sources"]
    tables = {f"{source['schema']}.{entry['name']}": entry for source in sources for entry in source["tables"]}
    return {column["name"]: column["data_type"] for column in tables[table]["columns"]}


def store_decided(warehouse: Warehouse, table: str, frame: pd.DataFrame, as_of: date) -> int:
    """Make the rows of ``as_of`` in ``table`` exactly ``frame``; returns their number.

    A column that is described since the table was made is added to it, empty for the days before.

    Raises:
        KeyError: the frame lacks a described column, or has one that is not described.
    """
    columns = decided_columns(table)
    if set(frame.columns) != set(columns):
        raise KeyError(f"{table}: described are {sorted(columns)}, written would be {sorted(frame.columns)}")
    _add_new_columns(warehouse, table, columns)
    typed = frame[list(columns)].astype({name: _NULLABLE[kind] for name, kind in columns.items() if kind in _NULLABLE})
    return warehouse.replace_slice(table, typed, as_of_date=as_of, types=columns)


def store_outcome(warehouse: Warehouse, outcome: DecisionOutcome, as_of: date) -> None:
    """Make the decision of ``as_of`` in the warehouse this one: the tables of :data:`DECIDED`."""
    for name in DECIDED:
        store_decided(warehouse, f"decisions.{name}", getattr(outcome, name), as_of)


def read_outcome(warehouse: Warehouse, as_of: date) -> dict[str, pd.DataFrame]:
    """The decision of ``as_of`` in the warehouse, as it is published: the tables of :data:`DECIDED`."""
    where = {"as_of_date": as_of}
    frames = {
        name: warehouse.read_table(f"decisions.{name}", where=where, order_by=order) for name, order in DECIDED.items()
    }
    for name in ("decisions", "second_contacts"):
        frames[name]["as_of_date"] = frames[name]["as_of_date"].dt.date
    return frames


def ensure_decided(warehouse: Warehouse, table: str) -> None:
    """The table with all its described columns, empty if it was not there: it is read before anything is decided."""
    columns = decided_columns(table)
    with warehouse.connection():
        _add_new_columns(warehouse, table, columns)
        warehouse.execute(f"create schema if not exists {table.split('.')[0]}")
        described = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        warehouse.execute(f"create table if not exists {table} ({described})")


def _add_new_columns(warehouse: Warehouse, table: str, columns: dict[str, str]) -> None:
    there = warehouse.read(
        "select column_name from information_schema.columns where table_schema = {} and table_name = {}",
        table.split("."),
    )["column_name"].tolist()
    for name in [name for name in columns if there and name not in there]:
        warehouse.execute(f"alter table {table} add column {name} {columns[name]}")
