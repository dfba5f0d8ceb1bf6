"""Yesterday's list is left only for a gain: who works it should not find it turned over for cents.

An action of yesterday that was not carried out keeps a head start over the others, so that the choice changes only
where the plan as a whole gains more than that. The head start is no value: it enters the choice, never the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.errors import RuleError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stability:
    """What the choice adds to the values of the actions, rows x channels, in money.

    ``stay``: head start of yesterday's action. ``hours``: what an action counts for more or less for its hours, see
    ``Bands.preference``. ``before``: yesterday's column of each row that may be kept, or -1.
    """

    stay: Floats
    hours: Floats
    before: npt.NDArray[np.int64]

    @property
    def head_start(self) -> Floats:
        """Both together."""
        return self.stay + self.hours

    @classmethod
    def of(
        cls,
        people: pd.DataFrame,
        earlier: pd.DataFrame | None,
        interactions: pd.DataFrame,
        channels: Sequence[str],
        worth: Floats,
        *,
        amount: float,
        share: float,
    ) -> Stability:
        """The head start of yesterday's actions: the larger of ``amount`` and ``share`` of what the action is worth.

        None for an action that was carried out: an outbound attempt through its channel on its day or later.

        Args:
            people: the members, row by row.
            earlier: as_of_date, customer_id, action of the last day that was decided before; None: there is none.
            interactions: fct_interactions.
            channels: names of the columns.
            worth: value of each action, rows x channels.
            amount: in money; 0 and ``share`` 0 switch the head start off.
            share: of the worth.

        Raises:
            RuleError: a member has two earlier actions.
        """
        stay, before = np.zeros(worth.shape), np.full(len(people), -1, dtype=np.int64)
        hours = np.zeros(worth.shape)
        if earlier is None or earlier.empty:
            return cls(stay, hours, before)
        if earlier["customer_id"].duplicated().any():
            raise RuleError("A member has two earlier actions; give the decisions of one day only.")
        chosen = undone(earlier, interactions)
        row = pd.Index(people["customer_id"]).get_indexer(pd.Index(chosen["customer_id"]))
        column = pd.Index(channels).get_indexer(pd.Index(chosen["action"]))
        there = (row >= 0) & (column >= 0)
        row, column = row[there], column[there]
        before[row] = column
        # only what is worth doing by itself is kept
        mine = np.nan_to_num(worth[row, column])
        stay[row, column] = np.where(mine > 0, np.maximum(amount, share * mine), 0.0)
        return cls(stay, hours, before)


def undone(earlier: pd.DataFrame, interactions: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``earlier`` whose action was not carried out: no outbound attempt through it on its day or later."""
    chosen = earlier[earlier["action"] != "none"]
    attempts = interactions.loc[
        interactions["direction_code"] == "outbound", ["customer_id", "channel_code", "occurred_date"]
    ]
    done = chosen.merge(attempts, left_on=["customer_id", "action"], right_on=["customer_id", "channel_code"])
    is_late = pd.to_datetime(done["occurred_date"]) >= pd.to_datetime(done["as_of_date"])
    return chosen[~chosen["customer_id"].isin(done.loc[is_late, "customer_id"])]
