"""The horizon, the size of the model, and how it is back-tested."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.estimators import BoosterSettings


@dataclass(frozen=True)
class RecoverySettings:
    """How expected recovery is grown and judged.

    ``confidence`` is that of the stored intervals; ``further_confidence`` is measured beside it in the card.
    Each confidence has two quantile models of its own, which the conformal step then moves.
    ``backtest_dates``: newest dates that are held out, ``backtest_block`` of them at a time with one model.
    ``correction_dates``: newest matured dates whose residual corrects the level; ``correction_weights``: the shares of
    it that the back-test chooses from, 0 being none.
    ``least_rows``, ``least_dates``: fewer than these say nothing, and expected recovery is off.
    """

    horizon_days: int = 30
    confidence: float = 0.9
    further_confidence: float = 0.8
    tweedie_power: float = 1.3
    backtest_dates: int = 8
    backtest_block: int = 2
    correction_dates: int = 3
    correction_weights: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    least_rows: int = 600
    least_dates: int = 5
    most_rows: int = 60_000
    n_jobs: int = 2
    mean: BoosterSettings = field(default_factory=lambda: BoosterSettings(rounds=80, min_rows_in_leaf=100, l2=20.0))
    quantile: BoosterSettings = field(default_factory=lambda: BoosterSettings(rounds=50, min_rows_in_leaf=100, l2=20.0))
