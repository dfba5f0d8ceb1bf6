"""What the experiments ask for each member: held out, on the written ladder, or the product's plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.errors import RuleError

HOLD_OUT = "hold_out"
LADDER = "ladder"

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Arms:
    """What the experiments ask for each member, and how likely their draws made that; nothing for all others."""

    experiment_id: npt.NDArray[np.object_]
    arm_code: npt.NDArray[np.object_]
    is_held: Flags
    on_ladder: Flags
    held_probability: Floats
    ladder_probability: Floats

    @classmethod
    def of(cls, people: pd.DataFrame, arms: pd.DataFrame | None, *, is_model: bool) -> Arms:
        """The arms of ``people``, row by row; without a channel model there is no ladder beside the product.

        Raises:
            RuleError: a member has two arms.
        """
        size = len(people)
        if arms is None or arms.empty:
            none, never, zero = np.full(size, None, dtype=object), np.zeros(size, dtype=bool), np.zeros(size)
            return cls(none, none, never, never, zero, zero)
        if arms["customer_id"].duplicated().any():
            raise RuleError(
                "A member has two arms; give the one that decides, as puntual.experiments.assign.arms does."
            )
        mine = arms.set_index("customer_id").reindex(people["customer_id"])
        texts = mine[["experiment_id", "arm_code", "policy"]].astype(object)
        texts = texts.where(texts.notna(), None)
        ladder = mine["ladder_probability"].fillna(0.0).to_numpy(dtype=float)
        return cls(
            texts["experiment_id"].to_numpy(dtype=object),
            texts["arm_code"].to_numpy(dtype=object),
            (texts["policy"] == HOLD_OUT).to_numpy(dtype=bool),
            (texts["policy"] == LADDER).to_numpy(dtype=bool) & is_model,
            mine["hold_out_probability"].fillna(0.0).to_numpy(dtype=float),
            ladder if is_model else np.zeros(size),
        )
