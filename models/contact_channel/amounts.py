"""What is paid if anything is paid: a scale out of what is owed, and trees on top of it."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from scipy.optimize import nnls

from models.contact_channel.rows import ChannelRows, draw, tuned
from models.contact_channel.settings import ContactChannelSettings
from models.estimators import BinnedMatrix, BinnedPart, raw_score

LEAST_AMOUNT = 0.01
LEAST_SHARE = 0.01
"""Of an instalment: an amount is a factor on the scale, so the scale is never 0."""


@dataclass(frozen=True)
class AmountModel:
    """Expected amount if something is paid = scale x what the trees say.

    The scale is ``of_one`` of the next instalment (of what is collectable, if that is less) and ``of_more`` of what is
    collectable beyond it. Those who owe many instalments and pay are too few for trees to find how their payments
    grow with what they owe.
    """

    booster: lgb.Booster
    of_one: float
    of_more: float

    def expected(
        self, matrix: np.ndarray, collectable: np.ndarray, installment: np.ndarray, *, n_jobs: int
    ) -> np.ndarray:
        """The expected amount if something is paid."""
        one, more = _parts(collectable, installment)
        grown = raw_score(self.booster, matrix, n_jobs=n_jobs)
        return np.asarray(np.exp(grown) * (self.of_one * one + self.of_more * more))

    def of(self, rows: ChannelRows, *, n_jobs: int) -> np.ndarray:
        """The expected amount of rows to learn from or to judge."""
        return self.expected(rows.matrix, rows.collectable, rows.installment, n_jobs=n_jobs)


def fit_amount(
    rows: ChannelRows, binned: BinnedMatrix | BinnedPart, settings: ContactChannelSettings, *, seed: int
) -> AmountModel:
    """The amounts of the rows that paid; right on the sum of money."""
    paid = draw(np.flatnonzero(rows.paid_amount > 0), settings.booster_rows, seed=seed)
    money = rows.paid_amount[paid]
    one, more = _parts(rows.collectable[paid], rows.installment[paid])
    # amounts scatter about as widely as they are large
    weight = 1.0 / np.maximum(one + more, LEAST_AMOUNT)
    (of_one, of_more), _ = nnls(np.column_stack([one, more]) * weight[:, None], money * weight)
    of_one = max(of_one, LEAST_SHARE)
    scale = of_one * one + of_more * more
    level, mean = money.sum() / scale.sum(), money.mean()
    booster = binned.grow(
        money / mean,
        rows=paid,
        objective="poisson",
        offset=np.log(scale * level / mean),
        settings=tuned(settings.amount, settings, seed, len(paid)),
        poisson_max_delta_step=0.3,
    )
    return AmountModel(booster, float(of_one * level), float(of_more * level))


def _parts(collectable: np.ndarray, installment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One instalment, or what is collectable if that is less, and what is collectable beyond it."""
    one = np.fmin(collectable, np.where(installment > 0, installment, np.inf))
    one = np.maximum(np.nan_to_num(one, posinf=LEAST_AMOUNT), LEAST_AMOUNT)
    return one, np.maximum(np.nan_to_num(collectable) - one, 0.0)
