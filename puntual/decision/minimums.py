"""Contacts that a rule asks for: served before everything else, as many as the rules and the capacities allow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.allocate import most_served
from puntual.decision.capacity import Capacity
from puntual.decision.scores import Scores
from puntual.errors import RuleError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Minimums:
    """Which contacts are owed, and who of the members gets one today; arrays by row of the members.

    ``channels``: rows x channels that meet the duty and are allowed. ``is_owed``: whether a duty is open, met today or
    not. ``must``: served today. ``used``: what serving them takes of each capacity at least, so that it fits.
    """

    channels: Flags
    is_owed: Flags
    is_last: Flags
    must: Flags
    used: Ints
    worth: Floats

    @classmethod
    def of(
        cls,
        people: pd.DataFrame,
        duties: pd.DataFrame | None,
        allowed: Flags,
        scores: Scores,
        offered: Sequence[Capacity],
        channels: Sequence[str],
        is_held: Flags,
        channel_of: Sequence[str] | None = None,
    ) -> Minimums:
        """Who is served: the last chances first, then as many others as fit, then the greatest value.

        A member whom an experiment holds out is served on the last day only.

        Args:
            people: the members, row by row.
            duties: customer_id, rule_id, channels (JSON list), is_last_chance; others than of ``people`` are ignored.
            allowed: rows x channels, by the rules.
            scores: of the members; an action without an estimate is worth its cost, lost.
            offered: capacities.
            channels: names of the columns.
            is_held: whom an experiment holds out.
            channel_of: channel of each column, where columns are channels at some hours; None: ``channels``.

        Raises:
            RuleError: a duty names its channels in another way than as a JSON list.
        """
        size, width = allowed.shape
        meets, is_owed, is_last = (
            np.zeros((size, width), dtype=bool),
            np.zeros(size, dtype=bool),
            np.zeros(size, dtype=bool),
        )
        worth = np.where(scores.supported & np.isfinite(scores.worth), scores.worth, -scores.cost[None, :])
        none = np.zeros(len(offered), dtype=np.int64)
        if duties is None or duties.empty:
            return cls(meets, is_owed, is_last, is_owed.copy(), none, worth)
        row = pd.Index(people["customer_id"]).get_indexer(pd.Index(duties["customer_id"]))
        names = [_listed(text) for text in duties["channels"]]
        for place, listed, last in zip(row, names, duties["is_last_chance"].astype(bool), strict=True):
            if place < 0:
                continue
            mine = np.isin(np.array(channel_of or channels, dtype=object), listed)
            # of several duties the most urgent decides the channels; of equal ones any that meets them all, if there is
            both = meets[place] & mine
            if (last and not is_last[place]) or not is_owed[place]:
                meets[place] = mine
            elif last == is_last[place] and both.any():
                meets[place] = both
            is_owed[place], is_last[place] = True, is_last[place] | last
        meets &= allowed
        asked = np.flatnonzero(is_owed & meets.any(axis=1) & (~is_held | is_last))
        must, used = np.zeros(size, dtype=bool), none
        if asked.size:
            served = most_served(
                is_last[asked],
                worth[asked],
                meets[asked],
                offered,
                channels=channels,
                zones=people["zone"].to_numpy(dtype=object)[asked],
            )
            must[asked[served.choice >= 0]] = True
            used = served.used
        return cls(meets, is_owed, is_last, must, used, worth)

    def summary(self) -> dict[str, Any]:
        """Counts of members: owed, served today, last chances, and last chances that nobody can serve."""
        return {
            "duty_owed_count": int(self.is_owed.sum()),
            "duty_served_count": int(self.must.sum()),
            "duty_last_chance_count": int(self.is_last.sum()),
            "duty_last_chance_missed_count": int((self.is_last & ~self.must).sum()),
        }


def _listed(text: object) -> list[str]:
    listed = json.loads(text) if isinstance(text, str) else text
    if not isinstance(listed, list | tuple):
        raise RuleError(f"The channels of a duty are a JSON list of names, not {text!r}.")
    return [str(name) for name in listed]
