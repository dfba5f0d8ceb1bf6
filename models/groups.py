"""Whether a probability is right within groups of people, and whether groups fare differently under it.

A model may be right on the whole and wrong in a part: too high in one branch, too low in another. Every figure comes
with a 95 % interval that takes the rows of one member as one piece of evidence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from models.metrics import auc_of_ranks, ece_interval, interval_of, member_weights, ranks

GROUP_BINS = 5
NOT_RECORDED = "not_recorded"
LEAST_EXPECTED = 5.0
"""Fewer expected events than this, and fewer seen, say nothing about a group: its verdict is ``few``."""


def calibration_by_group(
    outcome: np.ndarray,
    probability: np.ndarray,
    groups: np.ndarray,
    members: np.ndarray,
    *,
    draws: int,
    seed: int = 0,
    most: int = 12,
) -> list[dict[str, Any]]:
    """Expected and seen events of the ``most`` largest groups, in the order of their names.

    ``ratio`` is seen over expected with its 95 % interval: from the spread of the members' sums of (outcome less
    probability), and never narrower than that of coin tosses with these probabilities. ``verdict``:

    1. ``few``: under ``LEAST_EXPECTED`` expected and seen.
    2. ``low`` (more is seen than expected) or ``high`` (less is seen): the ratio's interval lies beyond 1, made as wide
       as the number of groups asks for (Bonferroni), so that among many right groups hardly one is called wrong.
    3. ``ok``.
    """
    y, p = np.asarray(outcome, dtype=float), np.asarray(probability, dtype=float)
    names, code = _groups(groups, most)
    inside = code >= 0
    y, p, code, members = y[inside], p[inside], code[inside], np.asarray(members)[inside]
    critical = float(norm.ppf(1 - 0.025 / max(len(names), 1)))
    found: list[dict[str, Any]] = []
    for place, name in enumerate(names):
        here = code == place
        ratio, deviation = _ratio(y[here], p[here], members[here])
        expected, seen = float(p[here].sum()), float(y[here].sum())
        if max(expected, seen) < LEAST_EXPECTED:
            verdict = "few"
        elif abs(ratio["value"] - 1) > critical * deviation:
            verdict = "low" if ratio["value"] > 1 else "high"
        else:
            verdict = "ok"
        found.append(
            {
                "value": name,
                "row_count": int(here.sum()),
                "member_count": len(np.unique(members[here])),
                "event_count": seen,
                "expected_count": expected,
                "ratio": ratio,
                "ece": ece_interval(y[here], p[here], members[here], bins=GROUP_BINS, draws=draws, seed=seed),
                "verdict": verdict,
            }
        )
    return found


def disparity(
    outcome: np.ndarray,
    probability: np.ndarray,
    groups: np.ndarray,
    members: np.ndarray,
    *,
    draws: int,
    seed: int = 0,
    top_share: float = 0.1,
) -> list[dict[str, Any]]:
    """How groups of a protected attribute fare: calibration, ranking, and who is among the highest scores.

    Besides the columns of :func:`calibration_by_group`: ``mean_probability``, ``event_rate``, ``auc``,
    ``selected_rate`` (share of the group among the ``top_share`` highest scores of all), ``selected_ratio`` (that rate
    over the rate of the largest recorded group), ``false_negative_rate`` (share of its events outside the top) and
    ``false_positive_rate`` (share of its quiet rows inside it). People without the attribute are the group
    ``not_recorded``.
    """
    y, p = np.asarray(outcome, dtype=float), np.asarray(probability, dtype=float)
    text = pd.Series(groups).astype("object")
    group = text.where(text.notna(), NOT_RECORDED).astype(str).to_numpy(dtype=object)
    rows = calibration_by_group(y, p, group, members, draws=draws, seed=seed)
    if not rows:
        return []
    selected = np.zeros(len(p), dtype=bool)
    selected[np.argsort(-p, kind="stable")[: round(len(p) * top_share)]] = True
    recorded = [row for row in rows if row["value"] != NOT_RECORDED] or rows
    largest = max(recorded, key=lambda row: row["row_count"])["value"]
    masks = {row["value"]: group == row["value"] for row in rows}
    places = {name: ranks(p[mask]) for name, mask in masks.items()}
    values = {name: _fate(y, p, selected, mask, places[name]) for name, mask in masks.items()}
    drawn: dict[str, list[dict[str, float]]] = {name: [] for name in masks}
    for weight in member_weights(members, draws=draws, seed=seed):
        for name, mask in masks.items():
            drawn[name].append(_fate(y, p, selected, mask, places[name], weight))
    for row in rows:
        name = row["value"]
        for measure in values[name]:
            row[measure] = interval_of(values[name][measure], [one[measure] for one in drawn[name]])
        row["selected_ratio"] = interval_of(
            _over(values[name]["selected_rate"], values[largest]["selected_rate"]),
            [
                _over(one["selected_rate"], base["selected_rate"])
                for one, base in zip(drawn[name], drawn[largest], strict=True)
            ],
        )
        row["is_reference"] = name == largest
    return rows


def age_groups(birth_date: pd.Series, as_of: pd.Series) -> np.ndarray:
    """Age in whole years at each row's date, in groups of people's lives; None where the birth date is unknown."""
    born, day = pd.to_datetime(birth_date), pd.to_datetime(as_of)
    had = (day.dt.month * 100 + day.dt.day).to_numpy() >= (born.dt.month * 100 + born.dt.day).to_numpy()
    age = day.dt.year.to_numpy() - born.dt.year.to_numpy() - np.where(had, 0, 1)
    cut = pd.cut(age, [-np.inf, 25, 35, 45, 55, 65, np.inf], right=False, labels=AGE_LABELS)
    return pd.Series(cut).astype("object").where(born.notna().to_numpy(), None).to_numpy(dtype=object)


AGE_LABELS = ("-24", "25-34", "35-44", "45-54", "55-64", "65+")


def _fate(
    y: np.ndarray,
    p: np.ndarray,
    selected: np.ndarray,
    mask: np.ndarray,
    places: np.ndarray,
    weight: np.ndarray | None = None,
) -> dict[str, float]:
    w = np.ones(int(mask.sum())) if weight is None else weight[mask]
    events, probability, chosen = y[mask], p[mask], selected[mask]
    total, happened = w.sum(), (w * events).sum()
    return {
        "mean_probability": _over((w * probability).sum(), total),
        "event_rate": _over(happened, total),
        "auc": auc_of_ranks(events, places, w),
        "selected_rate": _over(w[chosen].sum(), total),
        "false_negative_rate": _over((w * events)[~chosen].sum(), happened),
        "false_positive_rate": _over((w * (1 - events))[chosen].sum(), total - happened),
    }


def _over(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def _groups(groups: np.ndarray, most: int) -> tuple[list[str], np.ndarray]:
    """The names of the largest groups, sorted, and each row's place among them (-1: another one or missing)."""
    text = pd.Series(np.asarray(groups, dtype=object))
    counts = text.dropna().astype(str).value_counts()
    order = sorted(counts.index, key=lambda name: (-counts[name], name))[:most]
    names = sorted(order)
    place = pd.Index(names, dtype=object).get_indexer(text.where(text.notna(), "").astype(str).to_numpy(dtype=object))
    return names, np.where(text.notna().to_numpy(), place, -1)


def _ratio(y: np.ndarray, p: np.ndarray, members: np.ndarray) -> tuple[dict[str, float], float]:
    """Seen over expected with its interval, and the ratio's standard deviation."""
    expected = p.sum()
    if expected <= 0:
        return {"value": float("nan"), "low": float("nan"), "high": float("nan")}, float("inf")
    codes, _ = pd.factorize(members)
    sums = np.bincount(codes, weights=y - p)
    deviation = float(np.sqrt(max((sums**2).sum(), (p * (1 - p)).sum())) / expected)
    value = float(y.sum() / expected)
    return {"value": value, "low": max(0.0, value - 1.96 * deviation), "high": value + 1.96 * deviation}, deviation
