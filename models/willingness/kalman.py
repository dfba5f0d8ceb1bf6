"""The filter: what a member's weeks say about a level that stays and a trouble that comes and goes.

On the logit scale a member pays in a week with ``sigmoid(expected + level + trouble)``. The level is drawn once per
member, N(0, level_variance); the trouble fades from week to week by ``persistence`` and is renewed so that its variance
stays ``trouble_variance``. A week in which nothing is owed says nothing, and trouble fades through it. A week's
outcome is taken in by one step of the extended Kalman filter for a yes or no. When asked, what moves everybody in a
week is taken out first (for the payment climate alone; the members' own states are followed without).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from models.willingness.panel import WeeklyPanel

COMMON_START, COMMON_STEP = 1.0, 0.0025
"""Variance of what moves everybody: before the first week, and how much it grows from week to week."""
COMMON_SEEN, COMMON_MEMBERS = 12, 50
"""Members who owed in so many weeks before speak of what moves everybody, and where fewer than so many of them owe in a
week, the longest known of those who do: a new product whose members pay badly is not the times."""
COMMON_JUMP, COMMON_STEPS = 2.0, 4
"""The farthest that one week's level is read from what was expected of it, and in how many steps it is sought."""


@dataclass(frozen=True)
class FilterParameters:
    """How different members are, how long a trouble lasts, and how deep it goes (logit scale, weeks)."""

    level_variance: float = 1.0
    persistence: float = 0.95
    trouble_variance: float = 0.3


@dataclass(frozen=True)
class States:
    """What is known of every member at the end of a week; positions as in ``WeeklyPanel.members``.

    ``variance`` is that of level and trouble together, and ``seen`` whether the member ever owed anything till then.
    """

    level: np.ndarray
    trouble: np.ndarray
    variance: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True)
class Walk:
    """One pass over the weeks.

    Attributes:
        log_likelihood: of every row's outcome, given the weeks before it, summed.
        states: by place of the week, for the weeks that were asked for.
        mean, variance: of level and trouble together just before each row's week; empty unless asked for.
        common, common_error: of every week, how much more readily than expected everybody paid, and its variance; empty
            unless asked for, NaN for a week in which nobody owed.
    """

    log_likelihood: float
    states: dict[int, States] = field(default_factory=dict)
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    variance: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    common: np.ndarray = field(default_factory=lambda: np.zeros(0))
    common_error: np.ndarray = field(default_factory=lambda: np.zeros(0))


def shrinkage(variance: np.ndarray) -> np.ndarray:
    """By how much an uncertain logit is drawn to 0 so that its sigmoid is about the mean probability."""
    return 1 / np.sqrt(1 + np.pi * variance / 8)


def walk(
    panel: WeeklyPanel,
    expected: np.ndarray,
    parameters: FilterParameters,
    *,
    keep: Collection[int] = (),
    with_rows: bool = False,
    with_common: bool = False,
) -> Walk:
    """Follow every member through all weeks, all members at once.

    Args:
        panel: the weeks.
        expected: of every row, the log odds of paying for a member of level and trouble 0, float32.
        parameters: of the filter.
        keep: places of weeks at whose end the states are wanted.
        with_rows: whether what was known before each row is wanted too.
        with_common: whether what moves everybody is followed as well, by those who have owed long enough to be known.
            It is then taken out of what the weeks say of each member: the states differ from those without it.
    """
    count = len(panel.members)
    fade = np.float32(parameters.persistence)
    renewed = np.float32(parameters.trouble_variance * (1 - parameters.persistence**2))
    level, trouble, both = (np.zeros(count, np.float32) for _ in range(3))  # both: covariance
    level_variance = np.full(count, parameters.level_variance, np.float32)
    trouble_variance = np.full(count, parameters.trouble_variance, np.float32)
    seen = np.zeros(count, np.int32)
    rows = len(panel.member) if with_rows else 0
    mean, variance = np.zeros(rows, np.float32), np.zeros(rows, np.float32)
    log_likelihood, states, wanted = 0.0, {}, frozenset(keep)
    weeks = len(panel.week_ends) if with_common else 0
    common, common_error = np.full(weeks, np.nan), np.full(weeks, np.nan)
    shift, doubt = 0.0, COMMON_START
    for week in range(len(panel.week_ends)):
        trouble *= fade
        both *= fade
        trouble_variance *= fade * fade
        trouble_variance += renewed
        here = slice(panel.starts[week], panel.starts[week + 1])
        at = panel.member[here]
        if len(at):
            a, c, e = level_variance[at], both[at], trouble_variance[at]
            known, total = level[at] + trouble[at], a + 2 * c + e
            logit, paid = expected[here] + known, panel.paid[here]
            if with_common:
                doubt += COMMON_STEP
                heard = _known_longest(seen[at])
                common[week], information = _level_of_all(logit[heard], total[heard], paid[heard], shift)
                common_error[week] = 1 / information
                shift += (common[week] - shift) * doubt * information / (1 + doubt * information)
                doubt /= 1 + doubt * information
                logit = logit + np.float32(shift)
            chance = expit(logit * shrinkage(total))
            log_likelihood += float(np.log(np.where(paid > 0, chance, 1 - chance) + 1e-9).sum(dtype=np.float64))
            if with_rows:
                mean[here], variance[here] = known, total
            weight = chance * (1 - chance)
            surprise = (paid - chance) / (1 + total * weight)
            gain = weight / (1 + total * weight)
            level[at] += (a + c) * surprise
            trouble[at] += (c + e) * surprise
            level_variance[at] = a - gain * (a + c) ** 2
            both[at] = c - gain * (a + c) * (c + e)
            trouble_variance[at] = e - gain * (c + e) ** 2
            seen[at] += 1
        if week in wanted:
            states[week] = States(level.copy(), trouble.copy(), level_variance + 2 * both + trouble_variance, seen > 0)
    return Walk(log_likelihood, states, mean, variance, common, common_error)


def _known_longest(seen: np.ndarray) -> np.ndarray:
    """Who of a week's rows speaks of what moves everybody, by how many weeks each owed before."""
    least = COMMON_SEEN
    if (seen >= least).sum() < COMMON_MEMBERS:
        least = int(np.sort(seen)[-COMMON_MEMBERS]) if len(seen) > COMMON_MEMBERS else 0
    return np.asarray(seen >= least)


def _level_of_all(logit: np.ndarray, total: np.ndarray, paid: np.ndarray, expected: float) -> tuple[float, float]:
    """The shift of everybody at which a week's rows are likeliest, and how much they say of it (one over variance)."""
    level, information = expected, 1.0
    for _ in range(COMMON_STEPS):
        chance = expit((logit + np.float32(level)) * shrinkage(total))
        weight = chance * (1 - chance)
        slope = float(((paid - chance) / (1 + total * weight)).sum(dtype=np.float64))
        information = max(float((weight / (1 + total * weight)).sum(dtype=np.float64)), 1e-3)
        level += float(np.clip(slope / information, -1.0, 1.0))
        level = float(np.clip(level, expected - COMMON_JUMP, expected + COMMON_JUMP))
    return level, information
