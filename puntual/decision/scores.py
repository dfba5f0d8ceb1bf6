"""What each action is worth to each member: the estimates of the channel model, or the order of the written ladder."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.policies import Ladder
from puntual.decision.value import STAKE_COLUMNS, provision_avoided
from puntual.errors import RuleError

_LADDER_STEP_DOWN = 0.8

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scores:
    """Per member and channel: gain, what is compared (``worth``), and whether the estimate is to be trusted.

    ``worth`` is money when ``is_model``: gain, provision avoided and fee, less cost. On the ladder it is an order of
    precedence without unit. ``fee`` is what is expected of the fee and counts; ``chargeable_fee`` is what may be
    charged for the contact, whatever counts: 0 where none may, NaN where no table of fees is known.
    """

    is_model: bool
    gain: Floats
    cost: Floats
    worth: Floats
    reach: Floats
    supported: Flags
    provision: Floats
    fee: Floats
    chargeable_fee: Floats

    @classmethod
    def of(
        cls,
        people: pd.DataFrame,
        channel_scores: pd.DataFrame | None,
        channels: list[str],
        ladder: Ladder,
        cost: Floats,
        *,
        stakes: pd.DataFrame | None = None,
        provision_weight: float = 0.0,
        fee_weight: float = 0.0,
        free: Flags | None = None,
    ) -> Scores:
        """Scores of ``people`` through ``channels``; the ladder's order where ``channel_scores`` is None.

        ``free``: contacts that are free of charge for the member, rows x channels.

        Raises:
            RuleError: a member and channel is scored twice.
        """
        shape = (len(people), len(channels))
        mine_at, charge = None, np.full(shape, np.nan)
        if stakes is not None:
            if stakes["customer_id"].duplicated().any():
                raise RuleError("A member has two rows of stakes; give those of one as-of date only.")
            mine_at = stakes.set_index("customer_id")[list(STAKE_COLUMNS[1:])].reindex(people["customer_id"])
            charge = _chargeable(mine_at, channels, free)
        if channel_scores is None:
            worth = ladder_worth(people, ladder, channels)
            empty = np.full(shape, np.nan)
            return cls(False, empty, cost, worth, empty, np.isfinite(worth), empty, empty, charge)
        row = pd.Index(people["customer_id"]).get_indexer(pd.Index(channel_scores["customer_id"]))
        column = pd.Index(channels).get_indexer(pd.Index(channel_scores["channel_code"]))
        mine = (row >= 0) & (column >= 0)
        place = (row[mine], column[mine])
        if np.unique(place[0] * shape[1] + place[1]).size != place[0].size:
            raise RuleError("The channel scores have a member and channel twice; score one as-of date only.")
        gain, reach = np.full(shape, np.nan), np.full(shape, np.nan)
        supported = np.zeros(shape, dtype=bool)
        gain[place] = channel_scores["gain_amount"].to_numpy(dtype=float)[mine]
        reach[place] = channel_scores["reach_probability"].to_numpy(dtype=float)[mine]
        supported[place] = channel_scores["is_supported"].eq(True).to_numpy(dtype=bool)[mine]
        supported &= np.isfinite(gain)
        nothing = np.zeros(shape)
        scores = cls(True, gain, cost, gain - cost, reach, supported, nothing, nothing, charge)
        if mine_at is None or not (provision_weight or fee_weight):
            return scores
        expected, pay = np.full(shape, np.nan), np.full(shape, np.nan)
        expected[place] = channel_scores["expected_amount"].to_numpy(dtype=float)[mine]
        pay[place] = channel_scores["pay_probability"].to_numpy(dtype=float)[mine]
        provision = provision_weight * provision_avoided(gain, expected, pay, mine_at)
        fee = fee_weight * np.nan_to_num(charge) * np.nan_to_num(reach)
        return replace(scores, provision=provision, fee=fee, worth=gain + provision + fee - cost)

    @property
    def benefit(self) -> Floats:
        """What an action brings before its cost."""
        return self.gain + self.provision + self.fee


def _chargeable(stakes: pd.DataFrame, channels: list[str], free: Flags | None) -> Floats:
    listed = stakes["fee_channels"].fillna("[]").to_numpy(dtype=object)
    codes, texts = pd.factorize(listed)
    inside = np.array([np.isin(channels, json.loads(text)) for text in texts]).reshape(len(texts), len(channels))
    may = inside[codes] if len(texts) else np.zeros((len(stakes), len(channels)), dtype=bool)
    if free is not None:
        may = may & ~free
    amount = stakes["fee_amount"].to_numpy(dtype=float)[:, None]
    return np.where(np.isnan(amount), np.nan, np.where(may, amount, 0.0))


def ladder_worth(people: pd.DataFrame, ladder: Ladder, channels: list[str]) -> Floats:
    """What the written ladder compares, without unit: the later member first, then the larger amount.

    Rows x channels; each next channel of a step counts 20 % less, NaN where the step does not have the channel.

    Args:
        people: ``past_due_days`` and ``collectable_amount`` (what is owed now and within the response window).
        ladder: order of channels by past-due days.
        channels: channels offered.
    """
    days = people["past_due_days"].to_numpy(dtype=float)
    amount = people["collectable_amount"].fillna(0).to_numpy(dtype=float)
    order = np.lexsort((np.arange(len(people)), -amount, -days))
    precedence = np.empty(len(people))
    precedence[order] = np.linspace(2.0, 1.0, len(people)) if len(people) else []
    worth = np.full((len(people), len(channels)), np.nan)
    for step in ladder.steps:
        inside = (days >= step.min_days) & (days <= (np.inf if step.max_days is None else step.max_days))
        for position, channel in enumerate(step.channels):
            if channel in channels:
                worth[inside, channels.index(channel)] = precedence[inside] * _LADDER_STEP_DOWN**position
    return worth
