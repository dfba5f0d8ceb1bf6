"""What is likely to come in, from whom, and when people answer: promises, expected recovery, hours."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pandas as pd

from models.features import CUSTOMER_FEATURES
from models.hours.reach import reach_by_hour
from models.hours.settings import ReachSettings
from models.recovery.columns import recovery_frame
from pipelines.day import Day
from pipelines.steps.champions import PROMISE_MODEL, RECOVERY_MODEL, champion
from pipelines.steps.decided import decided_columns, store_decided
from pipelines.steps.feature_rows import feature_rows
from puntual.warehouse import Warehouse


def score_promises(day: Day) -> dict[str, Any]:
    """The probability that each open promise is kept, into ``ml.promise_scores``; none without a model."""
    model = champion(day, PROMISE_MODEL)
    features = day.warehouse.read_table(
        "features.feat_promise__as_of", where={"is_score": True}, order_by=["promise_id"]
    )
    if model is None:
        return _nothing(day, "ml.promise_scores", "no model of kept promises is in force for the date")
    if features.empty:
        return _nothing(day, "ml.promise_scores", "no promise is open")
    scores = model.predict(features)
    rows = store_decided(day.warehouse, "ml.promise_scores", scores, day.as_of)
    return {
        "rows": rows,
        "status": "on",
        "model_version": model.version,
        "mean_kept_probability": float(scores["kept_probability"].mean()),
    }


def score_recovery(day: Day) -> dict[str, Any]:
    """Expected recovery of every eligible member and of the portfolio, into ``ml.recovery_scores`` and ``_totals``."""
    model = champion(day, RECOVERY_MODEL)
    if model is None:
        _nothing(day, "ml.recovery_totals", "")
        return _nothing(day, "ml.recovery_scores", "no model of expected recovery is in force for the date")
    with day.warehouse.connection():
        horizon = day.warehouse.read_table(
            "features.feat_customer__recovery", where={"is_score": True}, order_by=["customer_id"]
        )
        customers = feature_rows(day, CUSTOMER_FEATURES, "is_score", model.willingness_version)
        ladder = day.warehouse.read_table("reference.segments", ["segment_code", "min_days"], order_by=["min_days"])
    rows = recovery_frame(customers, horizon)
    if rows.empty:
        _nothing(day, "ml.recovery_totals", "")
        return _nothing(day, "ml.recovery_scores", "nobody owes anything now or within the window")
    scores = model.predict(rows)
    place = ladder["min_days"].searchsorted(rows["past_due_days"].to_numpy(), side="right") - 1
    segments = pd.Series(ladder["segment_code"].to_numpy(dtype=object)[place], index=rows.index)
    totals = model.totals(rows, scores, segments)
    with day.warehouse.connection():
        count = store_decided(day.warehouse, "ml.recovery_scores", scores, day.as_of)
        store_decided(day.warehouse, "ml.recovery_totals", totals.assign(as_of_date=day.as_of), day.as_of)
    whole = totals.iloc[0]
    return {
        "rows": count,
        "status": "on",
        "model_version": model.version,
        "horizon_days": model.settings.horizon_days,
        **{name: float(whole[name]) for name in ("expected_recovery_amount", "low", "high")},
    }


def estimate_reach_hours(day: Day) -> dict[str, Any]:
    """Reach by channel, occupation, weekday and hour from the attempts up to the date, into ``ml.reach_hours``."""
    settings = ReachSettings()
    counts = attempts_by_hour(day.warehouse, day.as_of, settings.history_days, day.settings.institution.timezone)
    if counts.empty:
        return _nothing(day, "ml.reach_hours", "nobody was contacted yet")
    reach = reach_by_hour(counts, settings).assign(as_of_date=day.as_of)
    rows = store_decided(day.warehouse, "ml.reach_hours", reach, day.as_of)
    return {"rows": rows, "status": "on", "attempts": int(reach["attempt_count"].sum())}


def attempts_by_hour(warehouse: Warehouse, as_of: date, history_days: int, timezone: str) -> pd.DataFrame:
    """Attempts and contacts by channel, occupation, weekday and hour on the member's own clock.

    The hour is that of the member's time zone, ``timezone`` (the institution's) where it is not known: the hours of the
    lists are looked up by the same clock (``puntual.lists.hours``). The days that count are the institution's. Of an
    attempt of which only the day is known there is no hour to count.
    """
    return warehouse.read(
        """
        with attempts as (
            select interactions.channel_code, coalesce(customers.occupation, '') as segment, interactions.is_contact,
                (interactions.occurred_at at time zone 'UTC') at time zone coalesce(customers.timezone, {}) as local_at
            from marts.fct_interactions as interactions
            inner join marts.dim_customers as customers on interactions.customer_id = customers.customer_id
            where interactions.is_attempt and interactions.occurred_hour is not null
                and interactions.occurred_date > {} and interactions.occurred_date <= {}
        )
        select channel_code, segment, cast(extract(isodow from local_at) as bigint) as weekday,
            cast(extract(hour from local_at) as bigint) as hour, count(*) as attempt_count,
            count(case when is_contact then 1 end) as contact_count
        from attempts
        group by 1, 2, 3, 4
        order by 1, 2, 3, 4
        """,
        [timezone, as_of - timedelta(days=history_days), as_of],
    )


def _nothing(day: Day, table: str, why: str) -> dict[str, Any]:
    store_decided(day.warehouse, table, pd.DataFrame(columns=list(decided_columns(table))), day.as_of)
    return {"rows": 0, "status": "off", "reason": why}
