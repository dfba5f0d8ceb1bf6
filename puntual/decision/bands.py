"""Hours of the day as capacities: how many contacts of a channel can be made between eight and ten, then until one.

Where an institution states bands, the allocation chooses among actions, each a channel or a channel within a band, and
a band is one more limit beside pools, messages and budgets. So prices, proof and bound are those of the whole.
Everything else is told by channel: ``Bands.told`` puts the actions of a channel together again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.capacity import Capacity, Cell
from puntual.decision.contact_events import is_zone
from puntual.decision.explore import uniform
from puntual.decision.plan import Plan
from puntual.decision.scores import Scores
from puntual.decision.stability import Stability
from puntual.errors import RuleError
from puntual.hour_bands import LEAST_MINUTES, in_order, minutes_of

_LEAST_FACTOR, _MOST_FACTOR = 0.5, 2.0
_LEAST_LEFT = 0.1
_LADDER_NUDGE = 0.4
_LOT = 1e-6

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Instants = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Bands:
    """Actions beside channels; arrays of rows x actions unless said otherwise.

    ``channel_of``: channel of each action. ``names``: of the actions. ``start``, ``end``: the hours of each member
    within the action (UTC). ``factor``: reach in those hours over reach in all hours, 1 where it is not known; ``lot``:
    a number in [0, 1) that tells alike ones apart. ``limits``: the bands as capacities, over channels;
    ``by_channel``: rows x channels, allowed by the rules.
    """

    channels: tuple[str, ...]
    names: tuple[str, ...]
    channel_of: Ints
    by_channel: Flags
    allowed: Flags
    start: Instants
    end: Instants
    factor: Floats
    lot: Floats
    limits: tuple[Capacity, ...]
    weight: float

    @classmethod
    def of(
        cls,
        people: pd.DataFrame,
        verdicts: pd.DataFrame,
        channels: Sequence[str],
        stated: Mapping[str, Mapping[str, int]],
        reach_hours: pd.DataFrame | None,
        *,
        weight: float,
        as_of: date,
        timezone: str,
    ) -> Bands:
        """The actions of the day.

        1. Bands are on the institution's clock; a member is contacted in the part of one that the rules permit, if it
           has at least :data:`puntual.hour_bands.LEAST_MINUTES`. Outside its bands a channel that has some is not used.
        2. Reach is that of the member's occupation on the weekday, by the hours of the member's own clock, over the
           mean of all hours by their attempts, and within a half and the double.

        Args:
            people: the members, row by row: timezone, and occupation where it is known.
            verdicts: :func:`puntual.decision.rules.evaluate` of them.
            channels: channels offered.
            stated: contacts by channel and band.
            reach_hours: rows of ``ml.reach_hours`` of one date, or None.
            weight: how much of the value follows reach.
            as_of: contact day.
            timezone: the institution's.

        Raises:
            RuleError: a band is not written as one, overlaps another, or is of a channel that is not offered.
        """
        strange = sorted(set(stated) - set(channels))
        if strange:
            raise RuleError(f"Bands of hours of channels that are not offered: {', '.join(strange)}.")
        shape = (len(people), len(channels))
        allowed = verdicts["is_allowed"].to_numpy(dtype=bool).reshape(shape)
        opens = verdicts["window_start"].to_numpy().astype("datetime64[us]").reshape(shape)
        closes = verdicts["window_end"].to_numpy().astype("datetime64[us]").reshape(shape)
        clock = _Clock.of(people, reach_hours, as_of, timezone)
        names: list[str] = []
        channel_of: list[int] = []
        limits: list[Capacity] = []
        columns: list[tuple[Flags, Instants, Instants, Floats]] = []
        for position, channel in enumerate(channels):
            first, last = opens[:, position], closes[:, position]
            for band, count in in_order(stated.get(channel, {})):
                begin, finish = (_instant(as_of, minute, timezone) for minute in minutes_of(band))
                start, end = np.maximum(first, begin), np.minimum(last, finish)
                # not a time is in no order: such a row is not allowed anyway
                is_open = allowed[:, position] & (end - start >= np.timedelta64(LEAST_MINUTES, "m"))
                names.append(f"{channel}@{band}")
                channel_of.append(position)
                columns.append((is_open, start, end, clock.factor(channel, is_open, start, end)))
                limits.append(Capacity(f"hours:{channel}@{band}", (Cell(channel),), count))
            if not stated.get(channel):
                names.append(channel)
                channel_of.append(position)
                columns.append((allowed[:, position], first, last, np.ones(len(people))))
        return cls(
            tuple(channels),
            tuple(names),
            np.array(channel_of, dtype=np.int64),
            allowed,
            np.column_stack([column[0] for column in columns]),
            np.column_stack([column[1] for column in columns]),
            np.column_stack([column[2] for column in columns]),
            np.column_stack([column[3] for column in columns]),
            np.column_stack([uniform(people["customer_id"], seed=0, as_of=as_of, purpose=name) for name in names]),
            tuple(limits),
            weight,
        )

    def capacities(self, offered: Sequence[Capacity]) -> list[Capacity]:
        """Capacities over actions: those of ``offered``, which are over channels, and the bands among them."""
        of_band = {f"hours:{name}": name for name in self.names}
        found = []
        for capacity in offered:
            cells, weights = [], []
            units = capacity.weights or (1,) * len(capacity.cells)
            for cell, unit in zip(capacity.cells, units, strict=True):
                position = self.channels.index(cell.channel)
                mine = [name for name, of in zip(self.names, self.channel_of, strict=True) if of == position]
                if capacity.name in of_band:
                    mine = [of_band[capacity.name]]
                cells += [Cell(name, cell.zone) for name in mine]
                weights += [unit] * len(mine)
            found.append(replace(capacity, cells=tuple(cells), weights=tuple(weights) if capacity.weights else ()))
        return found

    def scores(self, scores: Scores) -> Scores:
        """Scores by action: those of its channel."""
        column = self.channel_of
        return replace(
            scores,
            gain=scores.gain[:, column],
            cost=scores.cost[column],
            worth=scores.worth[:, column],
            reach=scores.reach[:, column],
            supported=scores.supported[:, column],
            provision=scores.provision[:, column],
            fee=scores.fee[:, column],
            chargeable_fee=scores.chargeable_fee[:, column],
        )

    def preference(self, scores: Scores) -> Floats:
        """What an action counts for more (or less) for its hours; ``scores`` by channel. It is in no figure.

        The part ``weight`` of the benefit goes with reach; a contact that is worth something stays so. On the ladder,
        whose order has no unit, less than a place between two members. Hours that are alike for a member are told apart
        by a draw, so that they fill evenly; it is worth a millionth of a contact at most.
        """
        column = self.channel_of
        worth = np.nan_to_num(scores.worth[:, column], nan=0.0)
        if not scores.is_model:
            nudge = _LADDER_NUDGE / max(len(worth), 1) / (_MOST_FACTOR + 1.0)
            return np.where(worth > 0, nudge * ((self.weight > 0) * self.factor + self.lot), 0.0)
        extra = self.weight * (self.factor - 1.0) * np.nan_to_num(scores.benefit[:, column], nan=0.0)
        several = np.bincount(column)[column] > 1
        mean = float(worth.mean(where=worth > 0)) if (worth > 0).any() else 0.0
        lot = np.where(several, _LOT * mean * self.lot, 0.0)
        return np.where(worth > 0, np.maximum(extra, (_LEAST_LEFT - 1.0) * worth) + lot, 0.0)

    def ladder(self, by_ladder: Scores) -> Scores:
        """Scores of the written ladder by action, with the preference for hours in what they compare."""
        mine = self.scores(by_ladder)
        return replace(mine, worth=mine.worth + self.preference(by_ladder))

    def with_hours(self, stability: Stability, scores: Scores) -> Stability:
        """The head starts by action, the preference for its hours included; ``scores`` by channel."""
        return replace(stability, stay=stability.stay[:, self.channel_of], hours=self.preference(scores))

    def told(self, plan: Plan, is_worth: Flags) -> Plan:
        """A plan over actions as one over channels; ``is_worth``: whether each channel is worth something to a member.

        Of several actions of a channel the chosen one's price and head start are told, else those of the one that comes
        nearest to being chosen, so that they belong together. A channel without an open band is wanted all the same:
        what it lacks is capacity at its hours.
        """
        size, width = len(plan.choice), len(self.channels)
        rows = np.arange(size)
        groups = [np.flatnonzero(self.channel_of == position) for position in range(width)]

        def channel(choice: Ints) -> Ints:
            return np.where(choice >= 0, self.channel_of[choice], -1)

        def together(values: npt.NDArray, how: np.ufunc) -> npt.NDArray:
            return np.column_stack([how.reduce(values[:, mine], axis=1) for mine in groups])

        choice = channel(plan.choice)
        chosen = np.flatnonzero(choice >= 0)
        shut = ~together(self.allowed, np.logical_or)
        lead = plan.stability.head_start - plan.allocation.price_of_choice
        # an action that is not open comes after any that is, whose price is finite or not
        lead = np.where(np.isfinite(lead), lead, np.finfo(float).min / 2)
        lead = np.where(self.allowed, lead, lead + np.finfo(float).min / 2)
        nearest = np.column_stack([mine[lead[:, mine].argmax(axis=1)] for mine in groups])
        nearest[chosen, choice[chosen]] = plan.choice[chosen]

        def told(values: npt.NDArray) -> npt.NDArray:
            return values[rows[:, None], nearest]

        probability = plan.exploration.probability
        probability = np.column_stack([*(probability[:, mine].sum(axis=1) for mine in groups), probability[:, -1]])
        wanted = together(plan.wanted, np.logical_or)
        return replace(
            plan,
            choice=choice,
            greedy=channel(plan.greedy),
            exploration=replace(plan.exploration, drawn=channel(plan.exploration.drawn), probability=probability),
            allocation=replace(
                plan.allocation,
                choice=channel(plan.allocation.choice),
                price_of_choice=told(plan.allocation.price_of_choice),
            ),
            allowed=self.by_channel,
            wanted=wanted | (self.by_channel & shut & is_worth),
            minimums=replace(plan.minimums, channels=together(plan.minimums.channels, np.logical_or)),
            stability=replace(plan.stability, stay=told(plan.stability.stay), hours=told(plan.stability.hours)),
        )

    def hours(self, verdicts: pd.DataFrame, choice: Ints) -> pd.DataFrame:
        """``verdicts`` with the hours of the chosen actions for the contacts; ``choice`` by action."""
        chosen = np.flatnonzero(choice >= 0)
        at = chosen * len(self.channels) + self.channel_of[choice[chosen]]
        start, end = verdicts["window_start"].to_numpy().copy(), verdicts["window_end"].to_numpy().copy()
        start[at], end[at] = self.start[chosen, choice[chosen]], self.end[chosen, choice[chosen]]
        return verdicts.assign(window_start=start, window_end=end)

    def action_of(self, choice: Ints) -> npt.NDArray[np.object_]:
        """Name of each row's action, a channel alone where it has no bands; None without one."""
        names = np.array([*self.names, None], dtype=object)
        return np.asarray(names[np.where(choice >= 0, choice, len(self.names))], dtype=object)


