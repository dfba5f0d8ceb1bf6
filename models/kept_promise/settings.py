"""What counts as enough promises to learn from, and how the model is grown."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.estimators import BoosterSettings


@dataclass(frozen=True)
class KeptPromiseSettings:
    """Size of the model and the rule for doing without it.

    Trees are grown when at least ``least_promises`` promises are settled and at least ``least_of_each`` of them were
    kept and as many not. Otherwise a promise's probability is the member's own kept rate, drawn to the overall rate
    with the weight of ``member_weight`` promises; the overall rate, of looks at open promises, is drawn to one half
    with the weight of ``prior_weight`` looks. ``test_share``: the newest share of the rows that the card judges by.
    """

    least_promises: int = 200
    least_of_each: int = 40
    member_weight: float = 4.0
    prior_weight: float = 20.0
    test_share: float = 0.25
    calibration_share: float = 0.33
    most_rows: int = 60_000
    bootstrap_draws: int = 100
    n_jobs: int = 2
    booster: BoosterSettings = field(default_factory=lambda: BoosterSettings(rounds=80, min_rows_in_leaf=40, l2=20.0))
