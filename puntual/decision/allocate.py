"""At most one action per member, within capacities, for the greatest total value: solved to a proven gap.

Two steps. (1) Prices of the capacities by coordinate descent on the Lagrangian dual: with the other prices fixed, the
best price of a capacity of n units is the (n + 1)-th largest amount that somebody would pay for it, an exact order
statistic. (2) The choice that follows from the prices is repaired to fit, filled, and improved by exchange cycles on a
network of the few cells and capacities (never of the members). When no exchange is left the choice is optimal, the
longest paths of the same network are the exact prices, and the dual bound equals the value.

What a capacity is, and where capacities come from, stands in ``capacity.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from puntual.decision.capacity import Capacity, Layout

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_RELATIVE_TOLERANCE = 1e-10
_SWEEPS = 60
_FILL_ROUNDS = 50
_NONE = np.int64(-1)


@dataclass(frozen=True)
class Allocation:
    """A choice within capacities, and how far it can be from the best.

    ``choice``: column of the chosen action per row, -1 for none. ``dual_bound`` is at least the value of every feasible
    choice; ``gap`` = (bound - value) / bound. ``prices``: what one more unit of each capacity would add.
    ``price_of_choice``: the price of every row and action (its capacities together), for the decision log.
    ``displaced``: channels x zones; what the others would lose if one more took the channel in the zone, infinite where
    it has no place. With it the plan of one row more is exact without solving it. None when the choice is not optimal.
    """

    choice: Ints
    value: float
    dual_bound: float
    gap: float
    prices: Floats
    used: Ints
    price_of_choice: Floats
    is_optimal: bool
    displaced: Floats | None


def allocate(
    value: Floats,
    allowed: npt.NDArray[np.bool_],
    capacities: Sequence[Capacity],
    *,
    channels: Sequence[str],
    zones: Sequence[str | None] | npt.NDArray[np.object_] | None = None,
) -> Allocation:
    """The best choice of at most one allowed action per row within the capacities.

    1. Only actions of positive value are chosen; none is worth 0.
    2. A channel that appears in a pool can only be used where a pool serves it.
    3. Ties go to the earlier row and the earlier channel.

    Args:
        value: rows x channels; what the action adds. NaN counts as not allowed.
        allowed: rows x channels.
        capacities: limits and pools; a channel in none of them is unlimited.
        channels: names of the columns.
        zones: zone of each row (None: unknown); not needed when no capacity has a zone.

    Raises:
        RuleError: a capacity names a channel that is not among the columns, or is negative.
    """
    problem = _Problem.of(value, allowed, capacities, channels, zones)
    prices = _descend(problem)
    choice = _repair(problem, prices)
    network = _Network.of(problem) if problem.is_network else None
    is_optimal = False
    displaced = None
    if network is not None:
        choice, is_optimal = network.improve(choice)
        if is_optimal:
            exact, displaced = network.prices(), network.displaced()
            if problem.bound(exact) <= problem.bound(prices) * (1 + _RELATIVE_TOLERANCE):
                prices = exact
    return problem.result(choice, prices, is_optimal, displaced)


class _Problem:
    """Rows sorted by zone, values by channel: each capacity then touches whole slices."""

    def __init__(self, layout: Layout, worth: Floats, order: Ints, blocks: list[tuple[int, slice]]) -> None:
        self.layout = layout
        self.worth = worth
        self.order = order
        self.blocks = blocks
        self.member, self.is_pool, self.counts = layout.member, layout.is_pool, layout.counts
        self.served, self.pooled = layout.served, layout.pooled
        self.channels, self.zone_count = layout.shape
        self.rows = worth.shape[1]
        reachable = layout.reachable
        for zone, rows in blocks:
            self.worth[~reachable[:, zone], rows] = -np.inf
        self.is_network = self._is_network()

    @classmethod
    def of(
        cls,
        value: Floats,
        allowed: npt.NDArray[np.bool_],
        capacities: Sequence[Capacity],
        channels: Sequence[str],
        zones: Sequence[str | None] | npt.NDArray[np.object_] | None,
    ) -> _Problem:
        value = np.asarray(value, dtype=np.float64)
        layout = Layout.of(capacities, channels)
        code = layout.zone_codes(zones, value.shape[0])
        order = np.argsort(code, kind="stable")
        ends = np.searchsorted(code[order], np.arange(layout.shape[1] + 1))
        blocks = [
            (zone, slice(int(ends[zone]), int(ends[zone + 1])))
            for zone in range(layout.shape[1])
            if ends[zone] < ends[zone + 1]
        ]
        usable = np.asarray(allowed, dtype=bool) & (value > 0)  # NaN > 0 is False
        worth = np.ascontiguousarray(np.where(usable, value, -np.inf).T[:, order])
        return cls(layout, worth, order, blocks)

    def _is_network(self) -> bool:
        """True when limits are nested and no cell has both limits and pools: then exchanges along cycles are exact."""
        limits = self.member[~self.is_pool]
        if (limits.any(axis=0) & self.served).any():
            return False
        flat = limits.reshape(len(limits), self.channels * self.zone_count)
        for position, first in enumerate(flat):
            for second in flat[position + 1 :]:
                both = (first & second).any()
                if both and not ((first <= second).all() or (second <= first).all()):
                    return False
        return True

    def bound(self, prices: Floats) -> float:
        """Value that no feasible choice can exceed, for any prices that are not negative."""
        total = float(self.counts @ prices)
        cell = self.layout.cell_prices(prices)
        for zone, rows in self.blocks:
            total += float(_best(self.worth[:, rows], cell[:, zone]).sum())
        return total

    def bids(self, capacity: int, prices: Floats) -> Floats:
        """What each row that could use the capacity would pay for it at most, given the other prices."""
        rest = self.layout.cell_prices(prices, without=capacity)
        inside = self.member[capacity]
        # through a pool a contact costs its limits only; through a limit what it costs without that limit
        through = self.layout.limit_prices(prices) if self.is_pool[capacity] else rest
        offers = []
        for zone, rows in self.blocks:
            mine = inside[:, zone]
            if not mine.any():
                continue
            elsewhere = rest[:, zone].copy()
            if not self.is_pool[capacity]:
                elsewhere[mine] = np.inf
            use = _best(self.worth[:, rows], np.where(mine, through[:, zone], np.inf), floor=-np.inf)
            offers.append(use - _best(self.worth[:, rows], elsewhere))
        return np.concatenate(offers) if offers else np.zeros(0)

    def counts_by_cell(self, choice: Ints) -> Ints:
        """Chosen rows of each channel and zone."""
        counts = np.zeros((self.channels, self.zone_count), dtype=np.int64)
        for zone, rows in self.blocks:
            chosen = choice[rows]
            counts[:, zone] = np.bincount(chosen[chosen >= 0], minlength=self.channels)
        return counts

    def result(self, choice: Ints, prices: Floats, is_optimal: bool, displaced: Floats | None) -> Allocation:
        """The allocation in the caller's row order."""
        chosen = np.flatnonzero(choice >= 0)
        total = float(np.sum(self.worth[choice[chosen], chosen]))
        bound = max(self.bound(prices), total)
        counts = self.counts_by_cell(choice)
        split = self.layout.serve(counts)
        used = np.array(
            [
                split[position].sum() if self.is_pool[position] else counts[self.member[position]].sum()
                for position in range(len(self.counts))
            ],
            dtype=np.int64,
        )
        if (used > self.counts).any() or split.sum() < counts[self.served].sum():
            raise AssertionError("the allocation exceeds a capacity: a defect of allocate()")
        back = np.empty(self.rows, dtype=np.int64)
        back[self.order] = choice
        cell = self.layout.cell_prices(prices)
        price = np.empty((self.rows, self.channels))
        for zone, rows in self.blocks:
            price[self.order[rows]] = cell[:, zone]
        gap = (bound - total) / bound if bound > 0 else 0.0
        return Allocation(back, total, bound, gap, prices, used, price, is_optimal, displaced)


