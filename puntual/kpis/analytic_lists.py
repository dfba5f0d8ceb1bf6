"""The lists as such: follow-ups in time, rules, prices, steadiness and evenness (K53, K56, K91, K92, K94)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd

from puntual.kpis.statistics import rank_biased_overlap
from puntual.kpis.values import KpiValues

_MOST_DAYS_AHEAD = 30


def next_working_day(day: date, is_holiday: Callable[[date], bool]) -> date:
    """The first day after ``day`` that is neither Saturday, Sunday nor a holiday.

    >>> next_working_day(date(2026, 7, 3), lambda day: day == date(2026, 7, 6))
    datetime.date(2026, 7, 7)
    """
    for ahead in range(1, _MOST_DAYS_AHEAD):
        following = day + timedelta(days=ahead)
        if following.weekday() < 5 and not is_holiday(following):
            return following
    # A year whose holidays nobody knows has no working day: the weekday is the best that can be said.
    return day + timedelta(days=3 if day.weekday() == 4 else 2 if day.weekday() == 5 else 1)


def follow_ups(
    values: KpiValues,
    callbacks: pd.DataFrame,
    broken: pd.DataFrame,
    attempts: pd.DataFrame,
    period: str,
    *,
    first: date,
    is_holiday: Callable[[date], bool],
) -> None:
    """K53: follow-ups that fell due in the period and were done in time.

    1. A member who asked to be called back is due on the next working day.
    2. A promise that was not kept is due on the next working day after its last day of grace.
    3. Done: an outbound attempt to the member after the event, up to the due day. Who paid meanwhile is due no less.

    Args:
        values: collects the rows; details ``callback`` and ``broken_promise``.
        callbacks: rows customer_id, occurred_date.
        broken: rows customer_id, grace_end_date of promises not fully kept by then.
        attempts: rows customer_id, occurred_date of outbound attempts.
        period: day, week or month.
        first: first day of the period; it ends on the date of ``values``.
        is_holiday: whether nobody works on a day.
    """
    due = pd.concat(
        [
            pd.DataFrame({"kind": kind, "customer_id": rows["customer_id"], "since": pd.to_datetime(rows[column])})
            for kind, rows, column in (
                ("callback", callbacks, "occurred_date"),
                ("broken_promise", broken, "grace_end_date"),
            )
        ],
        ignore_index=True,
    )
    days = {day: pd.Timestamp(next_working_day(day.date(), is_holiday)) for day in due["since"].unique()}
    due["due_date"] = pd.to_datetime(due["since"].map(days))  # also of nothing: an empty column has no dates
    due = due[(due["due_date"] >= pd.Timestamp(first)) & (due["due_date"] <= pd.Timestamp(values.as_of))]
    if due.empty:
        if period == "month":
            values.off("K53", "Ningún seguimiento venció en el mes.", "No follow-up fell due in the month.")
        return
    due = due.reset_index(drop=True).rename_axis("row").reset_index()
    made = due.merge(attempts[["customer_id", "occurred_date"]], on="customer_id")
    when = pd.to_datetime(made["occurred_date"])
    in_time = made.loc[(when > made["since"]) & (when <= made["due_date"]), "row"]
    due["done"] = due["row"].isin(set(in_time)).astype(float)
    values.add("K53", float(due["done"].sum()), float(len(due)), periods=[period])
    for kind, rows in due.groupby("kind", sort=True):
        values.add("K53", float(rows["done"].sum()), float(len(rows)), detail=str(kind), periods=[period])


def violations(values: KpiValues, summary: Mapping[str, Any]) -> None:
    """K56: contacts of the list that the independent checker finds against a rule; a list with any is not published."""
    count = summary.get("violation_count")
    if count is None:
        values.off(
            "K56",
            "La decisión de la fecha es anterior al registro de la revisión.",
            "The decision of the date is older than the record of the check.",
        )
        return
    values.add("K56", float(count))


def blocked_contacts(values: KpiValues, details: pd.DataFrame) -> None:
    """K56_BLOCKED: contacts (member and channel) that a rule forbade, by rule and by channel, over all considered.

    A contact that several rules forbid counts once under each of them and once in the total.
    """
    considered = float(len(details))
    blocked = details[~details["is_allowed"].astype(bool)]
    values.add("K56_BLOCKED", float(len(blocked)), considered)
    by_rule: Counter[str] = Counter()
    for text, count in blocked["blocked_by"].value_counts().items():
        by_rule.update(dict.fromkeys(json.loads(str(text)), int(count)))
    for rule, count in sorted(by_rule.items()):
        values.add("K56_BLOCKED", float(count), considered, detail=rule)
    counted = details.assign(one=1.0, blocked=(~details["is_allowed"].astype(bool)).astype(float))
    values.add_groups("K56_BLOCKED", counted, "blocked", "one", {"channel": ["channel_code"]})


def allocation(values: KpiValues, summary: Mapping[str, Any], prices: pd.DataFrame) -> None:
    """K91: how far the plan may be from the best one, and what one more of each capacity would be worth."""
    if summary.get("gap_rate") is None:
        for code in ("K91", "K91_SHADOW_PRICE"):
            values.off(
                code,
                "Sin modelo de canales decide la escalera escrita, que no tiene óptimo ni precios.",
                "Without a channel model the written ladder decides, which has neither an optimum nor prices.",
            )
        return
    bound = summary.get("dual_bound_amount")
    planned = summary.get("planned_value_amount")
    if bound is not None and planned is not None and float(bound) != 0:
        values.add("K91", float(bound) - float(planned), float(bound))
    for row in prices.itertuples():
        values.add("K91_SHADOW_PRICE", float(row.price_amount), detail=str(row.capacity_name))


def steadiness(values: KpiValues, today: pd.DataFrame, before: pd.DataFrame) -> None:
    """K92: rank-biased overlap of the list with the one decided before it, of everyone chosen and by channel.

    Members are ranked by what their contact is worth: expected gain less cost, then by their key.
    """
    if before.empty or today.empty:
        values.off(
            "K92", "No hay dos listas consecutivas que comparar.", "There are no two consecutive lists to compare."
        )
        return
    values.add("K92", rank_biased_overlap(_ranked(today), _ranked(before)))
    for channel in sorted(set(today["action"]) | set(before["action"])):
        lists = [_ranked(rows[rows["action"] == channel]) for rows in (today, before)]
        values.add("K92", rank_biased_overlap(*lists), grain="channel", keys={"channel_code": channel})


def _ranked(rows: pd.DataFrame) -> Sequence[str]:
    worth = rows["expected_gain_amount"].fillna(0.0) - rows["contact_cost_amount"].fillna(0.0)
    ordered = rows.assign(worth=-worth).sort_values(["worth", "customer_id"], kind="stable")
    return [str(name) for name in ordered["customer_id"]]


def evenness(values: KpiValues, decided: pd.DataFrame, groups: Sequence[str]) -> None:
    """K94: contacts per eligible member of a group over contacts per eligible member of everyone; 1 is even.

    A report only: no group is used by the decision. ``decided`` has a column per entry of ``groups``; members whose
    group is not known form none. Numerator and denominator are the two rates.
    """
    chosen = (decided["action"] != "none").astype(float)
    everyone = float(chosen.mean()) if len(decided) else 0.0
    if everyone == 0:
        values.off("K94", "La fecha no tiene contactos elegidos.", "No contact was chosen on the date.")
        return
    for group in groups:
        rates = chosen.groupby(decided[group]).mean()
        for name, rate in rates.items():
            values.add("K94", float(rate), everyone, detail=f"{group}:{name}".lower())
