"""Everything that the date brought, in one folder: decisions, scores, lists, campaigns and the tables for BI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.hours.card import render as reach_page
from pipelines.day import Day
from pipelines.dbt import Dbt
from pipelines.steps.campaigning import held_back, published_campaigns
from pipelines.steps.champions import CHANNEL_MODEL, PROMISE_MODEL, RECOVERY_MODEL, RISK_MODEL, champion_row
from pipelines.steps.decided import read_outcome
from pipelines.steps.judging import judge_written
from pipelines.steps.learning import models_off
from pipelines.steps.lists import reason_texts, write_lists
from pipelines.steps.routes import route_figures
from pipelines.steps.tables import ordered, published_tables
from pipelines.steps.training_rows import publish_training_rows
from puntual.audit.chain import AuditLog
from puntual.audit.record import Record
from puntual.audit.recorded import RecordingWarehouse
from puntual.decision.duty_alarms import alarm_lines
from puntual.lists.files import keep_private
from puntual.publish import publish
from puntual.snapshot import SCREEN_LIST, SCREEN_ROUTES, SCREEN_STOPS
from puntual.warehouse.connect import without_progress_bar
from puntual.warehouse.serving import PublishedTable, staged_publication

SCHEMA_VERSION = 2
_SERVED_PUBLICATIONS = 2
"""How many publications a PostgreSQL warehouse keeps at most: the files of the snapshots are the longer memory."""

DECISIONS = pa.schema(
    [
        ("as_of_date", pa.date32()),
        ("customer_id", pa.string()),
        ("loan_id", pa.string()),
        ("action", pa.string()),
        ("eligible", pa.bool_()),
        ("blocked_by", pa.string()),
        ("window_start", pa.timestamp("us", tz="UTC")),
        ("window_end", pa.timestamp("us", tz="UTC")),
        ("collector_id", pa.string()),
        ("rank", pa.int64()),
        ("arrears_amount", pa.float64()),
        ("past_due_days", pa.int64()),
        ("default_probability", pa.float64()),
        ("expected_gain_amount", pa.float64()),
        ("provision_avoided_amount", pa.float64()),
        ("fee_amount", pa.float64()),
        ("chargeable_fee_amount", pa.float64()),
        ("contact_cost_amount", pa.float64()),
        ("value_amount", pa.float64()),
        ("propensity", pa.float64()),
        ("is_exploration", pa.bool_()),
        ("reason_codes", pa.string()),
        ("experiment_id", pa.string()),
        ("arm_code", pa.string()),
        ("duties", pa.string()),
    ]
)
"""One row per eligible member; times in UTC, money in the institution's currency, lists as JSON text.

``arrears_amount`` (sum) and ``past_due_days`` (maximum) are the member's over all loans, and ``default_probability`` is
that of the worst of them; ``loan_id`` is the member's main loan, the one with the largest arrears.
"""

DEFAULT_RISK = pa.schema(
    [
        ("as_of_date", pa.date32()),
        ("loan_id", pa.string()),
        ("default_probability", pa.float64()),
        ("early_warning_probability", pa.float64()),
        ("model_version", pa.string()),
    ]
)
"""One row per open loan."""

DUTY_ALARMS = pa.schema(
    [
        ("as_of_date", pa.date32()),
        ("customer_id", pa.string()),
        ("rule_id", pa.string()),
        ("sources", pa.string()),
        ("due_date", pa.date32()),
        ("due_on", pa.date32()),
        ("state_code", pa.string()),
        ("severity", pa.string()),
        ("blocked_by", pa.string()),
    ]
)
"""One row per member, rule and due date whose duty to contact is overdue or cannot be met."""

OUTLOOK = {
    "promise_scores": ["promise_id"],
    "recovery_scores": ["customer_id"],
    "recovery_totals": ["grain_code", "branch_id", "segment_code"],
    "reach_hours": ["channel_code", "segment", "weekday", "hour"],
}
"""Tables of what is likely to come in and when people answer, with their key."""


def publish_day(day: Day) -> dict[str, Any]:
    """Write, check and flip to the snapshot of the date.

    Raises:
        PublishError: the disk refused, a file is missing, or the lists are not what was decided and permitted; the
            previous snapshot stands.
    """
    day.require_built()
    tables = published_tables(Dbt.of_day(day).manifest())
    record = Record.of(day.home, day.settings, day.as_of, day.run_id)
    publication = publish(
        day.home,
        day.as_of,
        lambda folder: _fill(day, tables, folder, record),
        run_id=day.run_id,
        keep=day.settings.publish.keep_snapshots,
        together_with=lambda name: _visible(day, tables, name, record),
    )
    return {
        "folder": str(publication.snapshot.folder),
        "is_new": publication.is_new,
        "is_current": publication.is_current,
        "files": len(publication.snapshot.manifest["files"]),
        "log_entry": AuditLog(day.home).in_force(day.as_of).sequence,
    }


@contextmanager
def _visible(day: Day, tables: dict[str, PublishedTable], name: str, record: Record) -> Iterator[None]:
    """What else happens in the moment when the snapshot becomes visible: the log's entry and the schema ``bi``."""
    with record.committed(name), _served(day, tables, name):
        yield


