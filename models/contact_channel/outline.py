"""The outline of an effect: few numbers, each drawn to 0, for what is known to bend the effect of a contact.

Trees find a stage at which visits begin to work only when thousands were visited there. A ridge regression on a handful
of columns that the trade names by itself (stage of arrears, how likely the member pays alone, fatigue, the member's own
answers so far) finds it in hundreds, and shares between channels what one alone would not show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from models.features import CUSTOMER_FEATURES

STAGES = (0.0, 5.0, 15.0, 30.0, 60.0, 90.0)
"""Last past-due day of each stage but the last."""
KNOTS = (-4.0, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 4.0)
"""Log odds of paying when left alone, between which an effect may bend."""
SHARED_PULL, OWN_PULL, LEVEL_PULL = 30.0, 100.0, 1.0
"""Strength by which what is common to all channels, what is a channel's own, and its level are drawn to 0."""
PLAIN = (
    ("willingness_level", -3.0, 3.0),
    ("willingness_trouble", -3.0, 3.0),
    ("willingness_variance", 0.0, 3.0),
    ("response_score", -3.0, 3.0),
    ("is_urban", 0.0, 1.0),
    ("has_open_promise", 0.0, 1.0),
    ("burden_rate", 0.0, 2.0),
)
"""Columns that enter as they are, within limits."""


@dataclass(frozen=True)
class EffectOutline:
    """A change of the log odds of paying by channel, linear in :func:`basis`.

    ``weights`` has one row per channel, in the order of the channels: the common weights and its own together, the
    channel's level last.
    """

    channels: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> EffectOutline:
        """The outline out of its fields as JSON gives them back."""
        return cls(tuple(stored["channels"]), tuple(tuple(row) for row in stored["weights"]))

    def effect(self, matrix: np.ndarray, base: np.ndarray, place: int) -> np.ndarray:
        """The change for every row of the matrix by one channel; ``base`` is the log odds of paying when left alone."""
        weights = np.array(self.weights[place])
        return np.asarray(basis(matrix, base, self.channels[place]) @ weights[:-1] + weights[-1])


def basis(matrix: np.ndarray, base: np.ndarray, channel: str) -> np.ndarray:
    """What an effect may bend with, one row per row of the matrix (columns of ``CUSTOMER_FEATURES``)."""

    def column(name: str) -> np.ndarray:
        place = CUSTOMER_FEATURES.feature_names.index(name)
        return np.nan_to_num(matrix[:, place].astype(np.float64))

    stage = np.searchsorted(STAGES, column("past_due_days"), side="left")
    knots = np.array(KNOTS)
    parts = [(stage == at).astype(np.float64) for at in range(len(STAGES) + 1)]
    parts += [np.interp(np.clip(base, knots[0], knots[-1]), knots, hat) for hat in np.eye(len(knots))]
    fatigue = column("fatigue_score")
    parts += [
        np.minimum(fatigue, 4.0) / 2.0,
        np.exp(-fatigue),
        np.log1p(np.maximum(column("installment_amount"), 0)) / 5,
    ]
    parts += [np.clip(column(name), low, high) for name, low, high in PLAIN]
    parts.append(np.clip(column(f"{channel}_response_score"), -3.0, 3.0))
    return np.column_stack(parts)


def fit_outline(
    matrix: np.ndarray,
    base: np.ndarray,
    treatment: np.ndarray,
    paid: np.ndarray,
    channels: Sequence[str],
    *,
    steps: int = 12,
) -> EffectOutline:
    """The outline on contacts that reached somebody: what they paid beyond ``base``, the log odds when left alone.

    Newton's method on the logistic likelihood with ridge; channels that nobody was reached through keep the common
    weights. The problem is convex: the same rows give the same weights.
    """
    used = [np.flatnonzero(treatment == place) for place in range(len(channels))]
    parts = [
        np.column_stack([basis(matrix[mine], base[mine], name), np.ones(len(mine))])
        for mine, name in zip(used, channels, strict=True)
    ]
    width, count = parts[0].shape[1] - 1, len(channels)
    # the common weights first, then every channel's own with its level last
    own = [slice(width + place * (width + 1), width + (place + 1) * (width + 1)) for place in range(count)]
    size = width + count * (width + 1)
    pull = np.full(size, SHARED_PULL)
    for block in own:
        pull[block] = np.append(np.full(width, OWN_PULL), LEVEL_PULL)
    beta = np.zeros(size)
    for _ in range(steps):
        gradient, hessian = -pull * beta, np.diag(pull)
        for block, mine, part in zip(own, used, parts, strict=True):
            weights = beta[block] + np.append(beta[:width], 0.0)
            chance = expit(base[mine] + part @ weights)
            slope, bend = part.T @ (paid[mine] - chance), (part.T * (chance * (1 - chance))) @ part
            gradient[:width] += slope[:width]
            gradient[block] += slope
            hessian[:width, :width] += bend[:width, :width]
            hessian[block, block] += bend
            hessian[:width, block] += bend[:width]
            hessian[block, :width] += bend[:, :width]
        step = np.clip(np.linalg.solve(hessian, gradient), -1.0, 1.0)
        beta = beta + step
        if np.abs(step).max() < 1e-6:
            break
    found = [beta[block] + np.append(beta[:width], 0.0) for block in own]
    return EffectOutline(tuple(channels), tuple(tuple(map(float, row)) for row in found))
