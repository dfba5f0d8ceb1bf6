"""What if: the day decided again with something changed, beside how it was. Pure: arguments in, two decisions out.

A change is a key and a value. Keys are those of ``puntual.yaml`` where there is one, and the team's capacity:

    channels.<channel>.capacity      contacts a day: of messages the limit, of calls and visits what the team does; it
                                     takes a limit and a budget along, by the same part. What the rules on a whole list
                                     allow stays
    channels.<channel>.daily_capacity   of calls and visits: their limit beside what the team does, alone
    channels.<channel>.daily_budget  what the contacts of a day may cost, alone; with the cost of one it is a number of
                                     contacts, and a channel's capacity is the smaller of the two limits
    channels.<channel>.cost          of one contact; what the budget pays for follows
    channels.<channel>.hour_bands.<band>   contacts of a channel in a band of hours; the channel's capacity takes its
                                     bands along, by the same part
    collectors.capacity              of all collectors; a limit of a team goes along by the part of its people, as with
                                     every key that changes what people do
    collectors.team.<team>.capacity  of the people of one team
    collectors.<id>.capacity         of one collector
    teams.<team>.daily_capacity      what a team does at most, alone
    decision.<name>                  any other figure that the decision takes: exploration_share, seed, …
    arrears.promise_grace_days       days before a promise counts as broken

A value is a figure (``800``), a change of it (``+50``, ``-20``), a share (``+10%``) or ``none``: no limit.
"""

from __future__ import annotations

import difflib
import inspect
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, TypeAdapter, ValidationError

from puntual.audit.inputs import complete
from puntual.decision.capacity import COLLECTOR_CHANNELS, roster
from puntual.decision.decide import DecisionOutcome, decide
from puntual.decision.sending import contacts_a_day
from puntual.errors import UsageError
from puntual.hour_bands import in_order
from puntual.settings import ChannelSettings, Settings, TeamSettings

_VALUE = re.compile(r"^(?P<sign>[+-]?)(?P<figure>\d+(?:\.\d+)?)(?P<percent>%?)$")
_NO_LIMIT = {"none", "null"}
_ELSEWHERE = {"costs", "daily_capacity", "as_of", "timezone"}
"""Arguments that have keys of their own, or that are no figure of a day to play with."""


MOST = 1_000_000_000
"""The largest figure that anything can be changed to; what the settings bound lower stays so."""
_KEYS = {"fee_weight": "decision.collection_fee_weight", "promise_grace_days": "arrears.promise_grace_days"}
"""Figures of the decision that ``puntual.yaml`` has under another key than ``decision.<name>``."""


def key_of(argument: str) -> str:
    """The key of ``puntual.yaml`` for a figure of :func:`puntual.decision.decide.decide`.

    >>> key_of("fee_weight"), key_of("seed")
    ('decision.collection_fee_weight', 'decision.seed')
    """
    return _KEYS.get(argument, f"decision.{argument}")


@dataclass(frozen=True)
class Change:
    """A key and what becomes of its figure: ``absolute``, ``added`` or a ``share`` more; None: no limit."""

    key: str
    text: str
    how: str
    figure: float | None

    @classmethod
    def parse(cls, text: str) -> Change:
        """``key=value``, as :mod:`puntual.audit.whatif` says.

        Raises:
            UsageError: it is not of that form.
        """
        key, equals, value = (part.strip() for part in text.partition("="))
        match = _VALUE.match(value)
        if not equals or not key or (match is None and value.lower() not in _NO_LIMIT):
            raise UsageError(
                f"{text!r} is no change; write KEY=VALUE with a value such as 800, +50, -10% or none, for example "
                "channels.sms.capacity=+10%"
            )
        if match is None:
            return cls(key, value, "absolute", None)
        number = float(f"{match['sign']}{match['figure']}")
        if match["percent"]:
            if not match["sign"]:
                raise UsageError(f"{text!r}: a share needs its sign, as in +10% or -10%")
            return cls(key, value, "share", number / 100)
        return cls(key, value, "added" if match["sign"] else "absolute", number)

    def applied(self, before: float | None) -> float | None:
        """The figure after the change.

        Raises:
            UsageError: there is no figure that could become more or less, or it would be negative or above
                :data:`MOST`.
        """
        if self.how == "absolute":
            return self._bounded(self.figure)
        if before is None:
            raise UsageError(f"{self.key} has no limit today, so nothing can be added to it; give a figure, as in 500")
        assert self.figure is not None
        after = before + self.figure if self.how == "added" else before * (1 + self.figure)
        if after < 0:
            raise UsageError(f"{self.key}={self.text} would make it {after:g}; it is {before:g} and cannot be negative")
        return self._bounded(after)

    def _bounded(self, after: float | None) -> float | None:
        if after is not None and not after <= MOST:
            raise UsageError(f"{self.key}={self.text} is too large; the largest allowed is {MOST}")
        return after