@contextmanager
def _served(day: Day, tables: dict[str, PublishedTable], content_name: str) -> Iterator[None]:
    """The same tables as the schema ``bi`` of a PostgreSQL warehouse, in whose change of names the block takes part."""
    if day.warehouse.kind == "duckdb":
        yield
        return
    with staged_publication(
        day.warehouse,
        tables,
        day.as_of,
        content_name,
        run_id=day.run_id,
        schema_version=SCHEMA_VERSION,
        keep=min(day.settings.publish.keep_snapshots, _SERVED_PUBLICATIONS),
    ):
        yield


def write_decision(day: Day, folder: Path, decided: dict[str, pd.DataFrame]) -> dict[str, int]:
    """Write the decision of the date and its lists into ``folder``; returns row counts.

    A replay makes these files again: whatever they read goes through ``day.warehouse``, ``day.settings`` or the home's
    own policies, for nothing else is archived.
    """
    lists = write_lists(day, folder, decided["decisions"], decided["details"], decided["second_contacts"])
    return {
        "decisions": write_parquet(decided["decisions"], folder / "decisions.parquet", DECISIONS),
        "decision_details": write_parquet(decided["details"], folder / "decision_details.parquet", None),
        "prices": write_parquet(decided["prices"], folder / "prices.parquet", None),
        "duty_alarms": write_parquet(decided["duty_alarms"], folder / "duty_alarms.parquet", DUTY_ALARMS),
        "worklist": write_parquet(lists.worklist, keep_private(folder / SCREEN_LIST), None),
        "routes": write_parquet(lists.routes, keep_private(folder / SCREEN_ROUTES), None),
        "route_stops": write_parquet(lists.route_stops, keep_private(folder / SCREEN_STOPS), None),
    }


def _fill(day: Day, tables: dict[str, PublishedTable], folder: Path, record: Record) -> dict[str, Any]:
    warehouse = day.warehouse
    where = {"as_of_date": day.as_of}
    with warehouse.connection():
        decided = read_outcome(warehouse, day.as_of)
        decisions = decided["decisions"]
        listening = RecordingWarehouse.of(warehouse)
        with record.made_again(folder):
            counts = write_decision(replace(day, warehouse=listening), folder, decided)
        summary = json.loads(warehouse.read_table("decisions.summaries", where=where)["summary"].iloc[0])
        judge_written(day, folder, decided, summary)
        channel_scores = warehouse.read_table(
            "ml.channel_scores", where=where, order_by=["customer_id", "channel_code"]
        )
        default_risk = warehouse.read_table("ml.default_risk_scores", where=where, order_by=["loan_id"])
        running = warehouse.read_table("decisions.experiments", where=where, order_by=["experiment_id"])
        experiments = {
            row["experiment_id"]: {"fingerprint": row["fingerprint"], "end_date": row["end_date"].date().isoformat()}
            for row in running.to_dict("records")
        }
        risk_reasons = warehouse.read_table("ml.default_risk_reasons", where=where, order_by=["loan_id"])
        for name, frame, schema in (
            ("default_risk", default_risk, DEFAULT_RISK),
            ("default_risk_reasons", risk_reasons, None),
            ("channel_scores", channel_scores, None),
            *(
                (name, warehouse.read_table(f"ml.{name}", where=where, order_by=key), None)
                for name, key in OUTLOOK.items()
            ),
        ):
            counts[name] = write_parquet(frame, folder / f"{name}.parquet", schema)
        for name, table in tables.items():
            counts[name] = warehouse.export_parquet(ordered(table), folder / "bi" / f"{name}.parquet")
        reach = warehouse.read_table("ml.reach_hours", where=where, order_by=OUTLOOK["reach_hours"])
        (folder / "reach_hours.html").write_text(reach_page(reach, day.as_of), encoding="utf-8")
        campaigns = published_campaigns(day)
        alarms = _model_alarms(day)
        figures = _portfolio_figures(day)
        models = _models(day)
        members = warehouse.read_table("decisions.campaign_members", where=where, order_by=["customer_id"])
        record.gather(decided, summary, models, reason_texts(), listening.answers, members)
        loads = _input_digests(day)
    _write_database(folder)
    publish_training_rows(day, folder)
    institution = day.settings.institution
    return {
        "schema_version": SCHEMA_VERSION,
        "as_of_date": day.as_of.isoformat(),
        "run_id": day.run_id,
        "log": record.before(),
        "institution": institution.model_dump(),
        "input_digests": loads,
        "models": models,
        "model_versions": {name: entry["version"] for name, entry in models.items()},
        "channel_model": {
            name: models[CHANNEL_MODEL][name]
            for name in ("status", "reason", "reason_es")
            if name in models[CHANNEL_MODEL]
        },
        "model_alarms": alarms,
        "duty_alarms": alarm_lines(decided["duty_alarms"]),
        "plan_warnings": summary.get("warnings", []),
        "rule_versions": summary.get("rule_versions", {}),
        "rule_readings": summary.get("rule_readings", {}),
        "rules_not_enforced": summary.get("rules_not_enforced", []),
        "experiments": experiments,
        **campaigns,
        "row_counts": counts,
        "summary": {
            **figures,
            **_decision_figures(day, decisions, decided["second_contacts"], channel_scores, summary),
            "assignment": summary.get("assignment"),
            "routes": route_figures(folder),
        },
    }


