"""The report of every experiment, for each day that it has lasted.

What is estimated (the estimand): the mean, over the members who enter, of what a member pays in the ``window_days``
after the day on which it entered, were all of them in the one arm, less the same were all in the control, while the
rest of the institution works as it does. Every member counts once, in the arm that it was drawn into, whatever was done
(intention to treat), from the day on which its window is over; what it paid before entering is the covariate.
Money: the difference times the members of the arm whose window is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import pandas as pd

from puntual.experiments.changes import in_words
from puntual.experiments.registry import Arm, Experiment, Registered
from puntual.experiments.statistics import SAMPLE_RATIO_ALPHA, Difference, difference, sample_ratio

LEAST_PER_ARM = 30
"""Fewer members of an arm than this have no interval at all."""
LEAST_FOR_ALL_LOOKS = 100
"""Fewer members of an arm than this are too few for an interval that is to hold at every look."""

COLUMNS = (
    "as_of_date",
    "experiment_id",
    "measured_date",
    "arm_code",
    "title_es",
    "title_en",
    "status_code",
    "policy_code",
    "changes_es",
    "changes_en",
    "is_control",
    "arm_share",
    "start_date",
    "end_date",
    "metric_code",
    "window_days",
    "alpha_rate",
    "exposed_count",
    "matured_count",
    "metric_mean",
    "difference_value",
    "difference_low",
    "difference_high",
    "adjusted_value",
    "adjusted_low",
    "adjusted_high",
    "anytime_low",
    "anytime_high",
    "variance_reduction_rate",
    "incremental_value",
    "incremental_low",
    "incremental_high",
    "sample_ratio_probability",
    "sample_ratio_sequential_probability",
    "verdict_code",
)
VERDICTS = ("control", "sample_ratio", "too_few", "too_early", "open", "better", "worse")


def outcomes(experiment: Experiment, entered: pd.DataFrame, payments: pd.DataFrame) -> pd.DataFrame:
    """Of each member that entered: customer_id, arm_code, entered_date, matured_date, metric, covariate.

    1. ``matured_date`` is ``entered_date`` plus the window: payments of the days after the first to that one count.
    2. ``covariate``: what was paid in the covariate days that end with the day of entering.

    Args:
        experiment: whose metric counts.
        entered: customer_id, arm_code, entered_date; each member once.
        payments: customer_id, paid_date, payment_amount; reversals are negative.
    """
    members = entered[["customer_id", "arm_code", "entered_date"]].copy()
    members["entered_date"] = pd.to_datetime(members["entered_date"])
    members = members.sort_values(["entered_date", "customer_id"]).reset_index(drop=True)
    spec = experiment.metric
    paid = payments.merge(members[["customer_id", "entered_date"]], on="customer_id", how="inner")
    after = (pd.to_datetime(paid["paid_date"]) - paid["entered_date"]).dt.days
    amount = paid["payment_amount"].astype(float)

    def total(inside: pd.Series) -> Any:
        summed = amount[inside].groupby(paid["customer_id"][inside]).sum()
        return summed.reindex(members["customer_id"]).fillna(0.0).clip(lower=0.0).to_numpy(dtype=float)

    window = total((after > 0) & (after <= spec.window_days))
    return members.assign(
        matured_date=members["entered_date"] + pd.Timedelta(days=spec.window_days),
        metric=(window > 0).astype(float) if spec.name == "paid_any" else window,
        covariate=total((after <= 0) & (after > -spec.covariate_days)),
    )


def report(
    registered: Iterable[Registered], entered: pd.DataFrame, payments: pd.DataFrame, as_of: date
) -> pd.DataFrame:
    """What every begun experiment says on each day from its start to ``as_of``; columns :data:`COLUMNS`.

    One row per experiment, day and arm. The days after the last window has passed say nothing new and have no row.

    Args:
        registered: every experiment; who has not begun or is switched off is left out.
        entered: experiment_id, customer_id, arm_code, entered_date; each member once per experiment.
        payments: customer_id, paid_date, payment_amount, up to ``as_of``.
        as_of: the business date.
    """
    rows: list[dict[str, Any]] = []
    for one in sorted(registered, key=lambda each: each.experiment.id):
        experiment = one.experiment
        if not experiment.enabled or experiment.start > as_of:
            continue
        members = outcomes(experiment, entered[entered["experiment_id"] == experiment.id], payments)
        for day in pd.date_range(experiment.start, min(as_of, experiment.end)):
            rows += [row | {"as_of_date": as_of} for row in _day(experiment, members, day)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def latest(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the newest measured day of each experiment."""
    newest = frame.groupby("experiment_id")["measured_date"].transform("max")
    return frame[frame["measured_date"] == newest]


