"""What default means for an institution and how the model is grown."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.estimators import BoosterSettings


@dataclass(frozen=True)
class DefaultRiskSettings:
    """Definition of both targets and the size of the model.

    Default: past-due days reach ``past_due_days`` on any day of ``(T, T + horizon_days]``, for loans below it at T.
    Early warning: the same with ``early_past_due_days`` and ``early_horizon_days``.
    ``event_rows`` and ``quiet_rows`` bound what one booster is grown on; rows with and without the event are drawn
    separately and weighted back, since many as-of dates of one book say the same thing many times. The trees learn
    slowly: at twice the rate they overfit (.002 of AUC on worlds with a known truth). ``bootstrap_draws``
    and ``backtest_cuts`` bound what the card costs.
    """

    past_due_days: int = 90
    horizon_days: int = 182
    early_past_due_days: int = 30
    early_horizon_days: int = 91
    test_date_count: int = 3
    least_event_loans: int = 40
    event_rows: int = 20_000
    quiet_rows: int = 40_000
    bootstrap_draws: int = 100
    backtest_cuts: int = 4
    n_jobs: int = 2
    booster: BoosterSettings = field(default_factory=lambda: BoosterSettings(learning_rate=0.05))