def _best(worth: Floats, price: Floats, floor: float = 0.0) -> Floats:
    """Greatest worth less price of each row, at least ``floor``; a channel of infinite price is left out."""
    best = np.full(worth.shape[1], floor)
    for channel in np.flatnonzero(np.isfinite(price)):
        np.maximum(best, worth[channel] - price[channel], out=best)
    return best


def _descend(problem: _Problem) -> Floats:
    """Prices near the minimum of the dual: each capacity in turn to its exact best, until nothing moves."""
    prices = np.zeros(len(problem.counts))
    scale = float(np.max(problem.worth, initial=0.0, where=np.isfinite(problem.worth)))
    for _ in range(_SWEEPS):
        moved = 0.0
        for position, count in enumerate(problem.counts):
            bids = problem.bids(position, prices)
            if bids.size > count:
                price = max(0.0, float(np.partition(bids, bids.size - count - 1)[bids.size - count - 1]))
            else:
                price = 0.0
            moved = max(moved, abs(price - prices[position]))
            prices[position] = price
        if moved <= _RELATIVE_TOLERANCE * scale:
            break
    return prices


def _repair(problem: _Problem, prices: Floats) -> Ints:
    """The choice that the prices suggest, cut to the capacities and filled up again."""
    choice = np.full(problem.rows, _NONE)
    margin = np.zeros(problem.rows)
    cell = problem.layout.cell_prices(prices)
    for zone, rows in problem.blocks:
        net = problem.worth[:, rows] - np.where(np.isfinite(cell[:, zone]), cell[:, zone], np.inf)[:, None]
        best = net.argmax(axis=0)
        top = net[best, np.arange(best.size)]
        choice[rows] = np.where(top > 0, best, _NONE)
        margin[rows] = top
    _cut(problem, choice, margin)
    _fill(problem, choice, cell)
    return choice


