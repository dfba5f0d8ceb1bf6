"""Derived from the contract, purely: validation suites, table definitions, dbt sources and the data dictionary.

Nothing here touches a database, a file or Great Expectations; the suites are plain data that
:mod:`puntual.landing.validate` gives to Great Expectations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import yaml

from puntual.contracts.schema import (
    EARLIEST_DATE,
    LATEST_DATE,
    LINEAGE,
    TIME_TYPES,
    ColumnContract,
    RowRule,
    TableContract,
)

RAW_SCHEMA = "raw"
CONTROL_SCHEMA = "control"

# Helper columns that the loader adds to the typed rows so that the suite can judge them.
UNREADABLE = "_unreadable"  # names of the columns whose text is not of the column's type
ORPHANED = "_orphaned"  # names of the columns that hold an unknown key of another table

SQL_TYPES: dict[str, str] = {
    "text": "text",
    "date": "date",
    "timestamp": "timestamp",
    "money": "numeric(14,2)",
    "unit_cost": "numeric(14,4)",
    "double": "double precision",
    "integer": "bigint",
    "boolean": "boolean",
}

LINEAGE_TYPES: dict[str, str] = {
    "_load_id": "bigint",
    "_loaded_at": "timestamp",
    "_source_file": "text",
    "_source_row": "bigint",
    "_row_digest": "text",
    "_is_deleted": "boolean",
}

_MEANING = {
    "text": "text",
    "date": "date",
    "timestamp": "timestamp (UTC, without zone)",
    "money": "decimal(14,2)",
    "unit_cost": "decimal(14,4)",
    "double": "number",
    "integer": "whole number",
    "boolean": "yes/no",
}


@dataclass(frozen=True)
class Expectation:
    """One expectation: Great Expectations' type and arguments, and the reason that a failing row is given.

    Attributes:
        reason: ``<rule>:<column or rule name>``; when it ends in ``:`` the names in the failing cell complete it.
        columns: columns that the expectation reads.
        beyond: reason instead of ``reason`` for a value above ``max_value``.
    """

    type: str
    kwargs: dict[str, Any]
    reason: str
    columns: tuple[str, ...]
    beyond: str | None = None


def rule_column(name: str) -> str:
    """Helper column with the calendar day that a row rule compares, when the table has no such column itself."""
    return f"_day_{name.replace('.', '__')}"


def rule_columns(table: TableContract, rule: RowRule) -> tuple[str, str]:
    """Columns, later and earlier, that the suite compares for a row rule."""

    def compared(name: str) -> str:
        if "." in name or table.column(name).type == "timestamp":
            return rule_column(name)
        return name

    return compared(rule.later), compared(rule.earlier)


def expectation_suite(
    table: TableContract, *, latest_day: date, latest_moment: datetime, without: Iterable[str] = ()
) -> list[Expectation]:
    """Everything that a row of ``table`` must meet, as few expectations as say it.

    Args:
        table: the table's contract.
        latest_day: last calendar day that a ``not_future`` date may have.
        latest_moment: last moment, UTC without zone, that a ``not_future`` timestamp may have.
        without: optional columns that were not delivered; nothing can be expected of them.
    """
    absent = set(without)
    suite = [_null_expected(UNREADABLE, "unreadable:")]
    if table.references:
        suite.append(_null_expected(ORPHANED, "orphan:"))
    for column in table.columns:
        if column.name not in absent:
            suite += _column_expectations(column, latest_day, latest_moment)
    for rule in table.row_rules:
        if rule.later in absent or rule.earlier in absent:
            continue
        later, earlier = rule_columns(table, rule)
        kwargs = {"column_A": later, "column_B": earlier, "or_equal": True, "ignore_row_if": "either_value_is_missing"}
        kind = "expect_column_pair_values_a_to_be_greater_than_b"
        suite.append(Expectation(kind, kwargs, f"rule:{rule.name}", (later, earlier)))
    return suite


def _null_expected(column: str, reason: str) -> Expectation:
    return Expectation("expect_column_values_to_be_null", {"column": column}, reason, (column,))


def _column_expectations(column: ColumnContract, latest_day: date, latest_moment: datetime) -> list[Expectation]:
    name = column.name
    found: list[Expectation] = []
    if column.required:
        found.append(Expectation("expect_column_values_to_not_be_null", {"column": name}, f"missing:{name}", (name,)))
    if column.values:
        kwargs: dict[str, Any] = {"column": name, "value_set": list(column.values)}
        found.append(Expectation("expect_column_values_to_be_in_set", kwargs, f"not_in_list:{name}", (name,)))
    if column.has_bounds:
        kwargs = {"column": name, "min_value": column.above if column.minimum is None else column.minimum}
        kwargs |= {"max_value": column.maximum, "strict_min": column.above is not None}
        found.append(Expectation("expect_column_values_to_be_between", kwargs, f"out_of_range:{name}", (name,)))
    if column.type in TIME_TYPES:
        found.append(_time_expectation(column, latest_day, latest_moment))
    return found


def _time_expectation(column: ColumnContract, latest_day: date, latest_moment: datetime) -> Expectation:
    first = datetime.combine(EARLIEST_DATE, datetime.min.time())
    last = datetime.combine(LATEST_DATE, datetime.max.time())
    if column.not_future:
        of_day = datetime.combine(latest_day, datetime.min.time())
        last = of_day if column.type == "date" else latest_moment
    kwargs = {"column": column.name, "min_value": first, "max_value": last}
    # One expectation covers both ends: each costs a pass over the rows. ``beyond`` names the upper one.
    beyond = f"in_the_future:{column.name}" if column.not_future else None
    reason = f"impossible_date:{column.name}"
    return Expectation("expect_column_values_to_be_between", kwargs, reason, (column.name,), beyond)


def latest_accepted(received_on: date) -> date:
    """Last local day that something that already happened may have: a day later than the reception.

    The day in between is for files of offices further east and for clocks that are wrong.
    """
    return received_on + timedelta(days=1)


# ------------------------------------------------------------------------------------------------ tables of raw


def raw_columns(table: TableContract) -> dict[str, str]:
    """Column to SQL type of the raw table, contract columns first; the types exist on DuckDB and PostgreSQL."""
    return {column.name: SQL_TYPES[column.type] for column in table.columns} | LINEAGE_TYPES


# ------------------------------------------------------------------------------------------------ dbt sources

GENERATED = "generated from puntual/contracts/tables/*.yml by puntual.contracts.generate; edit those, not this file"

_CONTROL_TABLES: list[dict[str, Any]] = [
    {
        "name": "run_parameters",
        "description": "What one run asks for, so that the text of the models never changes. One row.",
        "columns": [
            {"name": "as_of_date", "data_type": "date", "description": "Business date of the run."},
            {
                "name": "sample_below",
                "data_type": "text",
                "description": "A member is sampled for training when the first four hex digits of md5(customer_id) are"
                " below it: 'g' takes everyone, '' nobody.",
            },
            {
                "name": "is_full_build",
                "data_type": "boolean",
                "description": "Whether every table is built anew, not only what changed since the last finished run.",
            },
            {
                "name": "built_as_of_date",
                "data_type": "date",
                "description": "Business date of the last finished run; NULL when everything is built anew.",
            },
            {
                "name": "built_load_id",
                "data_type": "bigint",
                "description": "Newest load that the last finished run took in; NULL when everything is built anew.",
            },
            {
                "name": "history_start_date",
                "data_type": "date",
                "description": "First day of the oldest month that is kept.",
            },
            {"name": "load_id", "data_type": "bigint", "description": "Newest load that this run takes in."},
        ],
    },
    {
        "name": "as_of_dates",
        "description": "The dates for which as-of tables are built. One row per date.",
        "columns": [
            {"name": "as_of_date", "data_type": "date", "description": "The date."},
            {"name": "is_score", "data_type": "boolean", "description": "The run's own date; true once."},
            {"name": "is_month_end", "data_type": "boolean", "description": "Month end kept as history."},
            {"name": "is_week_end", "data_type": "boolean", "description": "Sunday kept as history."},
            {"name": "is_day", "data_type": "boolean", "description": "One of the last days, kept as history."},
            {"name": "is_risk_training", "data_type": "boolean", "description": "Training date of default risk."},
            {"name": "is_channel_training", "data_type": "boolean", "description": "Training date of best channel."},
            {
                "name": "is_built",
                "data_type": "boolean",
                "description": "Whether the last finished run left the loans of the date.",
            },
        ],
    },
]


# Written by the door itself, beside the tables of the contract.
_DOOR_TABLES: list[dict[str, Any]] = [
    {
        "name": "rejected_rows",
        "description": "Rows that broke the contract, whole, with their reasons. One row per load and rejected row.",
        "columns": [
            {"name": "load_id", "data_type": "bigint", "description": "Load that turned the row away."},
            {"name": "table_name", "data_type": "text", "description": "Landing table of the row."},
            {"name": "source_file", "data_type": "text", "description": "File that it came from."},
            {"name": "source_row", "data_type": "bigint", "description": "Row of that file, counted from 1."},
            {"name": "row_key", "data_type": "text", "description": "Values of the key, joined by |."},
            {"name": "reasons", "data_type": "text", "description": "Every reason, as a JSON list."},
            {
                "name": "row_json",
                "data_type": "text",
                "description": "The row as delivered, under the names of the file, as JSON.",
                "config": {"meta": {"pii": "direct"}},
            },
            {"name": "loaded_at", "data_type": "timestamp", "description": "When that load ran, UTC."},
        ],
    },
]


def dbt_sources(contract: dict[str, TableContract]) -> str:
    """Text of ``_raw__sources.yml``: the sources ``raw`` (every landing table, with lineage, and the rejected rows)
    and ``control``.
    """
    raw = {
        "name": RAW_SCHEMA,
        "schema": RAW_SCHEMA,
        "description": "Every accepted row of every load, append only. The newest version of a key (highest _load_id,"
        " then _source_row) counts, unless it is a deleted one.",
        "tables": [*(_source_table(contract[name]) for name in sorted(contract)), *_DOOR_TABLES],
    }
    control = {
        "name": CONTROL_SCHEMA,
        "schema": CONTROL_SCHEMA,
        "description": "Parameters of the run, written before the models are built.",
        "tables": _CONTROL_TABLES,
    }
    text = yaml.safe_dump({"version": 2, "sources": [raw, control]}, sort_keys=False, allow_unicode=True, width=110)
    return f"# {GENERATED}\n{text}"


def _source_table(table: TableContract) -> dict[str, Any]:
    columns = []
    for column in table.columns:
        entry: dict[str, Any] = {"name": column.name, "data_type": SQL_TYPES[column.type]}
        entry["description"] = column.description
        if column.pii != "none":
            entry["config"] = {"meta": {"pii": column.pii}}
        columns.append(entry)
    for name, description in LINEAGE.items():
        columns.append({"name": name, "data_type": LINEAGE_TYPES[name], "description": description})
    grain = f"{table.grain[:-1]} and version."
    return {"name": table.table, "description": f"{table.description} {grain}", "columns": columns}


# ------------------------------------------------------------------------------------------------ data dictionary


def data_dictionary(contract: dict[str, TableContract]) -> str:
    """Text of ``docs/data_dictionary.md``: what an institution hands over, table by table."""
    lines = [
        f"<!-- {GENERATED} -->",
        "",
        "# Data dictionary of the landing tables",
        "",
        "Canonical files are Parquet or CSV: `<table>.parquet`, `<table>.csv`, `<table>.csv.gz`, or a folder `<table>/`"
        " of several. Keys are text; a missing value is NULL; timestamps without a zone are read in the institution's"
        " zone. A required column must be in the file and have a value in every row.",
        "",
        "| Table | Required | Rows | Without it |",
        "|---|---|---|---|",
    ]
    for name in sorted(contract):
        table = contract[name]
        required = "yes" if table.required else "no"
        lines.append(f"| [{name}](#{name}) | {required} | {table.grain} | {table.without_it or 'The run stops.'} |")
    for name in sorted(contract):
        lines += _dictionary_section(contract[name])
    return "\n".join(lines) + "\n"


def _dictionary_section(table: TableContract) -> list[str]:
    lines = ["", f"## {table.table}", "", f"{table.description} {table.grain} Key: {', '.join(table.key)}.", ""]
    lines += ["| Column | Type | Required | Personal | Meaning | Accepted |", "|---|---|---|---|---|---|"]
    for column in table.columns:
        required = "yes" if column.required else ""
        pii = "" if column.pii == "none" else column.pii
        cells = [column.name, _MEANING[column.type], required, pii, column.description, _accepted(column)]
        lines.append("| " + " | ".join(cells) + " |")
    if table.row_rules:
        lines += [""] + [f"- `{rule.name}`: {rule.description}" for rule in table.row_rules]
    return lines


def _accepted(column: ColumnContract) -> str:
    parts = []
    if column.values:
        parts.append(", ".join(f"`{value}`" for value in column.values))
    if column.references:
        parts.append(f"a key of {column.references}")
    if column.above is not None:
        parts.append(f"> {column.above:g}")
    if column.minimum is not None:
        parts.append(f">= {column.minimum:g}")
    if column.maximum is not None:
        parts.append(f"<= {column.maximum:g}")
    if column.not_future:
        parts.append("not in the future")
    return "; ".join(parts)