def write_parquet(frame: pd.DataFrame, file: Path, schema: pa.Schema | None) -> int:
    """Write a frame, with ``schema`` when given (its columns, in its order); the same rows give the same bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if schema is not None:
        columns = [
            pa.array(_plain(frame[field.name], field.type), type=field.type, from_pandas=True) for field in schema
        ]
        table = pa.Table.from_arrays(columns, schema=schema)
    else:
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, file, compression="zstd")
    return table.num_rows


def _plain(values: pd.Series, kind: pa.DataType) -> Any:
    if pa.types.is_date(kind):
        return pd.to_datetime(values).dt.date
    if pa.types.is_timestamp(kind):
        return pd.to_datetime(values, utc=True)
    if pa.types.is_integer(kind):
        return values.astype("Int64")
    return values


def _write_database(folder: Path) -> None:
    """The same tables in one DuckDB file, for tools that would rather open a database; no work list is among them."""
    with duckdb.connect(
        str(folder / "published.duckdb"), config={"storage_compatibility_version": "v1.5.0"}
    ) as connection:
        without_progress_bar(connection)
        files = [*sorted((folder / "bi").glob("*.parquet")), *sorted(folder.glob("*.parquet"))]
        for file in files:
            source = str(file).replace("'", "''")
            connection.execute(f"create table {file.stem} as select * from read_parquet('{source}')")


def _portfolio_figures(day: Day) -> dict[str, Any]:
    row = day.warehouse.read(
        "select count(distinct case when past_due_days > 0 then customer_id end) as members_in_arrears,"
        " sum(arrears_amount) as arrears_amount, sum(outstanding_principal_amount) as outstanding,"
        " sum(case when past_due_days > 30 then outstanding_principal_amount else 0 end) as outstanding_over_30"
        " from marts.fct_loan_as_of where as_of_date = {} and loan_status_code = 'active'",
        [day.as_of],
    ).iloc[0]
    outstanding = float(row["outstanding"]) if pd.notna(row["outstanding"]) else 0.0
    return {
        "members_in_arrears": int(row["members_in_arrears"]),
        "arrears_amount": round(float(row["arrears_amount"]) if pd.notna(row["arrears_amount"]) else 0.0, 2),
        "outstanding_principal_amount": round(outstanding, 2),
        "par30_rate": float(row["outstanding_over_30"]) / outstanding if outstanding > 0 else None,
    }


_PARTS_OF_THE_PLAN = (
    "provision_avoided_amount",
    "fee_amount",
    "duty_owed_count",
    "duty_served_count",
    "duty_last_chance_missed_count",
    "duty_overdue_count",
    "duty_alarm_count",
    "kept_from_before_count",
    "left_from_before_count",
    "second_contact_count",
    "second_contacts_by_channel",
    "second_value_amount",
    "second_cost_amount",
    "second_most_lost_amount",
)


def _decision_figures(
    day: Day,
    decisions: pd.DataFrame,
    second: pd.DataFrame,
    channel_scores: pd.DataFrame,
    summary: dict[str, Any],
) -> dict[str, Any]:
    """What the day should bring, and how far the plan may be from the best one.

    ``contacts_by_channel`` and the amounts are of the contacts that go out; messages that were chosen and that a
    campaign holds back are in ``held_back_by_channel`` and ``held_back_cost_amount``, second ones in
    ``second_held_back_count`` (and still in the ``second_…`` figures, which are the plan's).

    Expected recovery is what members would pay when left alone, plus what the chosen contacts should add.
    ``chosen_net_amount`` is the gain of every contact that goes out less its cost, drawn ones included; a contact whose
    gain nobody estimated only costs. ``planned_value_amount``, ``dual_bound_amount`` and ``gap_rate`` are about the
    plan alone: the members who were not drawn for exploration, served with the capacity that the drawn ones left. No
    plan for those members is worth more than the bound; the net amount of all contacts can be.
    """
    kept = pd.MultiIndex.from_frame(held_back(day).astype(object))

    def is_held(contacts: pd.DataFrame) -> pd.Series:
        keys = pd.MultiIndex.from_frame(contacts[["customer_id", "action"]].astype(object))
        return pd.Series(keys.isin(kept), index=contacts.index)

    chosen = decisions[decisions["action"] != "none"]
    held, chosen = chosen[is_held(chosen)], chosen[~is_held(chosen)]
    cost = float(chosen["contact_cost_amount"].sum())
    recovery = gain = net = None
    if not channel_scores.empty:
        alone = channel_scores.drop_duplicates("customer_id")
        gain = round(float(chosen["expected_gain_amount"].sum()), 2)
        net = round(float(chosen["expected_gain_amount"].sum()) - cost, 2)
        recovery = round(float((alone["pay_probability"] * alone["expected_amount"]).sum()) + gain, 2)
    return {
        "members_considered": len(decisions),
        "contacts_by_channel": {name: int((chosen["action"] == name).sum()) for name in day.settings.channels},
        "contact_cost_amount": round(cost, 2),
        "held_back_by_channel": {name: int(count) for name, count in sorted(held["action"].value_counts().items())},
        "held_back_cost_amount": round(float(held["contact_cost_amount"].sum()), 2),
        "second_held_back_count": int(is_held(second).sum()) if len(second) else 0,
        "expected_gain_amount": gain,
        "expected_recovery_amount": recovery,
        "chosen_net_amount": net,
        "planned_value_amount": summary["planned_value_amount"],
        "dual_bound_amount": summary["dual_bound_amount"],
        "gap_rate": summary["gap_rate"],
        **{name: summary[name] for name in _PARTS_OF_THE_PLAN if name in summary},
        "explored_count": summary["explored_count"],
        "response_window_days": day.settings.decision.response_window_days,
    }


def _models(day: Day) -> dict[str, dict[str, Any]]:
    entries, reasons_off = {}, models_off(day)
    for name in (RISK_MODEL, CHANNEL_MODEL, PROMISE_MODEL, RECOVERY_MODEL):
        row = champion_row(day, name)
        if row is None:
            why = reasons_off.get(name, {"reason": "no model was trained", "reason_es": "no se entrenó ningún modelo"})
            entries[name] = {"status": "off", "version": None, **why}
        else:
            entries[name] = {
                "status": "on",
                "version": row["version"],
                "trained_as_of": row["trained_as_of"],
                "reason": row["reason"],
            }
    return entries


def _model_alarms(day: Day) -> list[dict[str, Any]]:
    """Measures of the models beyond their limits, alarms before warnings, each with what to do in both languages."""
    order = ["severity", "model_name", "target_code", "measure_code", "detail_code"]
    rows = day.warehouse.read_table("measured.model_alarms", where={"as_of_date": day.as_of}, order_by=order)
    return [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in rows.drop(columns=["as_of_date", "is_retraining"]).to_dict("records")
    ]


def _input_digests(day: Day) -> dict[str, str]:
    rows = day.warehouse.read(
        "select file_name, file_sha256 from raw.loads where load_id in"
        " (select max(load_id) from raw.loads group by file_name) order by file_name"
    )
    return dict(zip(rows["file_name"], rows["file_sha256"], strict=True))