def _zone_of_rows(problem: _Problem) -> Ints:
    zone_of = np.empty(problem.rows, dtype=np.int64)
    for zone, rows in problem.blocks:
        zone_of[rows] = zone
    return zone_of


def _cut(problem: _Problem, choice: Ints, margin: Floats) -> None:
    """Drop the least profitable rows of every capacity that is exceeded."""
    zone_of = _zone_of_rows(problem)
    for position in np.flatnonzero(~problem.is_pool):
        users = np.flatnonzero((choice >= 0) & problem.member[position][choice, zone_of])
        excess = users.size - problem.counts[position]
        if excess > 0:
            choice[users[np.lexsort((-users, margin[users]))][:excess]] = _NONE
    counts = problem.counts_by_cell(choice)
    room = problem.layout.serve(counts).sum(axis=0)
    for channel, zone in np.argwhere(problem.served & (counts > room)):
        users = np.flatnonzero((choice == channel) & (zone_of == zone))
        excess = int(counts[channel, zone] - room[channel, zone])
        choice[users[np.lexsort((-users, margin[users]))][:excess]] = _NONE


def _fill(problem: _Problem, choice: Ints, cell: Floats) -> None:
    """Give what is left to rows without an action, best first."""
    zone_of = _zone_of_rows(problem)
    cell = np.where(np.isfinite(cell), cell, 0.0)
    for _ in range(_FILL_ROUNDS):
        counts = problem.counts_by_cell(choice)
        room = _room(problem, counts)
        idle = np.flatnonzero(choice < 0)
        offer = np.where((room > 0)[:, zone_of[idle]], problem.worth[:, idle], -np.inf)
        net = np.where(np.isfinite(offer), offer - cell[:, zone_of[idle]], -np.inf)
        best = net.argmax(axis=0)
        wanted = np.isfinite(net[best, np.arange(best.size)])
        idle, best, net = idle[wanted], best[wanted], net[best, np.arange(best.size)][wanted]
        if idle.size == 0:
            return
        order = np.lexsort((idle, -net))
        idle, best = idle[order], best[order]
        taken = np.zeros(idle.size, dtype=bool)
        # a round gives each cell its own room, then keeps what fits together; the next round sees what is left
        for channel, zone in np.argwhere(room > 0):
            here = np.flatnonzero((best == channel) & (zone_of[idle] == zone))
            taken[here[: room[channel, zone]]] = True
        trial = choice.copy()
        trial[idle[taken]] = best[taken]
        rank = np.zeros(problem.rows)
        rank[idle] = -np.arange(idle.size, dtype=float) - 1.0
        _cut(problem, trial, rank)
        if np.array_equal(trial, choice):
            return
        choice[:] = trial


