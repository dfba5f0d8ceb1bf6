"""How the channel model is grown and judged."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.estimators import BoosterSettings
from models.features import FeatureSpec

THROUGH_REACH, INTENTION_TO_TREAT, CONSTANT = "effect_through_reach", "intention_to_treat", "constant_effect"
S_LEARNER, T_LEARNER, X_LEARNER = "s_learner", "t_learner", "x_learner"
R_LEARNER, DR_LEARNER, BEST_ARM = "r_learner", "dr_learner", "best_arm"
CAUSAL_FOREST, POLICY_TREE = "causal_forest", "policy_tree"
CANDIDATES = (
    THROUGH_REACH,
    INTENTION_TO_TREAT,
    X_LEARNER,
    S_LEARNER,
    R_LEARNER,
    DR_LEARNER,
    T_LEARNER,
    CAUSAL_FOREST,
    POLICY_TREE,
    CONSTANT,
)
"""Learners that compete, in the order of trust."""


@dataclass(frozen=True)
class ContactChannelSettings:
    """Size of the model, what counts as enough evidence, and how a plan is judged.

    ``candidates``: the learners that compete, trusted in the order of :data:`CANDIDATES`; the effect through reach, the
    S-learner and the constant always.
    ``least_attempts`` and ``least_reached``: below them a channel has no effect model of its own and its gain is 0.
    ``booster_rows``: a booster of a response is grown on at most so many rows, drawn; more do not make it better.
    ``evaluation_rows``: the contest of the learners rests on at most so many rows (half as many are held out), and
    ``claim_rows``: the chosen one is learnt again on at most so many of the same weeks before its claims are measured,
    on at most a quarter as many held out.
    ``contest_rows``: what the learners by pseudo-outcome rest on is made for at most so many rows, drawn.
    ``spec``: the columns of the matrix, when they are not those of the feature table.
    ``support_propensity``: a member for whom the past chose a channel less often than this is not supported there.
    """

    candidates: tuple[str, ...] = CANDIDATES
    response_window_days: int = 7
    test_weeks: int = 12
    least_attempts: int = 200
    least_reached: int = 100
    support_propensity: float = 0.005
    support_rows: int = 40_000
    evaluation_rows: int = 50_000
    claim_rows: int = 400_000
    booster_rows: int = 80_000
    contest_rows: int = 20_000
    weight_clip: float = 20.0
    bootstrap_draws: int = 400
    n_jobs: int = 2
    spec: FeatureSpec | None = None
    base: BoosterSettings = field(default_factory=lambda: BoosterSettings(min_rows_in_leaf=200, l2=20.0))
    reach: BoosterSettings = field(default_factory=lambda: BoosterSettings(rounds=60, min_rows_in_leaf=100, l2=20.0))
    effect: BoosterSettings = field(
        default_factory=lambda: BoosterSettings(
            rounds=120, learning_rate=0.04, feature_share=0.3, min_rows_in_leaf=600, l2=30.0
        )
    )
    difference: BoosterSettings = field(
        default_factory=lambda: BoosterSettings(rounds=40, feature_share=0.6, min_rows_in_leaf=200, l2=30.0)
    )
    forest: BoosterSettings = field(
        default_factory=lambda: BoosterSettings(rounds=100, num_leaves=16, min_rows_in_leaf=100, feature_share=0.4)
    )
    policy_depth: int = 3
    amount: BoosterSettings = field(default_factory=lambda: BoosterSettings(rounds=60, min_rows_in_leaf=200, l2=20.0))
    propensity: BoosterSettings = field(
        default_factory=lambda: BoosterSettings(rounds=60, learning_rate=0.1, min_rows_in_leaf=50, l2=20.0)
    )
