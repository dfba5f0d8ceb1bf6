"""Which dates the warehouse must know today: the as-of date, the month ends, and past dates when a model is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

from models.datasets import channel_training_dates, risk_training_dates, sample_threshold
from pipelines.day import Day
from puntual import clock

RISK_MODEL = "default_risk"
CHANNEL_MODEL = "contact_channel"


@dataclass(frozen=True)
class DayPlan:
    """The spine of dates of one run.

    Attributes:
        dates: one row per date with the flags of ``control.as_of_dates``.
        sample_below: a customer belongs to the training sample when the first four hexadecimal digits of the MD5 of
            its key are below this; ``''`` nobody, ``'g'`` everyone.
        trains_risk, trains_channel: whether the model is due.
        reasons: why each model is trained or kept.
    """

    dates: pd.DataFrame
    sample_below: str
    trains_risk: bool
    trains_channel: bool
    reasons: dict[str, str]


def plan_day(day: Day) -> DayPlan:
    """Dates and training decision for the business date; the same inputs and champions give the same plan."""
    settings = day.settings
    trains_risk, why_risk = _is_due(day, RISK_MODEL, settings.default_risk.retrain_after_days)
    trains_channel, why_channel = _is_due(day, CHANNEL_MODEL, settings.contact_channel.retrain_after_days)
    first = day.warehouse.read(
        "select min(disbursed_on) as first_day, count(distinct customer_id) as customers from raw.loans"
    )
    first_payment = day.warehouse.read("select min(paid_at) as first_day from raw.payments")["first_day"].iloc[0]
    first_day = first["first_day"].iloc[0]
    history_start = _first_known_day(day.as_of, first_day, first_payment)
    horizon = max(settings.default_risk.horizon_days, settings.default_risk.early_horizon_days)
    risk_dates = risk_training_dates(day.as_of, horizon, history_start) if trains_risk else []
    channel_dates = channel_training_dates(day.as_of, settings.contact_channel.training_weeks) if trains_channel else []
    channel_dates = [when for when in channel_dates if when >= history_start]
    customers = int(first["customers"].iloc[0])
    thresholds = [
        sample_threshold(customers, len(dates), rows)
        for dates, rows in (
            (risk_dates, settings.default_risk.training_rows),
            (channel_dates, settings.contact_channel.training_rows),
        )
        if dates
    ]
    month_ends = clock.month_ends(day.as_of - timedelta(days=31 * settings.arrears.history_months), day.as_of)
    return DayPlan(
        dates=_spine(day.as_of, month_ends, risk_dates, channel_dates),
        sample_below=min(thresholds) if thresholds else "",
        trains_risk=trains_risk,
        trains_channel=trains_channel,
        reasons={RISK_MODEL: why_risk, CHANNEL_MODEL: why_channel},
    )


def write_plan(day: Day) -> dict[str, Any]:
    """Plan the day and write it to the schema ``control``; returns what was decided."""
    plan = plan_day(day)
    parameters = pd.DataFrame({"as_of_date": [day.as_of], "sample_below": [plan.sample_below]})
    with day.warehouse.connection():
        day.warehouse.replace_table("control.run_parameters", parameters)
        day.warehouse.replace_table("control.as_of_dates", plan.dates)
    return {
        "dates": len(plan.dates),
        "sample_below": plan.sample_below or "nobody",
        **{f"{name}_training": why for name, why in plan.reasons.items()},
    }


def _first_known_day(as_of: date, first_loan: Any, first_payment: Any) -> date:
    known = [pd.Timestamp(value).date() for value in (first_loan, first_payment) if not pd.isna(value)]
    return min(known, default=as_of)


def _is_due(day: Day, name: str, retrain_after_days: int) -> tuple[bool, str]:
    if day.force_training:
        return True, "asked for"
    trained = day.registry.last_trained_on(name, as_of=day.as_of)
    if trained is None:
        return True, "no model for the date yet"
    age = (day.as_of - trained).days
    if age >= retrain_after_days:
        return True, f"the newest model is {age} days old; the setting allows {retrain_after_days}"
    return False, f"the newest model is {age} days old"


def _spine(as_of: date, month_ends: list[date], risk: list[date], channel: list[date]) -> pd.DataFrame:
    days = sorted({as_of, *month_ends, *risk, *channel})
    return pd.DataFrame(
        {
            "as_of_date": days,
            "is_score": [when == as_of for when in days],
            "is_month_end": [when in set(month_ends) for when in days],
            "is_risk_training": [when in set(risk) for when in days],
            "is_channel_training": [when in set(channel) for when in days],
        }
    )
