"""What can be done in a day: collectors as pools of contacts by channel and zone, daily limits of channels.

A pool is a group of collectors with the same skills and, for visits, the same zone. A collector who both calls and
visits is one pool over both kinds of contact, so that nobody's hours are counted twice.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from puntual.errors import RuleError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

COLLECTOR_CHANNELS = ("call", "visit")
"""Channels that a named person works; the others are sent."""
ZONED_CHANNELS = frozenset({"visit"})
"""Channels that reach only the collector's own zone; a call reaches everywhere."""

CROSSING = ("budget:", "limit:", "rule:", "hours:", "team:", "share:")
"""Beginnings of the names of limits that lie across other capacities: they take room away and add none."""
NOBODY = "collectors:"
"""Beginning of the names of what collectors can do, and of the limit of 0 where nobody works a channel."""


@dataclass(frozen=True)
class Cell:
    """Contacts through one channel in one zone; ``zone`` None stands for every zone, an unknown one included."""

    channel: str
    zone: str | None = None


@dataclass(frozen=True)
class Capacity:
    """``count`` contacts a day in these cells.

    ``limit``: all contacts of the cells together stay within it (a message budget). ``pool``: people who can do any of
    the cells; a contact in a cell that some pool serves needs one unit of one pool that serves it. Several pools over
    one cell are alternatives, several limits hold at once.

    ``weights``: units that a contact of each cell takes, for a limit whose contacts are not alike, such as a budget in
    money; empty: one each. Whole numbers, so that nothing is exceeded by rounding: money is counted in units of
    1 / :data:`MONEY_UNITS`, see :func:`budget`. ``is_money``: whether ``count`` is such money.

    ``pools``: of a limit on people, the names of the pools whose units it counts, whatever they are spent on: what a
    team or an owner may do. ``cells`` are then those of the pools and say only what it is about.
    """

    name: str
    cells: tuple[Cell, ...]
    count: int
    kind: Literal["limit", "pool"] = "limit"
    weights: tuple[int, ...] = ()
    is_money: bool = False
    pools: tuple[str, ...] = ()

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels of the cells, each once, in order."""
        return tuple(dict.fromkeys(cell.channel for cell in self.cells))

    @property
    def zone(self) -> str | None:
        """The one zone that the capacity names, if it names one; a limit on people names none."""
        zones = {cell.zone for cell in self.cells if cell.zone is not None}
        return min(zones) if len(zones) == 1 and not self.pools else None


MONEY_UNITS = 10_000
"""Units of a budget in one unit of the currency: costs are kept to a hundredth of a cent."""


def budget(name: str, amount: float, costs: Mapping[str, float]) -> Capacity:
    """What all contacts of ``costs`` (cost of one contact by channel) may cost together in a day.

    Costs are rounded up and the amount down, to a hundredth of a cent.

    >>> capacity = budget("budget", 10.0, {"call": 0.45, "sms": 0.03})
    >>> capacity.count, capacity.weights
    (100000, (4500, 300))
    """
    weights = tuple(math.ceil(round(cost * MONEY_UNITS, 6)) for cost in costs.values())
    count = math.floor(round(amount * MONEY_UNITS, 6))
    return Capacity(name, tuple(Cell(channel) for channel in costs), count, "limit", weights, is_money=True)


def zone_key(name: object) -> str | None:
    """Name of a zone in the form in which zones are compared: no accents, no case, single spaces; None if unknown.

    >>> zone_key(" Manabí ") == zone_key("MANABI")
    True
    """
    if name is None or name is pd.NaT or (isinstance(name, float) and np.isnan(name)):
        return None
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", str(name)) if not unicodedata.combining(letter))
    return " ".join(plain.casefold().split()) or None


def zone_keys(names: pd.Series) -> npt.NDArray[np.object_]:
    """:func:`zone_key` of every row; each different name is looked at once."""
    codes, found = pd.factorize(names.astype(object), use_na_sentinel=True)
    return np.array([*(zone_key(name) for name in found), None], dtype=object)[codes]


def roster(
    collectors: pd.DataFrame, channels: Sequence[str], as_of: date, team_capacity: Mapping[str, int] | None = None
) -> pd.DataFrame:
    """Collectors at work on ``as_of``, by collector_id, with what they can take on.

    Columns: collector_id, channels (tuple of those offered), zone (key or None), languages (tuple, empty: any), team
    (name or None), daily_capacity, pool (name of the group they belong to). Collectors without capacity or without an
    offered channel are left out; a missing capacity counts as none.

    ``team_capacity``: contacts a day of whole teams, calls and visits together. The people of one that can do more are
    pools of their own, over which :func:`capacities` sets the limit; those of a team that may do nothing are left out.

    Raises:
        RuleError: a collector appears twice, or a limit names a team that no collector is of.
    """
    today = pd.Timestamp(as_of)
    begun = ~(pd.to_datetime(collectors["active_from"]) > today)
    not_ended = ~(pd.to_datetime(collectors["active_to"]) < today)
    capacity = pd.to_numeric(collectors["daily_capacity"]).fillna(0).astype("int64")
    active = collectors[begun & not_ended & (capacity > 0)].assign(daily_capacity=capacity)
    offered = [channel for channel in COLLECTOR_CHANNELS if channel in channels]
    rows = []
    for person in active.sort_values("collector_id").itertuples(index=False):
        skills = _words(person.channels)
        mine = tuple(channel for channel in offered if channel in skills)
        if not mine:
            continue
        zone = zone_key(person.zone)
        rows.append(
            {
                "collector_id": person.collector_id,
                "channels": mine,
                "zone": zone,
                "languages": _words(person.languages),
                "team": _name(getattr(person, "team", None)),
                "daily_capacity": int(person.daily_capacity),
                "pool": _pool_name(mine, zone),
            }
        )
    names = ["collector_id", "channels", "zone", "languages", "team", "daily_capacity", "pool"]
    frame = pd.DataFrame(rows, columns=names)
    # None, not NaN: a collector without a zone serves all of them
    for name in ("zone", "team"):
        frame[name] = pd.Series([row[name] for row in rows], dtype=object)
    if frame["collector_id"].duplicated().any():
        repeated = frame.loc[frame["collector_id"].duplicated(), "collector_id"].iloc[0]
        raise RuleError(f"The collector {repeated} appears twice among the active collectors; one row each is needed.")
    limits = team_capacity or {}
    _check_teams_exist(collectors, limits)
    frame = frame[(frame["team"].map(limits) != 0).to_numpy(dtype=bool)].reset_index(drop=True)
    apart = frame["team"].isin(list(_held(frame, limits))).to_numpy(dtype=bool)
    return frame.assign(pool=frame["pool"].where(~apart, frame["pool"] + " [" + frame["team"].astype(str) + "]"))


def _check_teams_exist(collectors: pd.DataFrame, limits: Mapping[str, int]) -> None:
    there = {_name(name) for name in collectors["team"]} - {None} if "team" in collectors.columns else set()
    if strange := sorted(set(limits) - there):
        said = ", ".join(sorted(str(name) for name in there)) or "none"
        raise RuleError(
            f"teams.{strange[0]} of the settings is the team of no collector; teams of the collectors: {said}. Write "
            "the name as collectors.team has it, or take the limit away."
        )


def _held(team: pd.DataFrame, limits: Mapping[str, int]) -> dict[str, int]:
    """Limits of the teams whose people can do more, by name; the others hold nothing back."""
    could = team.groupby("team")["daily_capacity"].sum()
    return {name: limits[name] for name in sorted(limits) if int(could.get(name, 0)) > limits[name]}


def limit_of(name: str, count: int, people: pd.DataFrame, pools: Sequence[Capacity]) -> Capacity:
    """What ``people`` (rows of a roster, all of each of their pools) may do together, over their ``pools``."""
    mine = tuple(sorted(set(people["pool"])))
    cells = dict.fromkeys(cell for one in pools if one.name in mine for cell in one.cells)
    return Capacity(name, tuple(cells), count, "limit", pools=mine)


def cut_to(capacity: Ints, room: int) -> Ints:
    """Capacities cut in proportion to ``room`` together, in whole contacts, the largest remainders first.

    >>> cut_to(np.array([4, 4, 2]), 5).tolist(), cut_to(np.array([1, 2]), 9).tolist()
    ([2, 2, 1], [1, 2])
    """
    have = int(capacity.sum())
    if have <= room:
        return capacity
    exact = capacity * (room / have)
    cut = np.floor(exact + 1e-9).astype(np.int64)
    order = np.lexsort((np.arange(len(cut)), -(exact - cut)))
    cut[order[: room - int(cut.sum())]] += 1
    return cut


def _name(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def use_by_team(team: pd.DataFrame, worked_by: pd.Series) -> pd.DataFrame:
    """What each pool and team can do and has: pool, team (None: without one), capacity_count, used_count.

    Args:
        team: :func:`roster`, with the pools of the day.
        worked_by: collector_id of every call and visit, first and second ones.
    """
    count = team["collector_id"].map(worked_by.value_counts()).fillna(0).astype("int64")
    table = team[["pool", "team"]].assign(capacity_count=team["daily_capacity"], used_count=count)
    found = table.groupby(["pool", "team"], sort=True, dropna=False).sum().reset_index()
    return found.assign(team=found["team"].astype(object).where(found["team"].notna(), None))


def _words(text: object) -> tuple[str, ...]:
    if not isinstance(text, str):
        return ()
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _pool_name(channels: tuple[str, ...], zone: str | None) -> str:
    place = f"@{zone}" if zone is not None and ZONED_CHANNELS & set(channels) else ""
    return f"{NOBODY}{'+'.join(channels)}{place}"


def capacities(
    team: pd.DataFrame,
    channels: Sequence[str],
    daily: Mapping[str, int | None],
    team_capacity: Mapping[str, int] | None = None,
) -> list[Capacity]:
    """Capacities of one day, in a fixed order: pools of the team (by name), limits of teams, daily limits of channels.

    Args:
        team: :func:`roster`.
        channels: channels offered.
        daily: contacts a day by channel; None or absent means no limit of its own. One of calls or visits
            (``limit:call``) holds beside the pools, across all of them: a contact needs both.
        team_capacity: that of :func:`roster`. One that its people could exceed is ``team:<name>``.
    """
    result = []
    for name, group in team.groupby("pool", sort=True):
        first = group.iloc[0]
        cells = tuple(
            Cell(channel, first["zone"] if channel in ZONED_CHANNELS else None) for channel in first["channels"]
        )
        result.append(Capacity(str(name), cells, int(group["daily_capacity"].sum()), "pool"))
    served = {channel for capacity in result for channel in capacity.channels}
    pools = list(result)
    for name, count in _held(team, team_capacity or {}).items():
        result.append(limit_of(f"team:{name}", count, team[team["team"] == name], pools))
    for channel in channels:
        if channel in COLLECTOR_CHANNELS:
            if channel not in served:
                result.append(Capacity(f"{NOBODY}{channel}", (Cell(channel),), 0))
            elif daily.get(channel) is not None:
                result.append(Capacity(f"limit:{channel}", (Cell(channel),), int(daily[channel] or 0)))
        elif daily.get(channel) is not None:
            result.append(Capacity(f"messages:{channel}", (Cell(channel),), int(daily[channel] or 0)))
    return result


def serve(
    counts: Ints,
    member: npt.NDArray[np.bool_],
    units: Ints,
    over: Flags | None = None,
    most: Ints | None = None,
) -> Ints:
    """Units of each pool spent on each cell so that as many contacts as possible are served.

    Args:
        counts: contacts wanted, channels x zones.
        member: which pool serves which cell, pools x channels x zones.
        units: what each pool has.
        over: limits x pools: which pools each limit on people holds together; None: there are none.
        most: what each of these limits lets its pools do.

    Returns:
        pools x channels x zones.
    """
    split = np.zeros(member.shape, dtype=np.int64)
    cells = [tuple(cell) for cell in np.argwhere(member.any(axis=0) & (counts > 0))] if len(member) else []
    if not cells:
        return split
    above = np.zeros((0, len(member)), dtype=bool) if over is None else over
    room_of = np.zeros(0, dtype=np.int64) if most is None else most
    # no pool takes more than all that is wanted; what a capacity says may be beyond what a flow counts in
    wanted = int(sum(counts[cell] for cell in cells))
    units, room_of = np.minimum(units, wanted), np.minimum(room_of, wanted)
    if not are_nested(above):
        return _serve_across(split, cells, counts, member, units, above, room_of)
    # 0 is the source, then cells, pools, limits on people, and the sink
    first = 1 + len(cells)
    sink = first + len(member) + len(above)
    start, end, room = [], [], []
    for position, cell in enumerate(cells):
        start.append(0)
        end.append(1 + position)
        room.append(counts[cell])
        for pool in np.flatnonzero(member[(slice(None), *cell)]):
            start.append(1 + position)
            end.append(first + int(pool))
            room.append(counts[cell])
    beyond = next_above(above)
    for number, available in enumerate(np.concatenate([units, room_of])):
        start.append(first + number)
        end.append(first + int(beyond[number]) if beyond[number] >= 0 else sink)
        room.append(int(available))
    graph = csr_array((np.array(room, dtype=np.int32), (start, end)), shape=(sink + 1, sink + 1))
    flow = maximum_flow(graph, 0, sink).flow.tocoo()
    for here, there, amount in zip(flow.row, flow.col, flow.data, strict=True):
        if 1 <= here <= len(cells) < there < first + len(member) and amount > 0:
            split[(there - first, *cells[here - 1])] = amount
    return split


def are_nested(over: Flags) -> bool:
    """Whether of any two limits (limits x pools) one lies within the other or they have no pool in common."""
    return all(
        not (one & other).any() or (one <= other).all() or (other <= one).all()
        for number, one in enumerate(over)
        for other in over[:number]
    )


def next_above(over: Flags) -> Ints:
    """Of each pool, then of each nested limit (limits x pools), the smallest limit around it: numbered after the pools.

    -1 where there is none. Of equal limits the first lies within the others.

    >>> next_above(np.array([[True, True, False], [True, False, False]])).tolist()
    [4, 3, -1, -1, 3]
    """
    limits, pools = over.shape
    order = sorted(range(limits), key=lambda number: (int(over[number].sum()), number))
    found = np.full(pools + limits, -1, dtype=np.int64)
    for pool in range(pools):
        chain = [pool, *(pools + number for number in order if over[number, pool])]
        found[chain[:-1]] = chain[1:]
    return found


def _serve_across(
    split: Ints,
    cells: Sequence[tuple[int, ...]],
    counts: Ints,
    member: Flags,
    units: Ints,
    over: Flags,
    most: Ints,
) -> Ints:
    """:func:`serve` where limits on people cross one another: no network any more, but a small exact program."""
    links = [
        (position, int(pool))
        for position, (channel, zone) in enumerate(cells)
        for pool in np.flatnonzero(member[:, channel, zone])
    ]
    of_cell = np.array([link[0] for link in links], dtype=np.int64)
    of_pool = np.array([link[1] for link in links], dtype=np.int64)
    rows = np.vstack(
        [
            np.arange(len(cells))[:, None] == of_cell[None, :],
            np.arange(len(member))[:, None] == of_pool[None, :],
            over[:, of_pool],
        ]
    )
    room = np.concatenate([[counts[cell] for cell in cells], units, most])
    solved = milp(
        -np.ones(len(links)),
        constraints=LinearConstraint(csr_array(rows.astype(np.float64)), -np.inf, room),
        integrality=np.ones(len(links)),
        bounds=Bounds(0, np.inf),
    )
    if solved.x is None:
        raise RuleError(f"The contacts cannot be shared out between the limits on people: {solved.message}")
    for (position, pool), amount in zip(links, np.rint(solved.x), strict=True):
        split[(pool, *cells[position])] = int(amount)
    return split


@dataclass(frozen=True)
class Layout:
    """Capacities as arrays over channels and zones: which capacity each kind of contact uses, and what it costs there.

    ``zones`` are those that some capacity names; the last position of the zone axis is every other place. ``member``:
    capacities x channels x zones; ``weight``: the same with the units that one contact takes, 0 outside. ``over``:
    capacities x capacities; which pools a limit on people holds together, which has no cells of its own.
    """

    capacities: tuple[Capacity, ...]
    channels: tuple[str, ...]
    zones: tuple[str, ...]
    member: Flags
    weight: Ints
    is_pool: Flags
    counts: Ints
    over: Flags

    @classmethod
    def of(cls, capacities: Sequence[Capacity], channels: Sequence[str]) -> Layout:
        """The layout of ``capacities`` over ``channels``.

        Raises:
            RuleError: a capacity is negative or names a channel that is not among ``channels``.
        """
        for capacity in capacities:
            strange = set(capacity.channels) - set(channels)
            if strange or capacity.count < 0:
                raise RuleError(f"The capacity {capacity.name} is negative or names channels not offered: {strange}.")
            if capacity.weights and (
                capacity.kind == "pool" or len(capacity.weights) != len(capacity.cells) or min(capacity.weights) < 0
            ):
                raise RuleError(
                    f"The capacity {capacity.name} needs one weight per cell, none negative, and be a limit."
                )
        zones = sorted({cell.zone for capacity in capacities for cell in capacity.cells if cell.zone is not None})
        weight = np.zeros((len(capacities), len(channels), len(zones) + 1), dtype=np.int64)
        over = np.zeros((len(capacities), len(capacities)), dtype=bool)
        for position, capacity in enumerate(capacities):
            if capacity.pools:
                over[position] = [one.kind == "pool" and one.name in capacity.pools for one in capacities]
                continue
            for cell, units in zip(capacity.cells, capacity.weights or (1,) * len(capacity.cells), strict=True):
                where = slice(None) if cell.zone is None else zones.index(cell.zone)
                weight[position, list(channels).index(cell.channel), where] = units
        member = weight > 0
        return cls(
            tuple(capacities),
            tuple(channels),
            tuple(zones),
            member,
            weight,
            np.array([capacity.kind == "pool" for capacity in capacities], dtype=bool),
            np.array([capacity.count for capacity in capacities], dtype=np.int64),
            over,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Channels and zones, "every other place" included."""
        return len(self.channels), len(self.zones) + 1

    @property
    def is_over(self) -> Flags:
        """Which capacities are limits on people."""
        return np.array([bool(capacity.pools) for capacity in self.capacities], dtype=bool)

    @property
    def reach(self) -> Ints:
        """``weight``, and 1 where some pool of a limit on people serves: where a contact may use the capacity."""
        found = self.weight.copy()
        for position in np.flatnonzero(self.is_over):
            found[position] = self.member[self.over[position]].any(axis=0)
        return found

    @property
    def served(self) -> Flags:
        """Channels x zones: whether some pool serves it."""
        return np.asarray(self.member[self.is_pool].any(axis=0), dtype=bool)

    @property
    def pooled(self) -> Flags:
        """Channels that only people of a pool can work."""
        return np.asarray(self.served.any(axis=1), dtype=bool)

    @property
    def reachable(self) -> Flags:
        """Channels x zones where a contact is possible at all: a pooled channel only where a pool serves it."""
        return np.asarray(~self.pooled[:, None] | self.served, dtype=bool)

    def zone_codes(self, zones: Sequence[str | None] | npt.NDArray[np.object_] | None, rows: int) -> Ints:
        """Position of each row's zone.

        Raises:
            RuleError: some capacity has a zone and the rows have none.
        """
        elsewhere = len(self.zones)
        if not elsewhere:
            return np.zeros(rows, dtype=np.int64)
        if zones is None or len(zones) != rows:
            raise RuleError("Capacities with a zone need the zone of every row.")
        found = pd.Index(self.zones, dtype=object).get_indexer(pd.Index(np.asarray(zones, dtype=object)))
        return np.where(found < 0, elsewhere, found).astype(np.int64)

    def limit_prices(self, prices: Floats, without: int | None = None) -> Floats:
        """Channels x zones: the prices of all limits together."""
        total = np.zeros(self.shape)
        for position in np.flatnonzero(~self.is_pool):
            if position != without:
                total += prices[position] * self.weight[position]
        return total

    def pool_prices(self, prices: Floats, inside: Flags) -> Floats:
        """Channels x zones: the cheapest of the pools ``inside``, the limits on its people included; infinite without.

        ``inside``: one flag per capacity.
        """
        whole = prices + prices @ self.over
        found = np.full(self.shape, np.inf)
        for position in np.flatnonzero(self.is_pool & inside):
            mine = self.member[position]
            found[mine] = np.minimum(found[mine], whole[position])
        return found

    def cell_prices(self, prices: Floats, without: int | None = None) -> Floats:
        """Channels x zones: all limits and the cheapest pool; infinite where a pool is needed and none serves.

        ``without``: a capacity that is left out, with its pools where it is a limit on people.
        """
        inside = np.ones(len(prices), dtype=bool)
        if without is not None:
            inside[without] = False
            inside &= ~self.over[without]
        pool = self.pool_prices(prices, inside)
        return self.limit_prices(prices, without) + np.where(self.pooled[:, None], pool, 0.0)

    def serve(self, counts: Ints) -> Ints:
        """Units of each capacity spent on each cell by :func:`serve`; nothing for limits.

        Cells that no pool serves are left out.
        """
        split = np.zeros(self.member.shape, dtype=np.int64)
        wanted = np.where(self.served, counts, 0)
        over = self.over[self.is_over][:, self.is_pool]
        split[self.is_pool] = serve(
            wanted, self.member[self.is_pool], self.counts[self.is_pool], over, self.counts[self.is_over]
        )
        return split

    def used(self, split: Ints) -> Ints:
        """Units of pools and of limits on people in a :meth:`serve`; 0 for all others."""
        by_pool = split.sum(axis=(1, 2))
        return np.asarray(by_pool + self.over.astype(np.int64) @ by_pool, dtype=np.int64)

    def spread(self, counts: Ints) -> Ints:
        """``counts`` with the pools of each limit on people cut in proportion to it: what holds whatever is drawn."""
        cut = counts.copy()
        for position in np.flatnonzero(self.is_over):
            mine = np.flatnonzero(self.over[position])
            cut[mine] = cut_to(np.maximum(cut[mine], 0), max(int(counts[position]), 0))
        return cut
