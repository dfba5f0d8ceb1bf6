"""The schema ``control``: what the run asks of dbt, and what the last finished one left built."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from pipelines.day import Day
from pipelines.steps.decided import ensure_decided

_TABLES = {
    "run_parameters": {
        "as_of_date": "date",
        "sample_below": "text",
        "is_full_build": "boolean",
        "built_as_of_date": "date",
        "built_load_id": "bigint",
        "history_start_date": "date",
        "load_id": "bigint",
    },
    "as_of_dates": {
        "as_of_date": "date",
        "is_score": "boolean",
        "is_month_end": "boolean",
        "is_week_end": "boolean",
        "is_day": "boolean",
        "is_risk_training": "boolean",
        "is_channel_training": "boolean",
        "is_built": "boolean",
    },
    "built": {"as_of_date": "date", "load_id": "bigint", "digest": "text"},
    "built_dates": {"as_of_date": "date"},
    "finished_stages": {"stage": "text", "digest": "text"},
}
STAGES = ("transform", "report")


@dataclass(frozen=True)
class Built:
    """What the tables of the warehouse are true for.

    Attributes:
        as_of: business date of the last run whose every dbt stage succeeded.
        load_id: newest load that it took in.
        dates: dates whose rows the as-of tables hold.
    """

    as_of: date
    load_id: int
    dates: frozenset[date]


def last_build(day: Day, digest: str) -> Built | None:
    """The build that the run may add to; None when everything must be built anew.

    Everything: nothing was built yet, it was asked for, the project, its variables or the warehouse changed, or a later
    date was built or begun. What an unfinished run left behind is recomputed from the last finished one, so only a
    later date in it does harm.
    """
    _ensure_tables(day)
    read = day.warehouse.read_table
    built, begun = read("control.built"), read("control.run_parameters", ["as_of_date"])
    if day.full_refresh or built.empty or built["digest"].iloc[0] != digest:
        return None
    latest = max(value.date() for value in [*built["as_of_date"], *begun["as_of_date"]])
    if latest > day.as_of:
        return None
    dates = frozenset(value.date() for value in read("control.built_dates")["as_of_date"])
    return Built(built["as_of_date"].iloc[0].date(), int(built["load_id"].iloc[0]), dates)


def newest_load(day: Day) -> int:
    """The newest load of the raw tables."""
    return int(day.warehouse.read("select coalesce(max(load_id), 0) as load_id from raw.loads")["load_id"].iloc[0])


def write_control(day: Day, parameters: dict[str, Any], dates: pd.DataFrame, built: Built | None) -> None:
    """Put down what this run builds; all tables or none. Without a build to add to, the old one no longer counts."""
    kept = [] if built is None else sorted(built.dates & set(dates["as_of_date"]))
    with day.warehouse.connection():
        _ensure_tables(day)
        if built is None:
            day.warehouse.execute("delete from control.built")
        day.warehouse.execute("delete from control.finished_stages")
        day.warehouse.replace_table("control.run_parameters", pd.DataFrame([parameters]).astype(object))
        day.warehouse.replace_table("control.as_of_dates", dates)
        # A date that falls out of the history now is not there any more when it comes back.
        day.warehouse.replace_table("control.built_dates", pd.DataFrame({"as_of_date": kept}, dtype=object))


def asks_full_build(day: Day) -> bool:
    """Whether the planned run builds every table anew."""
    return bool(day.warehouse.read_table("control.run_parameters", ["is_full_build"])["is_full_build"].iloc[0])


def finish_stage(day: Day, stage: str, digest: str) -> None:
    """Note that every model and test of a dbt stage succeeded; after the last stage the build counts for the next run.

    Any crash before that leaves the older build standing: the next run recomputes what the two differ in, and more.
    """
    with day.warehouse.connection():
        finished = set(day.warehouse.read_table("control.finished_stages", ["stage"], {"digest": digest})["stage"])
        if stage not in finished:
            day.warehouse.append("control.finished_stages", pd.DataFrame({"stage": [stage], "digest": [digest]}))
        if not finished | {stage} >= set(STAGES):
            return
        run = day.warehouse.read_table("control.run_parameters", ["as_of_date", "load_id"])
        day.warehouse.replace_table(
            "control.built",
            pd.DataFrame(
                {"as_of_date": [run["as_of_date"].iloc[0].date()], "load_id": run["load_id"], "digest": [digest]}
            ),
        )
        dates = day.warehouse.read(
            "select as_of_date from control.as_of_dates where is_score or is_month_end or is_week_end or is_day"
        )
        day.warehouse.replace_table(
            "control.built_dates", pd.DataFrame({"as_of_date": [value.date() for value in dates["as_of_date"]]})
        )


def _ensure_tables(day: Day) -> None:
    """The tables with their types, so that a column that is empty today has one; tables of an older shape make way."""
    with day.warehouse.connection():
        day.warehouse.execute("create schema if not exists control")
        for name, columns in _TABLES.items():
            found = day.warehouse.read(
                "select column_name from information_schema.columns where table_schema = {} and table_name = {}",
                ["control", name],
            )["column_name"]
            if not found.empty and set(found) != set(columns):
                day.warehouse.execute(f"drop table control.{name}")
            described = ", ".join(f"{column} {kind}" for column, kind in columns.items())
            day.warehouse.execute(f"create table if not exists control.{name} ({described})")
        for table in ("decisions.decisions", "decisions.summaries"):
            ensure_decided(day.warehouse, table)
