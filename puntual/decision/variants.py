"""The plans of a day beside the product's own: what each does otherwise, what it compares, what its members are told.

An experiment compares policies. Today's written ladder is one; an arm that changes something (a :class:`Variant`) is
another: the product with other weights or with another version of the channel model, or another written ladder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.change_keys import FEE, LADDER, MODEL, PROVISION
from puntual.decision.policies import Ladder
from puntual.decision.scores import Scores
from puntual.decision.stability import Stability
from puntual.errors import RuleError
from puntual.strict import Strict

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

CHANCE_COLUMNS = ("customer_id", "plan_code", "probability")
SCORE_COLUMNS = (
    "customer_id",
    "channel_code",
    "gain_amount",
    "reach_probability",
    "pay_probability",
    "expected_amount",
    "is_supported",
    "model_version",
)


def plan_code(experiment_id: object, arm_code: object) -> str:
    """The name of the plan of an arm that changes something.

    >>> plan_code("peso-2026", "provision")
    'peso-2026/provision'
    """
    return f"{experiment_id}/{arm_code}"


class Variant(Strict):
    """What one arm does otherwise than the product does today; None: as today. With ``ladder`` it is a ladder's arm."""

    experiment_id: str
    arm_code: str
    provision_weight: float | None = None
    fee_weight: float | None = None
    channel_model: str | None = None
    ladder: Ladder | None = None

    @property
    def code(self) -> str:
        """The name of its plan."""
        return plan_code(self.experiment_id, self.arm_code)

    @property
    def changes(self) -> dict[str, float | str]:
        """What is changed, by the key under which it is written; a ladder by its name and version."""
        found = {
            PROVISION: self.provision_weight,
            FEE: self.fee_weight,
            MODEL: self.channel_model,
            LADDER: None if self.ladder is None else f"{self.ladder.id} v{self.ladder.version}",
        }
        return {key: value for key, value in found.items() if value is not None}


@dataclass(frozen=True)
class Variants:
    """The arms of a day that change something.

    ``plans``: one per arm. ``chances``: how likely the draws of its experiments made each member follow each plan,
    :data:`CHANCE_COLUMNS`; a pair that is not there is 0. ``channel_scores``: of the members concerned by the versions
    that are not the champion, :data:`SCORE_COLUMNS`; None: there are none.
    """

    plans: tuple[Variant, ...]
    chances: pd.DataFrame
    channel_scores: pd.DataFrame | None = None

    def chance_of(self, people: pd.DataFrame) -> Floats:
        """Plans x ``people``.

        Raises:
            RuleError: a member has two chances of one plan.
        """
        found = np.zeros((len(self.plans), len(people)))
        if self.chances[["customer_id", "plan_code"]].duplicated().any():
            raise RuleError("A member has two probabilities of one plan; give each pair once.")
        row = pd.Index(people["customer_id"]).get_indexer(pd.Index(self.chances["customer_id"]))
        plan = pd.Index([one.code for one in self.plans]).get_indexer(pd.Index(self.chances["plan_code"]))
        there = (row >= 0) & (plan >= 0)
        found[plan[there], row[there]] = self.chances["probability"].to_numpy(dtype=float)[there]
        return found

    def scores_of(self, version: str, today: pd.DataFrame | None) -> pd.DataFrame:
        """The channel scores by a version; ``today``: those of the champion.

        Raises:
            RuleError: nothing was scored by that version.
        """
        for frame in (today, self.channel_scores):
            if frame is not None and "model_version" in frame:
                mine = frame["model_version"] == version
                if mine.any():
                    return frame[mine]
        raise RuleError(
            f"There are no channel scores of the version {version}, which an arm asks for. Give those of the "
            "members who may follow it (Variants.channel_scores), or leave the arm out."
        )


@dataclass(frozen=True)
class Alternative:
    """A plan beside the product's; rows are members.

    ``by_channel``: its scores. ``scores``: the same by action, and ``weighed`` what the choice compares of them, with
    the ``stability`` that is in it (by action; None: none of its own). ``is_told``: whether its members are told its
    values. Beside a model a ladder has no money, and they are told the product's, as what is known of the contact.
    """

    by_channel: Scores
    scores: Scores
    weighed: Scores
    stability: Stability | None
    is_told: bool

    @classmethod
    def of_ladder(cls, by_channel: Scores, by_action: Scores, *, is_model: bool) -> Alternative:
        """A written ladder; ``by_action`` has the preference for hours in it, if there are bands."""
        return cls(by_channel, by_action, by_action, None, not is_model)

    @classmethod
    def of_product(cls, by_channel: Scores, by_action: Scores, stability: Stability) -> Alternative:
        """The product with something changed; ``stability`` by action."""
        weighed = replace(by_action, worth=by_action.worth + stability.head_start)
        return cls(by_channel, by_action, weighed, stability, True)

    @property
    def wanted(self) -> Flags:
        """Whether each channel is worth something, whatever the rules say."""
        return worth_something(self.by_channel)


