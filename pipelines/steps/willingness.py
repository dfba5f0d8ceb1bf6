"""Follows the members' willingness and contacts: fitted when a model that reads them is due, else with what it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pandas as pd

from models.datasets import sample_threshold
from models.provenance import label_definition
from models.willingness.climate import TABLE as CLIMATE
from models.willingness.model import WillingnessModel
from models.willingness.panel import COLUMNS, TABLE, WEEK_DAYS, WeeklyPanel, weekly_panel
from models.willingness.record import TABLE as CONTACTS
from models.willingness.record import WeeklyContacts, weekly_contacts
from models.willingness.train import SAMPLE_MEMBERS, fit, why_off
from pipelines.day import Day
from pipelines.dbt import dbt_vars
from pipelines.steps.arm_plans import models_of_arms
from pipelines.steps.champions import FOLLOWING, WILLINGNESS_MODEL, champion
from pipelines.steps.decided import decided_columns
from pipelines.steps.feature_rows import MEMBER_WILLINGNESS
from puntual.experiments.registry import load_experiments

SLICE_MEMBERS = 100_000
"""Members followed at a time: it bounds the memory, whatever the size of the book."""
_FEATURE_TABLES = ("features.feat_loan__as_of", "features.feat_customer__as_of")


def follow_willingness(day: Day) -> dict[str, Any]:
    """Fit when training dates are planned; make ``ml.member_willingness`` hold what today's models will ask for.

    And ``ml.payment_climate`` of the same versions, from the members that a fit would be made on.

    1. On a day that trains: all its dates, with the version fitted today and with those that the models in force were
       trained with, for a champion is judged beside its challenger on what it was made for.
    2. On any other day: the business date, with the versions of the models in force.
    3. The business date alone with those of the channel models that arms of experiments ask for.

    Too little history leaves the table without rows: the columns are NULL then, and models learn without them.

    Raises:
        ExperimentError: an arm asks for a model that cannot be used.
    """
    with day.warehouse.connection():
        model, reason, sample = _fitted(day)
        versions = {model.version: model} if model else {}

        def follow(models: Iterable[Any]) -> None:
            for one in models:
                wanted = one.willingness_version if one else ""
                if wanted and wanted not in versions:
                    versions[wanted] = day.registry.load(WILLINGNESS_MODEL, wanted)

        follow(champion(day, name) for name in FOLLOWING)
        trained_with = set(versions) if model else set()
        follow(models_of_arms(day, load_experiments(day.home.experiments)).values())
        if day.warehouse.table_exists(MEMBER_WILLINGNESS):
            day.warehouse.execute(f"delete from {MEMBER_WILLINGNESS}")
        rows = _store(day, pd.DataFrame(columns=list(decided_columns(MEMBER_WILLINGNESS))))
        _store_climate(day, versions, sample)
        for condition in _slices(day) if versions else ():
            panel = weekly_panel(_panel_rows(day, condition))
            contacts = _contacts(day, condition, panel)
            keys = _keys(day, condition)
            for version, followed in versions.items():
                asked = keys if version in trained_with else keys[keys["as_of_date"] == pd.Timestamp(day.as_of)]
                found = followed.states(panel, asked, contacts)
                known = found["willingness_level"].notna()
                rows += _store(day, pd.concat([asked, found], axis=1)[known].assign(model_version=version))
    return {"status": reason, "versions": ", ".join(versions) or "none", "rows": rows} | (
        asdict(model.parameters) if model else {}
    )


def training_version(day: Day) -> str:
    """The version that was fitted today for the models that train; empty when none could be."""
    row = day.registry.row_for(WILLINGNESS_MODEL, day.as_of)
    if row is None or row["trained_as_of"] != day.as_of.isoformat():
        return ""
    version = str(row["version"])
    # An earlier run of the date may have fitted one on more history: what counts is what the training dates carry.
    followed = day.warehouse.read(
        f"select count(*) as rows from {MEMBER_WILLINGNESS} where model_version = {{}} and as_of_date < {{}}",
        [version, day.as_of],
    )
    return version if followed["rows"].iloc[0] else ""


def _fitted(day: Day) -> tuple[WillingnessModel | None, str, WeeklyPanel | None]:
    """The model of today, or why there is none, and the panel of the sampled members where it was read."""
    planned = day.warehouse.read(
        "select count(*) as dates from control.as_of_dates where is_risk_training or is_channel_training"
    )["dates"].iloc[0]
    if not planned:
        return None, "kept: no model is due", None
    sampled = _sampled(day)
    panel = weekly_panel(_panel_rows(day, sampled))
    reason = why_off(panel)
    if reason:
        return None, f"off: {reason}", panel
    model = fit(panel, as_of=day.as_of, contacts=_contacts(day, sampled, panel))
    label = label_definition(WILLINGNESS_MODEL, dbt_vars(day.settings))
    version = day.registry.register(WILLINGNESS_MODEL, model, label=label)
    day.registry.promote(
        WILLINGNESS_MODEL, version, reason="what the models trained on this date learn from", decided_on=day.as_of
    )
    return model, "fitted", panel


def _sampled(day: Day) -> str:
    """The SQL condition of the members that the few parameters of the book, and its climate, are told from."""
    members = day.warehouse.read(f"select count(distinct customer_id) as members from {TABLE}")["members"].iloc[0]
    threshold = sample_threshold(int(members), 1, SAMPLE_MEMBERS)
    return f"substr(md5(customer_id), 1, 4) < '{threshold}'"


def _store_climate(day: Day, versions: Mapping[str, WillingnessModel], sample: WeeklyPanel | None) -> None:
    """Make ``ml.payment_climate`` that of these versions, nothing else; ``sample`` where it was read already."""
    if day.warehouse.table_exists(CLIMATE):
        day.warehouse.execute(f"delete from {CLIMATE}")
    columns = decided_columns(CLIMATE)
    frames = [pd.DataFrame(columns=list(columns))]
    if versions:
        panel = sample or weekly_panel(_panel_rows(day, _sampled(day)))
        frames = [model.climate(panel).to_rows().assign(model_version=name) for name, model in versions.items()]
    day.warehouse.append(CLIMATE, pd.concat(frames, ignore_index=True)[list(columns)], types=columns)


def _panel_rows(day: Day, condition: str) -> pd.DataFrame:
    return day.warehouse.read(f"select {', '.join(COLUMNS)} from {TABLE} where {condition}")


def _contacts(day: Day, condition: str, panel: WeeklyPanel) -> WeeklyContacts:
    """The attempts within the panel's weeks, counted in the database: one row per day, member and channel.

    As in the label of the channel model, a third party who answers does not count as the member.
    """
    found = day.warehouse.read(
        "select occurred_date, customer_id, channel_code, count(*) as attempt_count,"
        " count(case when is_contact and coalesce(outcome_code, '') <> 'third_party' then 1 end) as contact_count"
        f" from {CONTACTS}"
        f" where is_attempt and occurred_date > {{}} and {condition} group by occurred_date, customer_id, channel_code",
        [panel.week_ends[0] - timedelta(days=WEEK_DAYS) if panel.week_ends else day.as_of],
    )
    return weekly_contacts(found, panel)


def _slices(day: Day) -> Iterator[str]:
    """SQL conditions that each take about ``SLICE_MEMBERS`` members, by ranges of their keys; together everyone."""
    members = day.warehouse.read(f"select distinct customer_id from {TABLE} order by customer_id")["customer_id"]
    starts = [name.replace("'", "''") for name in members.iloc[SLICE_MEMBERS::SLICE_MEMBERS]]
    for low, high in zip([None, *starts], [*starts, None], strict=True):
        parts = [f"customer_id >= '{low}'"] if low is not None else []
        parts += [f"customer_id < '{high}'"] if high is not None else []
        yield " and ".join(parts) or "1 = 1"


def _keys(day: Day, condition: str) -> pd.DataFrame:
    """Dates and members of both feature tables, each once."""
    parts = [f"select as_of_date, customer_id from {table} where {condition}" for table in _FEATURE_TABLES]
    return day.warehouse.read(" union ".join(parts) + " order by as_of_date, customer_id")


def _store(day: Day, frame: pd.DataFrame) -> int:
    columns = decided_columns(MEMBER_WILLINGNESS)
    day.warehouse.append(MEMBER_WILLINGNESS, frame[list(columns)], types=columns)
    return len(frame)
