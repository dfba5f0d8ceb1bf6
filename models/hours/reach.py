"""Reach by channel, segment, weekday and hour, each drawn to the level above it by as much as the counts say.

Four levels, each a beta-binomial with the level above as its mean:

1. the channel's rate;
2. the channel at an hour, and the channel in a segment, each drawn to the channel;
3. the channel in a segment at an hour, drawn to both together: the segment's rate moved by the hour's shift of the log
   odds;
4. the same on a weekday, drawn to the level before, moved by the weekday's own shift.

How strongly a level is drawn (in attempts) is the value of ``ReachSettings.strengths`` with the greatest likelihood of
its counts: where hours do not differ, all of them end at the level above.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import betaln, expit, logit

from models.hours.settings import ReachSettings
from puntual.errors import ModelError

COUNTS = ("channel_code", "segment", "weekday", "hour", "attempt_count", "contact_count")
TINY = 1e-4


def reach_by_hour(counts: pd.DataFrame, settings: ReachSettings | None = None) -> pd.DataFrame:
    """One row per channel, segment, weekday and hour that the counts name, in that order.

    Columns: attempt_count, reach_rate (raw), shrunk_rate with ``low`` and ``high``, and for the hour on any weekday
    hour_attempt_count, hour_rate, hour_low and hour_high; ``is_enough``: whether the channel and segment have enough
    attempts for a suggestion.

    Args:
        counts: channel_code, segment, weekday (1 = Monday), hour (0-23, local), attempt_count, contact_count.
        settings: evidence and strengths.

    Raises:
        ModelError: a column is missing, or more people were reached than tried.
    """
    settings = settings or ReachSettings()
    missing = [name for name in COUNTS if name not in counts.columns]
    if missing:
        raise ModelError(f"hours: the counts of attempts lack {missing}; give {list(COUNTS)}.")
    keys = ["channel_code", "segment", "weekday", "hour"]
    rows = counts.groupby(keys, sort=True)[["attempt_count", "contact_count"]].sum().reset_index()
    rows = rows[rows["attempt_count"] > 0].reset_index(drop=True)
    if (rows["contact_count"] > rows["attempt_count"]).any():
        raise ModelError("hours: more contacts than attempts; count only attempts with a known answer.")
    parts = [_of_channel(part, settings) for _, part in rows.groupby("channel_code", sort=True)]
    if not parts:
        return pd.DataFrame(columns=[*keys, *RESULTS])
    return pd.concat(parts, ignore_index=True)


RESULTS = (
    "attempt_count",
    "reach_rate",
    "shrunk_rate",
    "low",
    "high",
    "hour_attempt_count",
    "hour_rate",
    "hour_low",
    "hour_high",
    "is_enough",
)


def _of_channel(rows: pd.DataFrame, settings: ReachSettings) -> pd.DataFrame:
    rows = rows.reset_index(drop=True)
    tried, reached = (rows[name].to_numpy(dtype=float) for name in ("attempt_count", "contact_count"))
    overall = logit(_inside((reached.sum() + 0.5) / (tried.sum() + 1.0)))
    by_hour = _shift(rows, ["hour"], tried, reached, np.full(len(rows), overall), settings)
    by_weekday = _shift(rows, ["weekday"], tried, reached, np.full(len(rows), overall), settings)
    by_segment = _shift(rows, ["segment"], tried, reached, np.full(len(rows), overall), settings)
    expected = expit(overall + by_segment + by_hour)
    of_hour = _level(rows, ["segment", "hour"], tried, reached, expected, settings)
    moved = expit(logit(_inside(of_hour["rate"])) + by_weekday)
    of_day = _level(rows, ["segment", "weekday", "hour"], tried, reached, moved, settings)
    enough = rows.groupby("segment")["attempt_count"].transform("sum") >= settings.least_attempts
    return pd.DataFrame(
        {
            **{name: rows[name] for name in ("channel_code", "segment", "weekday", "hour")},
            "attempt_count": rows["attempt_count"].astype("int64"),
            "reach_rate": reached / tried,
            "shrunk_rate": of_day["rate"],
            "low": of_day["low"],
            "high": of_day["high"],
            "hour_attempt_count": of_hour["attempts"].astype("int64"),
            "hour_rate": of_hour["rate"],
            "hour_low": of_hour["low"],
            "hour_high": of_hour["high"],
            "is_enough": enough.to_numpy(dtype=bool),
        }
    )


def _shift(
    rows: pd.DataFrame,
    keys: list[str],
    tried: np.ndarray,
    reached: np.ndarray,
    prior: np.ndarray,
    settings: ReachSettings,
) -> np.ndarray:
    """Per row, by how much its group moves the log odds of ``prior``, after shrinking."""
    found = _level(rows, keys, tried, reached, expit(prior), settings)
    return logit(_inside(found["rate"])) - prior


def _level(
    rows: pd.DataFrame,
    keys: list[str],
    tried: np.ndarray,
    reached: np.ndarray,
    prior: np.ndarray,
    settings: ReachSettings,
) -> dict[str, np.ndarray]:
    """Shrunk rate, interval and attempts of each row's group, drawn to the mean of its rows' ``prior`` by attempts."""
    group = rows.groupby(keys, sort=True).ngroup().to_numpy()
    n, x = np.bincount(group, weights=tried), np.bincount(group, weights=reached)
    mean = _inside(np.bincount(group, weights=tried * prior) / n)
    strength = strongest(n, x, mean, settings.strengths)
    a, b = x + strength * mean, n - x + strength * (1 - mean)
    tail = (1 - settings.confidence) / 2
    found = {
        "rate": a / (a + b),
        "low": stats.beta.ppf(tail, a, b),
        "high": stats.beta.ppf(1 - tail, a, b),
        "attempts": n,
    }
    return {name: values[group] for name, values in found.items()}


def strongest(n: np.ndarray, x: np.ndarray, mean: np.ndarray, strengths: Sequence[float]) -> float:
    """The strength with the greatest beta-binomial likelihood of ``x`` of ``n`` around ``mean``; ties: the stronger."""
    likelihood = [
        float((betaln(x + s * mean, n - x + s * (1 - mean)) - betaln(s * mean, s * (1 - mean))).sum())
        for s in strengths
    ]
    best = max(range(len(strengths)), key=lambda k: (round(likelihood[k], 9), strengths[k]))
    return float(strengths[best])


def _inside(rate: np.ndarray | float) -> np.ndarray:
    return np.clip(rate, TINY, 1 - TINY)