@dataclass(frozen=True)
class Changed:
    """What a change did: the figure before and after."""

    key: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class WhatIf:
    """Two decisions of one day.

    Attributes:
        changes: what was changed, in the order asked for; after a channel's capacity the bands that went along.
        before: the decision as it was.
        after: with the changes.
    """

    changes: tuple[Changed, ...]
    before: DecisionOutcome
    after: DecisionOutcome

    @property
    def is_money(self) -> bool:
        """Whether gains were estimated; on the written ladder there are none."""
        return self.before.summary["value_basis"] == "channel_model"

    def members(self) -> pd.DataFrame:
        """Members whose contacts change: customer_id, before, after, kind, value_before, value_after, by kind and id.

        ``before``, ``after``: the channel; with a second contact both, joined by ``+``; ``none``. ``kind``:
        ``entering``, ``leaving`` or ``changed``. The values are of both contacts.
        """
        one, other = (_contacts_of(outcome) for outcome in (self.before, self.after))
        both = one.merge(other, on="customer_id", how="outer", suffixes=("_before", "_after"))
        both[["action_before", "action_after"]] = both[["action_before", "action_after"]].fillna("none")
        both = both[both["action_before"] != both["action_after"]]
        kind = np.select(
            [both["action_before"] == "none", both["action_after"] == "none"], ["entering", "leaving"], "changed"
        )
        frame = pd.DataFrame(
            {
                "customer_id": both["customer_id"],
                "before": both["action_before"],
                "after": both["action_after"],
                "kind": kind,
                "value_before": both["value_amount_before"],
                "value_after": both["value_amount_after"],
            }
        )
        return frame.sort_values(["kind", "customer_id"]).reset_index(drop=True)

    def figures(self) -> list[tuple[str, float | None, float | None]]:
        """Key, before and after of the day's figures: value and its parts, contacts, gap, members explored.

        ``value`` is ``gain + provision + fee - cost`` of every contact, second ones included: the ``value_amount`` that
        the plan maximises; a contact whose gain nobody estimated only costs.
        """
        one, other = _figures(self.before), _figures(self.after)
        if not one["second"] and not other["second"]:
            del one["second"], other["second"]
        return [(key, one[key], other[key]) for key in one]

    def prices(self) -> pd.DataFrame:
        """Per capacity: what it has, what is used and what one more is worth, before and after."""
        columns = ["capacity_name", "channels", "zone", "capacity_count", "used_count", "price_amount"]
        key = columns[:3]
        frames = (outcome.prices[columns] for outcome in (self.before, self.after))
        one, other = (frame.assign(zone=frame["zone"].fillna("")) for frame in frames)
        return one.merge(other, on=key, how="outer", suffixes=("_before", "_after")).sort_values(key, ignore_index=True)


def what_if(arguments: Mapping[str, Any], changes: Sequence[Change], before: DecisionOutcome | None = None) -> WhatIf:
    """Decide with ``changes`` and without; ``before`` spares the second when it is known already.

    Args:
        arguments: those of :func:`puntual.decision.decide.decide`.
        changes: applied one after the other.
        before: the decision of ``arguments``.

    Raises:
        UsageError: an unknown key or a value that the decision does not take; says which there are.
    """
    given = complete(decide, arguments)
    changed, done = dict(given), []
    for change in changes:
        done += _apply(changed, change)
    return WhatIf(tuple(done), before or decide(**given), decide(**changed))


def changed_arguments(arguments: Mapping[str, Any], changes: Sequence[Change]) -> dict[str, Any]:
    """``arguments`` with the changes made; those given stay as they are.

    Raises:
        UsageError: as :func:`what_if`.
    """
    changed = complete(decide, arguments)
    for change in changes:
        _apply(changed, change)
    return changed