@dataclass(frozen=True)
class _Clock:
    """Reach by hour of the members: tables by channel and occupation, and each member's zone and occupation."""

    tables: dict[tuple[str, str], Floats]
    zones: list[str]
    zone: Ints
    segments: list[str]
    segment: Ints

    @classmethod
    def of(cls, people: pd.DataFrame, reach: pd.DataFrame | None, as_of: date, timezone: str) -> _Clock:
        """Rates of the weekday over their mean by attempts, 1 for an hour without one; no table without evidence."""
        zone, named = pd.factorize(people["timezone"].astype(object).where(people["timezone"].notna(), timezone))
        zones = [str(name) if is_zone(name) else timezone for name in named]
        said = people["occupation"] if "occupation" in people.columns else pd.Series("", index=people.index)
        segment, segments = pd.factorize(said.astype(object).where(said.notna(), ""))
        tables: dict[tuple[str, str], Floats] = {}
        if reach is not None and len(reach):
            mine = reach[reach["is_enough"].astype(bool) & (reach["weekday"] == as_of.isoweekday())]
            for (channel, name), part in mine.groupby(["channel_code", "segment"], sort=True):
                attempts = part["attempt_count"].to_numpy(dtype=float)
                rate = part["shrunk_rate"].to_numpy(dtype=float)
                mean = float(attempts @ rate / attempts.sum()) if attempts.sum() > 0 else 0.0
                if mean > 0:
                    table = np.ones(24)
                    table[part["hour"].to_numpy(dtype=np.int64)] = rate / mean
                    tables[str(channel), str(name)] = table
        return cls(tables, zones, zone, [str(name) for name in segments], segment)

    def factor(self, channel: str, is_open: Flags, start: Instants, end: Instants) -> Floats:
        """Mean of the table over the minutes from ``start`` to ``end`` for the rows that are open, else 1."""
        result = np.ones(len(is_open))
        rows = np.flatnonzero(is_open)
        if not rows.size or not any(name == channel for name, _ in self.tables):
            return result
        first, code_first = np.unique(start[rows], return_inverse=True)
        last, code_last = np.unique(end[rows], return_inverse=True)
        key = (self.zone[rows] * len(self.segments) + self.segment[rows]) * first.size + code_first
        found, at, inverse = np.unique(key * last.size + code_last, return_index=True, return_inverse=True)
        factor = np.ones(found.size)
        for number, place in enumerate(rows[at]):
            table = self.tables.get((channel, self.segments[self.segment[place]]))
            if table is not None:
                zone = self.zones[self.zone[place]]
                begin = pd.Timestamp(start[place]).tz_localize("UTC").tz_convert(zone)
                minutes = int((end[place] - start[place]) / np.timedelta64(1, "m"))
                clock = (begin.hour * 60 + begin.minute + np.arange(minutes)) // 60 % 24
                factor[number] = float(np.clip(table[clock].mean(), _LEAST_FACTOR, _MOST_FACTOR))
        result[rows] = factor[inverse.reshape(-1)]
        return result


def _instant(day: date, minute: int, timezone: str) -> np.datetime64:
    local = pd.Timestamp(day) + pd.Timedelta(minutes=minute)
    moment = local.tz_localize(timezone, ambiguous=True, nonexistent="shift_forward").tz_convert("UTC")
    return moment.tz_localize(None).to_datetime64().astype("datetime64[us]")