def worth_something(scores: Scores) -> Flags:
    """Actions that ``scores`` vouch for and that are worth more than nothing."""
    return np.asarray(scores.supported & (np.nan_to_num(scores.worth) > 0), dtype=bool)


def of_own_plan(own: Ints, values: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Each row from the array of its plan: ``own`` is its place in ``values``.

    >>> of_own_plan(np.array([0, 1]), [np.array([1, 2]), np.array([5, 6])]).tolist()
    [1, 6]
    """
    found = values[0]
    for number in range(1, len(values)):
        mine = (own == number)[(...,) + (None,) * (found.ndim - 1)]
        found = np.where(mine, values[number], found)
    return found


def told_scores(scores: Scores, others: Sequence[Alternative], own: Ints) -> Scores:
    """``scores`` with the rows of those who follow another plan by that plan's values, where it is told."""
    for number, one in enumerate(others, start=1):
        mine = own == number
        if not one.is_told or not mine.any():
            continue
        other, chosen = one.by_channel, mine.astype(np.int64)
        scores = replace(
            scores,
            gain=of_own_plan(chosen, [scores.gain, other.gain]),
            worth=of_own_plan(chosen, [scores.worth, other.worth]),
            reach=of_own_plan(chosen, [scores.reach, other.reach]),
            supported=of_own_plan(chosen, [scores.supported, other.supported]),
            provision=of_own_plan(chosen, [scores.provision, other.provision]),
            fee=of_own_plan(chosen, [scores.fee, other.fee]),
            chargeable_fee=of_own_plan(chosen, [scores.chargeable_fee, other.chargeable_fee]),
        )
    return scores


def told_stability(stability: Stability, others: Sequence[Alternative], own: Ints) -> Stability:
    """``stability`` with the rows of those who follow another plan by that plan's head starts; by action."""
    for number, one in enumerate(others, start=1):
        if one.stability is not None and (own == number).any():
            mine = (own == number).astype(np.int64)
            stability = replace(
                stability,
                stay=of_own_plan(mine, [stability.stay, one.stability.stay]),
                hours=of_own_plan(mine, [stability.hours, one.stability.hours]),
            )
    return stability


def parts_of(free: Ints, portions: Floats, lots: Floats) -> Ints:
    """Whole units of every capacity for each plan beside the product's: plans x capacities; the rest is the product's.

    1. First all the others get their portions together of ``free``, then the first of them its portion of that, and so
       on: each split to within one unit.
    2. Whom rounding favours is drawn anew each day, by ``lots``, one number in [0, 1) per plan: in the expectation each
       has exactly its part, of a capacity of one unit too. With lots of 0 the product is favoured.
    3. One unit more is one more for one plan and none less for the others; so whoever gives a unit back takes nothing
       from anybody. (Portions that are each rounded by themselves do not have that.)

    >>> free = np.array([1, 5])
    >>> [parts_of(free, np.array([0.5]), np.array([lot])).tolist() for lot in (0.0, 0.4, 0.6)]
    [[[0, 2]], [[0, 2]], [[1, 3]]]
    >>> parts_of(free, np.array([0.25, 0.25]), np.array([0.6, 0.1])).tolist()
    [[0, 1], [1, 2]]
    """
    found = np.zeros((len(portions), len(free)), dtype=np.int64)
    if not len(portions):
        return found
    rest = _part(free, float(portions.sum()), lots[0])
    for number in range(len(portions) - 1):
        total = float(portions[number:].sum())
        found[number] = _part(rest, float(portions[number]) / total if total > 0 else 0.0, lots[number + 1])
        rest = rest - found[number]
    found[-1] = rest
    return found


def _part(units: Ints, portion: float, lot: float) -> Ints:
    return np.minimum(np.floor(units * portion + lot).astype(np.int64), units)
