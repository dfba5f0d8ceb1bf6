"""The filter: what a member's weeks say about a level that stays and a trouble that comes and goes.

On the logit scale a member pays in a week with ``sigmoid(expected + level + trouble)``. The level is drawn once per
member, N(0, level_variance); the trouble fades from week to week by ``persistence`` and is renewed so that its variance
stays ``trouble_variance``. A week in which nothing is owed says nothing, and trouble fades through it. A week's
outcome is taken in by one step of the extended Kalman filter for a yes or no.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from models.willingness.panel import WeeklyPanel


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
    """

    log_likelihood: float
    states: dict[int, States] = field(default_factory=dict)
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    variance: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))


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
) -> Walk:
    """Follow every member through all weeks, all members at once.

    Args:
        panel: the weeks.
        expected: of every row, the log odds of paying for a member of level and trouble 0, float32.
        parameters: of the filter.
        keep: places of weeks at whose end the states are wanted.
        with_rows: whether what was known before each row is wanted too.
    """
    count = len(panel.members)
    fade = np.float32(parameters.persistence)
    renewed = np.float32(parameters.trouble_variance * (1 - parameters.persistence**2))
    level, trouble, both = (np.zeros(count, np.float32) for _ in range(3))  # both: covariance
    level_variance = np.full(count, parameters.level_variance, np.float32)
    trouble_variance = np.full(count, parameters.trouble_variance, np.float32)
    seen = np.zeros(count, bool)
    rows = len(panel.member) if with_rows else 0
    mean, variance = np.zeros(rows, np.float32), np.zeros(rows, np.float32)
    log_likelihood, states, wanted = 0.0, {}, frozenset(keep)
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
            seen[at] = True
        if week in wanted:
            states[week] = States(
                level.copy(), trouble.copy(), level_variance + 2 * both + trouble_variance, seen.copy()
            )
    return Walk(log_likelihood, states, mean, variance)
