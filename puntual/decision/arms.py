"""What the experiments ask for each member: held out, the product's plan, or another one beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.variants import Variant, Variants, plan_code
from puntual.errors import RuleError

HOLD_OUT = "hold_out"
LADDER = "ladder"
_NEVER = 1e-12
"""What is left of 1 after the other probabilities are taken off, where nothing should be."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Arms:
    """What the experiments ask for each member, and how likely their draws made that; nothing for all others.

    ``plans``: those beside the product's; None is the written ladder of the day. ``plan``: the one of each member's
    arm, 0 for the product's, else its place among ``plans`` from 1 on. ``chance``: plans x members.
    """

    experiment_id: npt.NDArray[np.object_]
    arm_code: npt.NDArray[np.object_]
    is_held: Flags
    held_probability: Floats
    plans: tuple[Variant | None, ...]
    plan: Ints
    chance: Floats
    is_model: bool = True

    @classmethod
    def of(
        cls, people: pd.DataFrame, arms: pd.DataFrame | None, variants: Variants | None = None, *, is_model: bool
    ) -> Arms:
        """The arms of ``people``, row by row; without a channel model today's ladder is no plan beside the product's.

        Of ``variants`` those alone are plans that somebody may follow.

        Raises:
            RuleError: a member has two arms, or an arm that somebody may follow changes what only a channel model makes
                count and there is none.
        """
        size = len(people)
        nobody = np.zeros(size, dtype=np.int64)
        if arms is None or arms.empty:
            none, zero = np.full(size, None, dtype=object), np.zeros(size)
            return cls(none, none, zero > 0, zero, (), nobody, np.zeros((0, size)), is_model)
        if arms["customer_id"].duplicated().any():
            raise RuleError(
                "A member has two arms; give the one that decides, as puntual.experiments.assign.arms does."
            )
        mine = arms.set_index("customer_id").reindex(people["customer_id"])
        texts = mine[["experiment_id", "arm_code", "policy"]].astype(object)
        texts = texts.where(texts.notna(), None)
        named = [plan_code(*pair) for pair in zip(texts["experiment_id"], texts["arm_code"], strict=True)]
        chance = np.zeros((0, size)) if variants is None else variants.chance_of(people)
        every = () if variants is None else variants.plans
        # an arm that nobody can follow today has no plan, and needs no scores
        followed = set(named)
        asked = [place for place, one in enumerate(every) if one.code in followed or (chance[place] > 0.0).any()]
        changed, chance = tuple(every[place] for place in asked), chance[asked]
        for one in changed:
            if one.ladder is None and not is_model:
                raise RuleError(
                    f"The arm {one.code} changes the product, which is the ladder without a channel model. Give "
                    "channel scores, or leave the arm out; two ladders can be compared without."
                )
        codes = pd.Index([one.code for one in changed])
        variant = codes.get_indexer(pd.Index(named, dtype=object)) if changed else np.full(size, -1)
        steps = mine["ladder_probability"].fillna(0.0).to_numpy(dtype=float)
        by_steps = (texts["policy"] == LADDER).to_numpy(dtype=bool) & (variant < 0) & is_model
        has_steps = is_model and bool(steps.any() or by_steps.any())
        first = 2 if has_steps else 1
        return cls(
            texts["experiment_id"].to_numpy(dtype=object),
            texts["arm_code"].to_numpy(dtype=object),
            (texts["policy"] == HOLD_OUT).to_numpy(dtype=bool),
            mine["hold_out_probability"].fillna(0.0).to_numpy(dtype=float),
            (None, *changed) if has_steps else changed,
            np.where(variant >= 0, variant + first, by_steps.astype(np.int64)).astype(np.int64),
            np.vstack([steps[None, :], chance]) if has_steps else chance,
            is_model,
        )

    @property
    def on_ladder(self) -> Flags:
        """Who follows a written ladder beside a channel model."""
        ladders = [place for place, one in enumerate(self.plans, start=1) if one is None or one.ladder is not None]
        return np.isin(self.plan, ladders) & self.is_model

    @property
    def is_changed(self) -> bool:
        """Whether a plan of the day changes something."""
        return any(one is not None for one in self.plans)

    @property
    def product(self) -> Floats:
        """Probability of the product's plan."""
        left = 1.0 - self.held_probability
        for one in self.chance:
            left = left - one
        return left

    @property
    def alone(self) -> Flags:
        """Who follows the product's plan in every draw."""
        return (self.held_probability == 0.0) & (self.chance == 0.0).all(axis=0)

    @property
    def portions(self) -> Floats:
        """Part of the members who are planned for that each plan is expected to have, by plan."""
        total = max(float((1.0 - self.held_probability).sum()), 1.0)
        return np.array([float(one.sum()) / total for one in self.chance])

    def unasked(self) -> Flags:
        """Who follows the product's plan in no draw, and may follow one that changes something."""
        changed = [place for place, one in enumerate(self.plans) if one is not None]
        return np.asarray((self.product <= _NEVER) & (self.chance[changed] > 0).any(axis=0), dtype=bool)
