"""Which dates the warehouse must know today: the as-of date, the month ends, and past dates when a model is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

from models.datasets import channel_training_dates, risk_dates_of_horizons, sample_threshold
from models.limits import load_limits
from models.registry import hold_of
from pipelines.day import Day
from pipelines.dbt import Dbt
from pipelines.steps.champions import CHANNEL_MODEL, OUTDATED, RISK_MODEL, champion_row, fits
from pipelines.steps.control import last_build, newest_load, write_control
from pipelines.steps.decided import ensure_decided
from puntual import clock
from puntual.errors import LandingError
from puntual.settings import ArrearsSettings

RETRY_TREES_AFTER_DAYS = 7
"""A default-risk model without trees (a prior, a curve) is only a beginning: it is tried again this often."""


@dataclass(frozen=True)
class DayPlan:
    """The spine of dates of one run.

    Attributes:
        dates: one row per date with the flags of ``control.as_of_dates``.
        history_start: first day of the oldest month that is kept.
        sample_below: a customer belongs to the training sample when the first four hexadecimal digits of the MD5 of
            its key are below this; ``''`` nobody, ``'g'`` everyone.
        trains_risk, trains_channel: whether the model is due.
        reasons: why each model is trained or kept.
    """

    dates: pd.DataFrame
    history_start: date
    sample_below: str
    trains_risk: bool
    trains_channel: bool
    reasons: dict[str, str]


def plan_day(day: Day) -> DayPlan:
    """Dates and training decision for the business date; the same inputs and champions give the same plan.

    Raises:
        LandingError: no loan was disbursed on or before the date.
    """
    settings = day.settings
    first = day.warehouse.read(
        "select min(disbursed_on) as first_day, count(distinct customer_id) as customers from raw.loans"
    )
    first_loan = first["first_day"].iloc[0]
    _check_there_is_a_loan(day.as_of, first_loan)
    first_payment = day.warehouse.read("select min(paid_at) as first_day from raw.payments")["first_day"].iloc[0]
    history_start = _first_known_day(day.as_of, first_loan, first_payment)
    horizons = (settings.default_risk.horizon_days, settings.default_risk.early_horizon_days)
    followed_from = day.as_of - timedelta(days=1, weeks=settings.willingness.weeks)
    # Before the weeks that are followed a member's willingness is not known, and the economy was another one.
    whole, newer = risk_dates_of_horizons(day.as_of, horizons, max(history_start, followed_from))
    trains_risk, why_risk = _is_risk_due(day, has_dates=bool(whole or newer))
    risk_dates = [*whole, *newer] if trains_risk else []
    trains_channel, why_channel = _is_due(day, CHANNEL_MODEL, settings.contact_channel.retrain_after_days)
    channel_dates = channel_training_dates(day.as_of, settings.contact_channel.training_weeks) if trains_channel else []
    channel_dates = [when for when in channel_dates if when >= history_start]
    customers = int(first["customers"].iloc[0])
    thresholds = [
        sample_threshold(customers, len(dates), rows)
        for dates, rows in (
            # The dates of the longest horizon set the sample: the newer ones take no rows from it.
            ((whole or newer) if trains_risk else [], settings.default_risk.training_rows),
            (channel_dates, settings.contact_channel.training_rows),
        )
        if dates
    ]
    history = _history(day.as_of, settings.arrears)
    return DayPlan(
        dates=_spine(day.as_of, history | {"is_risk_training": risk_dates, "is_channel_training": channel_dates}),
        history_start=min([*history["is_month_end"], day.as_of]).replace(day=1),
        sample_below=min(thresholds) if thresholds else "",
        trains_risk=trains_risk,
        trains_channel=trains_channel,
        reasons={RISK_MODEL: why_risk, CHANNEL_MODEL: why_channel},
    )


def write_plan(day: Day) -> dict[str, Any]:
    """Plan the day and write it to the schema ``control``; returns what was decided."""
    plan = plan_day(day)
    built = last_build(day, Dbt.of_day(day).digest())
    dates = plan.dates.assign(is_built=[built is not None and when in built.dates for when in plan.dates["as_of_date"]])
    parameters = {
        "as_of_date": day.as_of,
        "sample_below": plan.sample_below,
        "is_full_build": built is None,
        "built_as_of_date": built.as_of if built else None,
        "built_load_id": built.load_id if built else None,
        "history_start_date": plan.history_start,
        "load_id": newest_load(day),
    }
    write_control(day, parameters, dates, built)
    return {
        "build": "everything" if built is None else f"what changed since {built.as_of}",
        "dates": len(plan.dates),
        "sample_below": plan.sample_below or "nobody",
        **{f"{name}_training": why for name, why in plan.reasons.items()},
    }


def _check_there_is_a_loan(as_of: date, first_loan: Any) -> None:
    if pd.isna(first_loan):
        raise LandingError(f"there is no loan on or before {as_of}, nor on any other day")
    first_day = pd.Timestamp(first_loan).date()
    if first_day > as_of:
        raise LandingError(f"there is no loan on or before {as_of}; the first is of {first_day}")


def _first_known_day(as_of: date, first_loan: Any, first_payment: Any) -> date:
    known = [pd.Timestamp(value).date() for value in (first_loan, first_payment) if not pd.isna(value)]
    return min(known, default=as_of)


def _is_risk_due(day: Day, *, has_dates: bool) -> tuple[bool, str]:
    """Default risk by age, as any model; besides, without any model even when there is nothing to learn from yet.

    A model that stands on few labels or none is due again soon, once there are dates to learn from. One that somebody
    went back to is due by age alone: a training gives a challenger to choose from, and does not replace it.
    """
    is_due, why = _is_due(day, RISK_MODEL, day.settings.default_risk.retrain_after_days)
    champion = champion_row(day, RISK_MODEL)
    if champion is None:
        found = day.registry.row_for(RISK_MODEL, day.as_of)
        return True, f"the champion cannot be used: {OUTDATED}" if found else "no model for the date yet"
    if not has_dates:
        return False, "there is no date to learn from yet"
    if is_due:
        return True, why
    if hold_of(champion) is not None:
        return False, f"{why}; the champion was gone back to, and no training replaces it"
    alarm = _retraining_alarm(day, champion["version"])
    if alarm is not None:
        return True, alarm
    age = (day.as_of - date.fromisoformat(champion["trained_as_of"])).days
    if age >= RETRY_TREES_AFTER_DAYS:
        kind = day.registry.load(RISK_MODEL, champion["version"]).kind
        if kind != "boosted":
            return True, f"the champion is a {kind} without trees, {age} days old"
    return False, why


def _retraining_alarm(day: Day, version: str) -> str | None:
    """Why an alarm of the champion since the last training makes default risk due, once it is old enough; else None.

    What is said of another version counts for nothing: a training would not mend it.
    """
    wait = load_limits(RISK_MODEL, day.home.policies).retrain_after_alarm_days
    trained = day.registry.last_trained_on(RISK_MODEL, as_of=day.as_of)
    if not wait or trained is None or (day.as_of - trained).days < wait:
        return None
    if not day.warehouse.table_exists("measured.model_alarms"):
        return None
    ensure_decided(day.warehouse, "measured.model_alarms")  # that of an older release knows no versions
    found = day.warehouse.read(
        "select as_of_date, measure_code from measured.model_alarms"
        " where model_name = {} and model_version = {} and is_retraining and as_of_date >= {} and as_of_date < {}"
        " order by as_of_date desc, measure_code",
        [RISK_MODEL, version, trained, day.as_of],
    )
    if found.empty:
        return None
    newest = found.iloc[0]
    return f"the alarm {newest['measure_code']} of {pd.Timestamp(newest['as_of_date']).date()} asks for it"


def _is_due(day: Day, name: str, retrain_after_days: int) -> tuple[bool, str]:
    if day.force_training:
        return True, "asked for"
    trained = day.registry.last_trained_on(name, as_of=day.as_of)
    if trained is None:
        return True, "no model for the date yet"
    rows = [row for row in day.registry.list(name) if row["trained_as_of"] == trained.isoformat()]
    if not any(fits(day, name, row["version"]) for row in rows):
        return True, f"the newest model cannot be used: {OUTDATED}"
    age = (day.as_of - trained).days
    if age >= retrain_after_days:
        return True, f"the newest model is {age} days old; the setting allows {retrain_after_days}"
    return False, f"the newest model is {age} days old"


def _history(as_of: date, arrears: ArrearsSettings) -> dict[str, list[date]]:
    """The dates whose loans are kept, by the flag that asks for them; the run's own is one of the days."""
    days = [as_of - timedelta(days=age) for age in range(max(arrears.history_days, 1))]
    last_sunday = as_of - timedelta(days=as_of.isoweekday() % 7)
    weeks = [last_sunday - timedelta(days=7 * age) for age in range(arrears.history_weeks)]
    months = clock.month_ends(as_of - timedelta(days=31 * arrears.history_months), as_of)
    return {"is_month_end": months, "is_week_end": weeks, "is_day": days}


def _spine(as_of: date, asked: dict[str, list[date]]) -> pd.DataFrame:
    days = sorted({as_of}.union(*asked.values()))
    flags = {"is_score": {as_of}} | {flag: set(dates) for flag, dates in asked.items()}
    return pd.DataFrame(
        {"as_of_date": days} | {flag: [when in dates for when in days] for flag, dates in flags.items()}
    )
