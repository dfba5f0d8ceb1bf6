"""Reach by channel, segment, weekday and hour, each drawn to the level above it by as much as the counts say.

Four levels, each a beta-binomial with the level above as its mean:

1. the channel's rate;
2. the channel at an hour, in a segment and on a weekday: three shifts of the log odds, each found given the other two
   (backfitting). Calls are not spread evenly: where one segment is called in the mornings and another in the
   afternoons, an hour by itself would show whom it met, and adding that to the segment would count it twice;
3. the channel in a segment at an hour, drawn to the segment's and the hour's shift together;
4. the same on a weekday, drawn to the level before, moved by the weekday's shift.

How strongly a level is drawn (in attempts) is the strongest value of ``ReachSettings.strengths`` that its counts do not
speak against: where hours do not differ, all of them end at the level above.
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
SHIFTS = ("segment", "weekday", "hour")
ROUNDS, SETTLED = 30, 1e-4
"""Rounds in which the shifts find each other, at most, and the change of the log odds at which they have."""
DOUBT = 1.35
"""Half the 90 % point of chi-square with one degree of freedom: log likelihoods nearer to each other tell nothing."""
TINY = 1e-4


def reach_by_hour(counts: pd.DataFrame, settings: ReachSettings | None = None) -> pd.DataFrame:
    """One row per channel, segment, weekday and hour that the counts name, in that order.

    Columns: attempt_count, reach_rate (raw), shrunk_rate with ``low`` and ``high``, and for the hour on any weekday
    hour_attempt_count, hour_rate, hour_low and hour_high; ``is_enough``: whether the channel and segment have enough
    attempts for a suggestion, and of them enough at this hour for it to be the one.

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
    by_segment, by_weekday, by_hour = _shifts(rows, tried, reached, float(overall), settings)
    neutral = overall + by_segment + by_hour
    of_hour = _level(rows, ["segment", "hour"], tried, reached, expit(neutral + by_weekday), settings)
    # the weekdays on which an hour was tried were expected of it; the rate of any weekday is without them
    mix = logit(_inside(of_hour["prior"])) - logit(_inside(_mean(rows, ["segment", "hour"], tried, expit(neutral))))
    any_day = {name: expit(logit(_inside(of_hour[name])) - mix) for name in ("rate", "low", "high")}
    moved = expit(logit(_inside(any_day["rate"])) + by_weekday)
    of_day = _level(rows, ["segment", "weekday", "hour"], tried, reached, moved, settings)
    enough = rows.groupby("segment")["attempt_count"].transform("sum") >= settings.least_attempts
    enough &= of_hour["attempts"] >= settings.least_hour_attempts
    return pd.DataFrame(
        {
            **{name: rows[name] for name in ("channel_code", "segment", "weekday", "hour")},
            "attempt_count": rows["attempt_count"].astype("int64"),
            "reach_rate": reached / tried,
            "shrunk_rate": of_day["rate"],
            "low": of_day["low"],
            "high": of_day["high"],
            "hour_attempt_count": of_hour["attempts"].astype("int64"),
            "hour_rate": any_day["rate"],
            "hour_low": any_day["low"],
            "hour_high": any_day["high"],
            "is_enough": enough.to_numpy(dtype=bool),
        }
    )


def _shifts(
    rows: pd.DataFrame, tried: np.ndarray, reached: np.ndarray, overall: float, settings: ReachSettings
) -> list[np.ndarray]:
    """Per row, by how much its segment, its weekday and its hour move the log odds, each given the other two.

    Each is the distance of a group's shrunk rate from what the rest says of the group's own attempts. Segments come
    first: where segment and hour cannot be told apart, no hour is made up.
    """
    found = [np.zeros(len(rows)) for _ in SHIFTS]
    for _ in range(ROUNDS):
        most = 0.0
        for place, key in enumerate(SHIFTS):
            others = overall + sum(shift for other, shift in enumerate(found) if other != place)
            level = _level(rows, [key], tried, reached, expit(others), settings)
            new = logit(_inside(level["rate"])) - logit(_inside(level["prior"]))
            most = max(most, float(np.abs(new - found[place]).max()))
            found[place] = new
        if most < SETTLED:
            break
    return found


def _level(
    rows: pd.DataFrame,
    keys: list[str],
    tried: np.ndarray,
    reached: np.ndarray,
    prior: np.ndarray,
    settings: ReachSettings,
) -> dict[str, np.ndarray]:
    """Shrunk rate, interval, attempts and mean prior of each row's group; drawn to the mean of its rows' ``prior``."""
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
        "prior": mean,
    }
    return {name: values[group] for name, values in found.items()}


def _mean(rows: pd.DataFrame, keys: list[str], tried: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean of the group's values by attempts, per row."""
    group = rows.groupby(keys, sort=True).ngroup().to_numpy()
    return np.asarray((np.bincount(group, weights=tried * values) / np.bincount(group, weights=tried))[group])


def strongest(n: np.ndarray, x: np.ndarray, mean: np.ndarray, strengths: Sequence[float]) -> float:
    """The strongest draw that the beta-binomial likelihood of ``x`` of ``n`` around ``mean`` does not speak against.

    That is the strongest whose log likelihood is within ``DOUBT`` of the greatest. The likeliest one itself is a guess
    that lies below the strongest in half of all draws in which no group differs: hours would be suggested by chance.
    """
    likelihood = [
        float((betaln(x + s * mean, n - x + s * (1 - mean)) - betaln(s * mean, s * (1 - mean))).sum())
        for s in strengths
    ]
    least = max(likelihood) - DOUBT
    return float(max(s for s, found in zip(strengths, likelihood, strict=True) if found >= least))


def _inside(rate: np.ndarray | float) -> np.ndarray:
    return np.clip(rate, TINY, 1 - TINY)