def _day(experiment: Experiment, members: pd.DataFrame, day: pd.Timestamp) -> list[dict[str, Any]]:
    exposed = members[members["entered_date"] <= day]
    matured = members[members["matured_date"] <= day]
    counts = [int((exposed["arm_code"] == arm.code).sum()) for arm in experiment.arms]
    once, all_looks = sample_ratio(counts, [arm.share for arm in experiment.arms])
    # the report is read every day: the test of one look would cry wolf at some of them, so it is information alone
    is_sound = all_looks >= SAMPLE_RATIO_ALPHA
    is_early = (day.date() - experiment.start).days < experiment.minimum_days
    rows = []
    for arm, count in zip(experiment.arms, counts, strict=True):
        mine = matured[matured["arm_code"] == arm.code]
        row = dict.fromkeys(COLUMNS) | {
            "experiment_id": experiment.id,
            "measured_date": day.date(),
            "arm_code": arm.code,
            "title_es": experiment.title.es,
            "title_en": experiment.title.en,
            "status_code": experiment.status(day.date()),
            "policy_code": arm.policy,
            **{f"changes_{language}": _changes(arm, language) for language in ("es", "en")},
            "is_control": arm.code == experiment.control,
            "arm_share": arm.share,
            "start_date": experiment.start,
            "end_date": experiment.end,
            "metric_code": experiment.metric.name,
            "window_days": experiment.metric.window_days,
            "alpha_rate": experiment.alpha / (len(experiment.arms) - 1),
            "exposed_count": count,
            "matured_count": len(mine),
            "metric_mean": float(mine["metric"].mean()) if len(mine) else None,
            "sample_ratio_probability": once,
            "sample_ratio_sequential_probability": all_looks,
            "verdict_code": "control",
        }
        if arm.code != experiment.control:
            row |= _compared(experiment, arm, matured, is_sound=is_sound, is_early=is_early)
        rows.append(row)
    return rows


def _changes(arm: Arm, language: str) -> str | None:
    return None if arm.changes is None else in_words(arm.changes.written(), language)


def _compared(
    experiment: Experiment, arm: Arm, matured: pd.DataFrame, *, is_sound: bool, is_early: bool
) -> dict[str, Any]:
    """The arm against the control: both estimates, the three intervals, the money and the verdict.

    With several arms each comparison gets an equal part of alpha, so that all of them hold together.
    """
    both = matured[matured["arm_code"].isin([arm.code, experiment.control])]
    treated = (both["arm_code"] == arm.code).to_numpy(dtype=bool)
    fewest = int(min(treated.sum(), (~treated).sum()))
    if fewest < LEAST_PER_ARM:
        return {"verdict_code": "too_few" if is_sound else "sample_ratio"}
    alpha = experiment.alpha / (len(experiment.arms) - 1)
    metric = both["metric"].to_numpy(dtype=float)
    plain = difference(metric, treated)
    adjusted = difference(metric, treated, both["covariate"].to_numpy(dtype=float))
    low, high = plain.fixed(alpha)
    adjusted_low, adjusted_high = adjusted.fixed(alpha)
    found = {
        "difference_value": plain.value,
        "difference_low": low,
        "difference_high": high,
        "adjusted_value": adjusted.value,
        "adjusted_low": adjusted_low,
        "adjusted_high": adjusted_high,
        "variance_reduction_rate": 1.0 - (adjusted.error / plain.error) ** 2 if plain.error > 0 else None,
        "verdict_code": "too_few",
    }
    if fewest >= LEAST_FOR_ALL_LOOKS:
        found |= _at_every_look(experiment, adjusted, alpha, int(treated.sum()), is_early=is_early)
    return found if is_sound else found | {"verdict_code": "sample_ratio"}


def _at_every_look(
    experiment: Experiment, adjusted: Difference, alpha: float, treated_count: int, *, is_early: bool
) -> dict[str, Any]:
    low, high = adjusted.anytime(alpha, experiment.expected_members)
    verdict = "better" if low > 0 else "worse" if high < 0 else "open"
    return {
        "anytime_low": low,
        "anytime_high": high,
        "incremental_value": adjusted.value * treated_count,
        "incremental_low": low * treated_count,
        "incremental_high": high * treated_count,
        "verdict_code": "too_early" if is_early else verdict,
    }
