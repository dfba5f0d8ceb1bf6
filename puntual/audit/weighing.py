"""What the figures of a row of the log say of each channel: why the plan took one and left the others.

Read off the row alone, so that what is said can be held against what is shown. A channel's surplus is its net less the
price of its capacity; the choice also counted the head start of the last list's action and the hours, and first of all
what a rule asks for. An entry written before those were logged has none of them, and then less is said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from puntual.decision.explain import TIE

DRAWN, LADDER, DUTY = "drawn", "ladder", "duty"
BEST, KEPT, HOURS, KEPT_HOURS, WHOLE = "best", "kept", "hours", "kept_hours", "whole"
Item = Mapping[str, Any]


def surplus(one: Item) -> float | None:
    """Net less the price of the capacity; None where either is not known."""
    net, price = one["net_amount"], one["price_amount"]
    return None if net is None or price is None or net != net or price != price else float(net) - float(price)


@dataclass(frozen=True)
class Verdict:
    """A code of what is said, and the figures that it names.

    ``lead``: by how much the other choice has more left by itself. ``stay``: the head start that outweighs it.
    """

    code: str
    lead: float = 0.0
    stay: float = 0.0


@dataclass(frozen=True)
class Weighing:
    """One row of the log. ``channels``: its items; ``codes``: its reason codes; ``is_money``: a model valued them."""

    channels: Sequence[Item]
    codes: Sequence[str]
    is_contact: bool
    is_exploration: bool
    is_money: bool

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Weighing:
        """Of a row as :func:`puntual.audit.log.person` gives it."""
        items = row["channels"]
        return cls(
            items,
            json.loads(row["reason_codes"]),
            row["action"] != "none",
            bool(row["is_exploration"]),
            any(one["gain_amount"] is not None for one in items),
        )

    @property
    def chosen(self) -> Item:
        """The item of the contact."""
        return next(one for one in self.channels if one["is_chosen"])

    def ground(self) -> Verdict:
        """On what a contact rests: the draw, a rule, the ladder, its own figures, or what outweighed those of others.

        ``best``: no other permitted and supported channel has more left, and it has no less than no contact.
        """
        if self.is_exploration:
            return Verdict(DRAWN)
        if "MINIMUM_DUTY" in self.codes:
            return Verdict(DUTY)
        if not self.is_money or "LADDER_STEP" in self.codes:
            return Verdict(LADDER)
        mine = surplus(self.chosen)
        if mine is None:
            return Verdict(WHOLE)
        others = [one for one in self.channels if not one["is_chosen"] and one["is_allowed"] and one["is_supported"]]
        better = [(left, _head_start(one)) for one in others if (left := surplus(one)) is not None and left > mine]
        if mine < 0:
            better.append((0.0, 0.0))  # no contact at all
        lead = max((left for left, _ in better), default=mine) - mine
        if lead <= TIE:
            return Verdict(BEST)
        told = [self._outweighed(left - mine, head_start) for left, head_start in better]
        code = next((one for one in (WHOLE, KEPT_HOURS, HOURS, KEPT) if one in told), WHOLE)
        return Verdict(code, lead, _part(self.chosen, "stay_amount"))

    def of_channel(self, one: Item) -> Verdict:
        """Why a permitted channel that was not chosen was not."""
        net, left = one["net_amount"], surplus(one)
        if not self.is_money:
            return Verdict("")
        if not one["is_supported"]:
            return Verdict("unsupported")
        ground = self.ground() if self.is_contact else None
        if ground is not None and ground.code == LADDER:
            return Verdict("ladder_decides")
        if net is not None and net <= 0:
            return Verdict("costs_more")
        if left is None:
            return Verdict("unserved" if net is not None else "")
        if ground is not None and ground.code == DUTY and not one.get("meets_duty"):
            return Verdict("duty_decides" if one.get("meets_duty") is None else "misses_duty")
        if left < -TIE:
            return Verdict("price_higher")
        if self.is_exploration:
            return Verdict("")
        if ground is None:
            if left <= TIE:
                return Verdict("price_equal")
            return Verdict("hours_worse" if left + _head_start(one) <= TIE else "")
        mine = surplus(self.chosen)
        if mine is None:
            return Verdict("duty_decides" if ground.code == DUTY else "")
        if left <= mine + TIE:
            return Verdict("less_than_chosen")
        stay = _part(self.chosen, "stay_amount")
        return Verdict(f"{self._outweighed(left - mine, _head_start(one))}_other", left - mine, stay)

    def _outweighed(self, lead: float, head_start: float) -> str:
        """What outweighs the lead of another choice that itself counts ``head_start`` more."""
        stay = _part(self.chosen, "stay_amount")
        if lead <= stay + TIE:
            return KEPT
        if lead <= _head_start(self.chosen) - head_start + TIE:
            return KEPT_HOURS if stay > 0 else HOURS
        return WHOLE


def _part(one: Item, name: str) -> float:
    value = one.get(name)
    return 0.0 if value is None or value != value else float(value)


def _head_start(one: Item) -> float:
    return _part(one, "stay_amount") + _part(one, "hours_amount")