def keys(arguments: Mapping[str, Any]) -> dict[str, float | None]:
    """Every key that can be changed, with its figure today."""
    given = complete(decide, arguments)
    found: dict[str, float | None] = {}
    for channel in given["costs"]:
        found[f"channels.{channel}.capacity"] = _channel_capacity(given, channel)
        if channel in COLLECTOR_CHANNELS:
            found[f"channels.{channel}.daily_capacity"] = _limit(given, channel)
        found[f"channels.{channel}.daily_budget"] = _budget(given, channel)
        found[f"channels.{channel}.cost"] = float(given["costs"][channel])
        for band, count in in_order(_bands(given, channel)):
            found[f"channels.{channel}.hour_bands.{band}"] = float(count)
    team = _at_work(given)
    found["collectors.capacity"] = float(team["daily_capacity"].sum())
    for name, group in team[team["team"].notna()].groupby("team", sort=True):
        found[f"collectors.team.{name}.capacity"] = float(group["daily_capacity"].sum())
        found[f"teams.{name}.daily_capacity"] = None
    for name, limit in (given["team_capacity"] or {}).items():
        found[f"teams.{name}.daily_capacity"] = float(limit)
    for row in team.itertuples():
        found[f"collectors.{row.collector_id}.capacity"] = float(row.daily_capacity)
    hints = typing.get_type_hints(decide)
    for name in inspect.signature(decide).parameters:
        if name not in _ELSEWHERE and _is_figure(hints[name]):
            found[key_of(name)] = None if given[name] is None else float(given[name])
    return found


def _is_figure(hint: Any) -> bool:
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    kinds = set(typing.get_args(hint) if union else (hint,)) - {type(None)}
    return bool(kinds) and kinds <= {int, float}


def _at_work(given: Mapping[str, Any]) -> pd.DataFrame:
    """Collectors of the day with their own capacity, whatever the limit of their team, by collector_id."""
    return roster(given["collectors"], list(given["costs"]), given["as_of"])


def _channel_capacity(given: Mapping[str, Any], channel: str) -> float | None:
    if channel in COLLECTOR_CHANNELS:
        team = _at_work(given)
        return float(team.loc[[channel in mine for mine in team["channels"]], "daily_capacity"].sum())
    limit = contacts_a_day(given["daily_capacity"].get(channel), _budget(given, channel), given["costs"][channel])
    return None if limit is None else float(limit)


def _budget(given: Mapping[str, Any], channel: str) -> float | None:
    money = (given["channel_budgets"] or {}).get(channel)
    return None if money is None else float(money)


def _limit(given: Mapping[str, Any], channel: str) -> float | None:
    limit = given["daily_capacity"].get(channel)
    return None if limit is None else float(limit)


def _bands(given: Mapping[str, Any], channel: str) -> dict[str, int]:
    """Contacts by band of hours of a channel; empty: it has none."""
    return dict((given["hour_bands"] or {}).get(channel) or {})


def _apply(given: dict[str, Any], change: Change) -> list[Changed]:
    known = keys(given)
    if change.key not in known:
        raise _unknown(change.key, list(known))
    before = known[change.key]
    after = change.applied(before)
    group, _, rest = change.key.partition(".")
    name, _, what = rest.rpartition(".")
    argument = next((one for one, key in _KEYS.items() if key == change.key), rest)
    along: list[Changed] = []
    if group == "channels" and name.endswith(".hour_bands"):
        channel, after = name.removesuffix(".hour_bands"), float(_whole(_required(change, after)))
        _set_bands(given, change, channel, {**_bands(given, channel), what: int(after)})
    elif group == "channels" and what == "cost":
        cost = _required(change, after)
        _in_settings(change, ChannelSettings, {"cost": cost})
        given["costs"] = {**given["costs"], name: cost}
    elif group == "channels" and what == "daily_budget":
        _set_budget(given, change, name, after)
    elif group == "channels" and (name not in COLLECTOR_CHANNELS or what == "daily_capacity"):
        after = _set_limit(given, change, name, after)
        if what == "capacity":
            along = _budget_along(given, change, name, before, after)
            along += _bands_along(given, change, name, before, after)
    elif group == "teams":
        after = _set_team_limit(given, change, name, after)
    elif group in {"channels", "collectors"}:
        after = float(_whole(_required(change, after)))
        could = _at_work(given).groupby("team")["daily_capacity"].sum()
        given["collectors"] = _with_capacity(given, change, _members(given, group, name), int(after))
        along = _team_limits_along(given, change, could)
        if group == "channels":
            along += _limit_along(given, change, name, before, after)
            along += _budget_along(given, change, name, before, after)
            along += _bands_along(given, change, name, before, after)
    else:
        given[argument] = _checked(change, argument, after)
    return [Changed(change.key, before, after), *along]


def _whole(value: float) -> int:
    return math.floor(value + 0.5)


def _set_limit(given: dict[str, Any], change: Change, channel: str, after: float | None) -> float | None:
    limit = None if after is None else _whole(after)
    _in_settings(change, ChannelSettings, {"cost": 0, "daily_capacity": limit})
    given["daily_capacity"] = {**given["daily_capacity"], channel: limit}
    return None if limit is None else float(limit)