def _room(problem: _Problem, counts: Ints) -> Ints:
    """Units that each cell could still take, taken alone."""
    room = np.full(counts.shape, np.iinfo(np.int32).max, dtype=np.int64)
    for position in np.flatnonzero(~problem.is_pool):
        inside = problem.member[position]
        left = problem.counts[position] - counts[inside].sum()
        room[inside] = np.minimum(room[inside], left)
    if problem.is_pool.any():
        split = problem.layout.serve(counts)
        left = problem.counts - split.sum(axis=(1, 2))
        by_pool = np.zeros(counts.shape, dtype=np.int64)
        for position in np.flatnonzero(problem.is_pool):
            by_pool[problem.member[position]] += left[position]
        room = np.where(problem.served, np.minimum(room, by_pool), room)
    return np.maximum(room, 0)


class _Network:
    """Cells, limits and pools as nodes; a positive cycle is an exchange of members that adds value.

    Node 0 is "no action" and, at once, the far end of every capacity. An arc from cell to cell stands for the member
    who gains most (or loses least) by changing; arcs along capacities cost nothing and exist while there is room, their
    reverses while there is use.
    """

    def __init__(self, problem: _Problem) -> None:
        self.problem = problem
        width = problem.channels * problem.zone_count
        self.first_capacity = 1 + width
        self.nodes = 1 + width + len(problem.counts)
        limits = [int(position) for position in np.flatnonzero(~problem.is_pool)]
        size = problem.member.sum(axis=(1, 2))
        self.chain: dict[int, list[int]] = {}
        for channel in range(problem.channels):
            for zone in range(problem.zone_count):
                inside = [position for position in limits if problem.member[position][channel, zone]]
                # equal sets are ordered by position, so that every cell climbs the same chain
                self.chain[self.cell(channel, zone)] = sorted(inside, key=lambda position: (size[position], position))
        self.choice = np.zeros(0, dtype=np.int64)
        self.arcs: dict[int, tuple[Floats, Ints]] = {}
        self.split = np.zeros((0, 0, 0), dtype=np.int64)

    @classmethod
    def of(cls, problem: _Problem) -> _Network:
        return cls(problem)

    def cell(self, channel: int, zone: int) -> int:
        return 1 + channel * self.problem.zone_count + zone

    def improve(self, choice: Ints) -> tuple[Ints, bool]:
        """Exchange members along positive cycles; True when none is left: the choice is then optimal."""
        problem = self.problem
        self.choice = choice.copy()
        for zone, rows in problem.blocks:
            self._member_arcs(zone, rows)
        self.split = problem.layout.serve(problem.counts_by_cell(self.choice))
        rows_of = dict(problem.blocks)
        # an exchange looks at every row of its zones: on a million rows a gap of millionths is not worth thousands
        patience = max(300, min(20_000, 40_000_000 // max(problem.worth.size, 1)))
        for _ in range(patience):
            cycle = self._positive_cycle()
            if not cycle:
                return self.choice, True
            for arc in cycle:
                self._push(arc)
            for zone in sorted({arc[3] for arc in cycle if arc[3] >= 0}):
                self._member_arcs(zone, rows_of[zone])
        return self.choice, False

    def prices(self) -> Floats:
        """What one more unit of each capacity would add: the longest path from no action to its node."""
        distance, _ = self._longest(from_nothing=True)
        problem = self.problem
        prices = np.zeros(len(problem.counts))
        for position in range(len(problem.counts)):
            here = distance[self.first_capacity + position]
            beyond = 0.0 if problem.is_pool[position] else distance[self._parent(position)]
            if np.isfinite(here) and np.isfinite(beyond):
                prices[position] = max(0.0, here - beyond)
        return prices

    def displaced(self) -> Floats:
        """What one more in each cell would cost the members who are there: the cheapest way on from its node."""
        distance, _ = self._longest(from_nothing=True, backwards=True)
        cells = distance[1 : self.first_capacity].reshape(self.problem.channels, self.problem.zone_count)
        return np.where(np.isfinite(cells), np.maximum(-cells, 0.0), np.inf)

    def _parent(self, position: int) -> int:
        """Node after a limit: the next larger one around it, or the far end."""
        inside = np.argwhere(self.problem.member[position])
        if inside.size == 0:
            return 0
        chain = self.chain[self.cell(int(inside[0][0]), int(inside[0][1]))]
        place = chain.index(position)
        return self.first_capacity + chain[place + 1] if place + 1 < len(chain) else 0

    def _member_arcs(self, zone: int, rows: slice) -> None:
        """Best change from each action to each other action in one zone, and who makes it."""
        problem = self.problem
        worth, choice = problem.worth[:, rows], self.choice[rows]
        width = problem.channels + 1  # index 0 is no action
        gain = np.full((width, width), -np.inf)
        who = np.full((width, width), -1, dtype=np.int64)
        for action in range(-1, problem.channels):
            here = np.flatnonzero(choice == action)
            if here.size == 0:
                continue
            present = worth[action, here] if action >= 0 else np.zeros(here.size)
            if action >= 0:
                best = int(np.argmax(-present))
                gain[action + 1, 0], who[action + 1, 0] = -present[best], rows.start + here[best]
            for other in range(problem.channels):
                if other == action:
                    continue
                change = worth[other, here] - present
                best = int(np.argmax(change))
                gain[action + 1, other + 1], who[action + 1, other + 1] = change[best], rows.start + here[best]
        self.arcs[zone] = (gain, who)

    def _all_arcs(self) -> list[tuple[int, int, float, int, int, int]]:
        """(from, to, gain, zone or -1, member or capacity, kind): kind 0 member, 1 forward, -1 backward."""
        problem = self.problem
        arcs: list[tuple[int, int, float, int, int, int]] = []
        for zone, (gain, who) in self.arcs.items():
            for here, there in np.argwhere(np.isfinite(gain)):
                start = self.cell(here - 1, zone) if here else 0
                end = self.cell(there - 1, zone) if there else 0
                arcs.append((start, end, float(gain[here, there]), zone, int(who[here, there]), 0))
        counts = problem.counts_by_cell(self.choice)
        linked = set()
        for channel in range(problem.channels):
            for zone in range(problem.zone_count):
                node = self.cell(channel, zone)
                used = int(counts[channel, zone])
                if problem.pooled[channel]:
                    for serving in np.flatnonzero(problem.is_pool & problem.member[:, channel, zone]):
                        pool = self.first_capacity + int(serving)
                        arcs.append((node, pool, 0.0, -1, int(serving), 1))
                        if self.split[serving, channel, zone] > 0:
                            arcs.append((pool, node, 0.0, -1, int(serving), -1))
                    continue
                chain = self.chain[node]
                first = self.first_capacity + chain[0] if chain else 0
                arcs.append((node, first, 0.0, -1, -1, 1))
                if used > 0:
                    arcs.append((first, node, 0.0, -1, -1, -1))
                linked.update(chain)
        for position in sorted(linked):
            use = int(counts[problem.member[position]].sum())
            node, beyond = self.first_capacity + position, self._parent(position)
            if use < problem.counts[position]:
                arcs.append((node, beyond, 0.0, -1, position, 1))
            if use > 0:
                arcs.append((beyond, node, 0.0, -1, position, -1))
        for position in (int(number) for number in np.flatnonzero(problem.is_pool)):
            use = int(self.split[position].sum())
            node = self.first_capacity + position
            if use < problem.counts[position]:
                arcs.append((node, 0, 0.0, -1, position, 1))
            if use > 0:
                arcs.append((0, node, 0.0, -1, position, -1))
        return arcs

    def _longest(
        self, *, from_nothing: bool, backwards: bool = False
    ) -> tuple[Floats, list[tuple[int, int, float, int, int, int]]]:
        """Longest distances (from node 0, or from everywhere), or the arcs of a positive cycle if there is one.

        ``backwards``: along the arcs' reverses, so that the distance from node 0 is the distance to it.
        """
        arcs = self._all_arcs()
        if backwards:
            arcs = [(arc[1], arc[0], *arc[2:]) for arc in arcs]
        if not arcs:
            return np.zeros(self.nodes), []
        arcs.sort(key=lambda arc: arc[1])
        start = np.array([arc[0] for arc in arcs])
        end = np.array([arc[1] for arc in arcs])
        gain = np.array([arc[2] for arc in arcs])
        firsts = np.flatnonzero(np.r_[True, end[1:] != end[:-1]])
        targets = end[firsts]
        lengths = np.diff(np.r_[firsts, end.size])
        tolerance = _RELATIVE_TOLERANCE * max(1.0, float(np.abs(gain).max()))
        distance = np.full(self.nodes, -np.inf if from_nothing else 0.0)
        distance[0] = 0.0
        before = np.full(self.nodes, -1, dtype=np.int64)
        for round_number in range(self.nodes + 1):
            reach = distance[start] + gain
            best = np.maximum.reduceat(reach, firsts)
            better = best > distance[targets] + tolerance
            if not better.any():
                return distance, []
            is_best = np.flatnonzero(reach == np.repeat(best, lengths))
            segment = np.repeat(np.arange(firsts.size), lengths)[is_best]
            arc_of = np.full(firsts.size, -1, dtype=np.int64)
            arc_of[segment[::-1]] = is_best[::-1]
            distance[targets[better]] = best[better]
            before[targets[better]] = arc_of[better]
            if round_number % 4 == 3 or round_number == self.nodes:
                cycle = self._cycle_in(before, start)
                if cycle:
                    return distance, [arcs[position] for position in cycle]
        return distance, []

    def _cycle_in(self, before: Ints, start: Ints) -> list[int]:
        """Arcs of a cycle among the last improvements, or nothing."""
        state = np.zeros(self.nodes, dtype=np.int64)
        for origin in range(self.nodes):
            node, path = origin, []
            while state[node] == 0 and before[node] >= 0:
                state[node] = origin + 1
                path.append(node)
                node = int(start[before[node]])
            if before[node] >= 0 and state[node] == origin + 1 and node in path:
                cycle = []
                here = node
                while True:
                    cycle.append(int(before[here]))
                    here = int(start[before[here]])
                    if here == node:
                        return cycle
            if state[node] == 0:
                state[node] = origin + 1
        return []

    def _positive_cycle(self) -> list[tuple[int, int, float, int, int, int]]:
        return self._longest(from_nothing=False)[1]

    def _push(self, arc: tuple[int, int, float, int, int, int]) -> None:
        start, end, _, _, what, kind = arc
        problem = self.problem
        if kind == 0:
            self.choice[what] = _NONE if end == 0 else (end - 1) // problem.zone_count
        elif what >= 0 and problem.is_pool[what]:
            node = start if kind == 1 else end
            if 1 <= node < self.first_capacity:
                channel, cell_zone = divmod(node - 1, problem.zone_count)
                self.split[what, channel, cell_zone] += kind
