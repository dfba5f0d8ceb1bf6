"""The training procedure repeated at past cut-offs, and judged month by month on what came after each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.default_risk.evaluate import LEAST_TEST_EVENTS, Fit, Judged, by_date
from models.default_risk.settings import DefaultRiskSettings
from models.estimators import BinnedMatrix, BoosterSettings

if TYPE_CHECKING:
    from models.default_risk.train import TargetRows

BACKTEST_DRAW_SHARE = 5
"""A backtest learns from a draw this many times smaller than the model's: it asks whether quality lasts, not how high
it could be."""


def backtest(
    part: TargetRows,
    binned: BinnedMatrix,
    booster: BoosterSettings,
    settings: DefaultRiskSettings,
    *,
    fit: Fit,
    seed: int,
) -> list[dict[str, Any]]:
    """One row per judged month, oldest first: its cut-off, row and event counts, AUC, Brier and ECE with intervals.

    1. The newest ``backtest_cuts`` blocks of ``test_date_count`` dates are judged, one cut-off each.
    2. Before a block, the procedure learns from the dates whose labels had matured by the block's first date.
    3. A block with too few events before or in it is left out; without any, the list is empty.
    """
    small = replace(
        settings,
        event_rows=max(1, settings.event_rows // BACKTEST_DRAW_SHARE),
        quiet_rows=max(1, settings.quiet_rows // BACKTEST_DRAW_SHARE),
    )
    values, days = part.dates.to_numpy(), np.sort(part.dates.unique())
    size, found = settings.test_date_count, []
    for cut in range(min(settings.backtest_cuts, len(days) // size)):
        judged_days = days[len(days) - size * (cut + 1) : len(days) - size * cut]
        known = values <= judged_days[0] - np.timedelta64(part.horizon_days, "D")
        learn, test = part.take(np.flatnonzero(known)), part.take(np.flatnonzero(np.isin(values, judged_days)))
        if min(learn.outcome.sum(), test.outcome.sum()) < LEAST_TEST_EVENTS:
            continue
        model, _ = fit(learn, binned, booster, small, seed=seed)
        score = model.probability(binned.matrix[test.rows], test.past_due_days, test.day_of_year, test.climate_expected)
        rows = by_date(Judged(test, {"puntual": score}), draws=settings.bootstrap_draws, seed=seed)
        found += [row | {"learnt_to": learn.dates.max().date()} for row in rows]
    return sorted(found, key=lambda row: row["as_of_date"])