def _set_budget(given: dict[str, Any], change: Change, channel: str, after: float | None) -> None:
    _in_settings(change, ChannelSettings, {"cost": 0, "daily_budget": after})
    budgets = {name: money for name, money in (given["channel_budgets"] or {}).items() if name != channel}
    given["channel_budgets"] = budgets if after is None else {**budgets, channel: after}


def _budget_along(
    given: dict[str, Any], change: Change, channel: str, before: float | None, after: float | None
) -> list[Changed]:
    """Change a channel's budget by the part by which its capacity changed: one that binds would hide that."""
    money = _budget(given, channel)
    if money is None or after == before:
        return []
    scaled = None
    if after is not None:
        exact = money * after / before if before else after * given["costs"][channel]
        # rounded up to what nobody counts in, so that it pays for the contacts asked for
        scaled = math.ceil(exact * 1e6) / 1e6
    _set_budget(given, change, channel, scaled)
    return [Changed(f"channels.{channel}.daily_budget", money, scaled)]


def _set_team_limit(given: dict[str, Any], change: Change, team: str, after: float | None) -> float | None:
    limit = None if after is None else _whole(after)
    _in_settings(change, TeamSettings, {"daily_capacity": limit})
    limits = {name: count for name, count in (given["team_capacity"] or {}).items() if name != team}
    given["team_capacity"] = limits if limit is None else {**limits, team: limit}
    return None if limit is None else float(limit)


def _team_limits_along(given: dict[str, Any], change: Change, before: pd.Series) -> list[Changed]:
    """Change the limits of teams by the part by which what their people do has changed."""
    after = _at_work(given).groupby("team")["daily_capacity"].sum()
    done = []
    for name, limit in (given["team_capacity"] or {}).items():
        was, now = int(before.get(name, 0)), int(after.get(name, 0))
        if was and was != now:
            scaled = _set_team_limit(given, change, name, limit * now / was)
            done.append(Changed(f"teams.{name}.daily_capacity", float(limit), scaled))
    return done


def _limit_along(
    given: dict[str, Any], change: Change, channel: str, before: float | None, after: float
) -> list[Changed]:
    """Change the limit of calls or visits by the part by which the team changed: it would hide that."""
    limit = _limit(given, channel)
    if limit is None or not before or after == before:
        return []
    scaled = _set_limit(given, change, channel, limit * after / before)
    return [Changed(f"channels.{channel}.daily_capacity", limit, scaled)]


def _bands_along(
    given: dict[str, Any], change: Change, channel: str, before: float | None, after: float | None
) -> list[Changed]:
    """Change a channel's bands by the part by which its capacity changed: bands that bind would hide the change."""
    bands = _bands(given, channel)
    if not bands or not before or after is None or after == before:
        return []
    counts = _by_part(np.array(list(bands.values()), dtype=float), _whole(sum(bands.values()) * after / before))
    scaled = dict(zip(bands, counts.tolist(), strict=True))
    _set_bands(given, change, channel, scaled)
    return [
        Changed(f"channels.{channel}.hour_bands.{band}", float(bands[band]), float(scaled[band]))
        for band, _ in in_order(bands)
    ]


def _set_bands(given: dict[str, Any], change: Change, channel: str, bands: dict[str, int]) -> None:
    _in_settings(change, ChannelSettings, {"cost": 0, "hour_bands": bands})
    given["hour_bands"] = {**given["hour_bands"], channel: bands}


def _by_part(own: npt.NDArray[np.float64], total: int) -> npt.NDArray[np.int64]:
    """``total`` in whole units by the parts of ``own``; the rest by largest remainder, the first one first."""
    if not own.sum():
        return np.zeros(len(own), dtype=np.int64)
    parts = own / own.sum() * total
    whole: npt.NDArray[np.int64] = np.floor(parts).astype(np.int64)
    order = np.argsort(-(parts - whole), kind="stable")
    whole[order[: total - int(whole.sum())]] += 1
    return whole


def _members(given: Mapping[str, Any], group: str, name: str) -> list[str]:
    """Collectors whom a key of capacity is about."""
    team = _at_work(given)
    if group == "channels":
        team = team[[name in mine for mine in team["channels"]]]
    elif name.startswith("team."):
        team = team[team["team"] == name.removeprefix("team.")]
    elif name:
        team = team[team["collector_id"] == name]
    return team["collector_id"].tolist()


def _with_capacity(given: Mapping[str, Any], change: Change, members: list[str], total: int) -> pd.DataFrame:
    """The collectors with the capacity of ``members`` together made ``total``, each by its part, whole contacts."""
    collectors: pd.DataFrame = given["collectors"].copy()
    own = _at_work(given).set_index("collector_id").loc[members, "daily_capacity"].to_numpy(dtype=float)
    if not len(own):
        raise UsageError(
            f"{change.key}: nobody of the team works that on {given['as_of']}, so there is nothing to change"
        )
    whole = _by_part(own, total)
    today = dict(zip(members, whole.tolist(), strict=True))
    capacity = collectors["collector_id"].map(today)
    collectors["daily_capacity"] = capacity.where(capacity.notna(), collectors["daily_capacity"]).astype("float64")
    return collectors


def _required(change: Change, value: float | None) -> float:
    if value is None:
        raise UsageError(f"{change.key} needs a figure; {change.text} is none")
    if value < 0:
        raise UsageError(f"{change.key} cannot be negative: {value:g}")
    return value


def _checked(change: Change, name: str, value: float | None) -> Any:
    hint = typing.get_type_hints(decide)[name]
    kinds = typing.get_args(hint) or (hint,)
    section, _, field = key_of(name).partition(".")
    model = Settings.model_fields[section].annotation
    if isinstance(model, type) and issubclass(model, BaseModel) and field in model.model_fields:
        _in_settings(change, model, {field: value})
    try:
        if value is not None and int in kinds and float not in kinds:
            return TypeAdapter(hint).validate_python(int(value) if float(value).is_integer() else value)
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        raise UsageError(f"{change.key}={change.text}: {error.errors()[0]['msg']}") from error


def _in_settings(change: Change, model: type[BaseModel], values: Mapping[str, Any]) -> None:
    """Stop at what ``puntual.yaml`` would not take.

    Raises:
        UsageError: a value is out of the bounds of its setting.
    """
    try:
        model.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(f"{change.key}={change.text}: {error.errors()[0]['msg']}") from error


def _unknown(key: str, known: list[str]) -> UsageError:
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
    general = [one for one in known if not re.match(r"collectors\.(?!team\.|capacity)", one)]
    said = f"did you mean {' or '.join(near)}? " if near else ""
    return UsageError(
        f"{key} is not something that can be changed: {said}There are {', '.join(general)}, and "
        "collectors.<id>.capacity of every collector at work."
    )


_PARTS = {
    "gain": "expected_gain_amount",
    "provision": "provision_avoided_amount",
    "fee": "fee_amount",
    "cost": "contact_cost_amount",
}
"""What the value of a contact is made of: figure and column; the cost is taken off."""


def _every_contact(outcome: DecisionOutcome) -> pd.DataFrame:
    """First and second contacts with the parts of their value and their value: a row per contact."""
    columns = ["customer_id", "action", *_PARTS.values()]
    frames = [outcome.decisions[outcome.decisions["action"] != "none"], outcome.second_contacts]
    every = pd.concat([frame[columns].astype(dict.fromkeys(_PARTS.values(), "float64")) for frame in frames])
    every = every.reset_index(drop=True).fillna(dict.fromkeys(_PARTS.values(), 0.0))
    parts = {name: every[column] for name, column in _PARTS.items()}
    return every.assign(value_amount=parts["gain"] + parts["provision"] + parts["fee"] - parts["cost"])


def _contacts_of(outcome: DecisionOutcome) -> pd.DataFrame:
    """customer_id, action (both channels where there is a second contact) and value_amount of every member."""
    every = _every_contact(outcome)
    by_member = every.groupby("customer_id").agg({"action": "+".join, "value_amount": "sum"})
    if outcome.summary["value_basis"] != "channel_model":
        by_member["value_amount"] = np.nan
    found = by_member.reindex(outcome.decisions["customer_id"]).rename_axis("customer_id").reset_index()
    return found.assign(action=found["action"].fillna("none"))


def _figures(outcome: DecisionOutcome) -> dict[str, float | None]:
    every = _every_contact(outcome)
    is_money = outcome.summary["value_basis"] == "channel_model"
    sums = {name: float(every[column].sum()) for name, column in _PARTS.items()}
    channels = dict.fromkeys(outcome.details["channel_code"])
    return {
        **{name: value if is_money or name == "cost" else None for name, value in sums.items()},
        "value": float(every["value_amount"].sum()) if is_money else None,
        "contacts": float(len(every)),
        "second": float(len(outcome.second_contacts)),
        **{f"contacts.{channel}": float((every["action"] == channel).sum()) for channel in channels},
        "explored": float(outcome.summary["explored_count"]),
        "gap": outcome.summary["gap_rate"],
    }
