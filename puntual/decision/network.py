"""Exchanges of members along cycles of a small network of cells and capacities: exact where the capacities are one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from puntual.decision.capacity import next_above, serve
from puntual.decision.problem import NONE, Problem

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_RELATIVE_TOLERANCE = 1e-10


class Network:
    """Cells, limits and pools as nodes; a positive cycle is an exchange of members that adds value.

    Node 0 is "no action" and, at once, the far end of every capacity. An arc from cell to cell stands for the member
    who gains most (or loses least) by changing; arcs along capacities cost nothing and exist while there is room, their
    reverses while there is use.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        width = problem.channels * problem.zone_count
        self.first_capacity = 1 + width
        self.nodes = 1 + width + len(problem.counts)
        limits = [int(position) for position in np.flatnonzero(~problem.is_pool)]
        self.pools = [int(position) for position in np.flatnonzero(problem.is_pool)]
        self.on_people = [int(position) for position in np.flatnonzero(problem.is_over)]
        # the node after each pool and limit on people: the next limit around it, or the far end
        people = [*self.pools, *self.on_people]
        beyond = next_above(problem.over[self.on_people][:, self.pools])
        self.after = {
            position: self.first_capacity + people[around] if around >= 0 else 0
            for position, around in zip(people, beyond, strict=True)
        }
        size = problem.member.sum(axis=(1, 2))
        self.chain: dict[int, list[int]] = {}
        # where contacts of served cells leave their limits for the pools: the cell itself, or a node behind its last
        # limit; ``top`` is the number of that node, and ``serving`` the pools that it leads to
        self.exit_of: dict[int, int] = {}
        self.top: dict[int, int] = {}
        self.serving: list[list[int]] = []
        self.cells_of: list[list[tuple[int, int]]] = []
        for channel in range(problem.channels):
            for zone in range(problem.zone_count):
                inside = [position for position in limits if problem.member[position][channel, zone]]
                # equal sets are ordered by position, so that every cell climbs the same chain
                chain = sorted(inside, key=lambda position: (size[position], position))
                node = self.cell(channel, zone)
                self.chain[node] = chain
                if not problem.served[channel, zone]:
                    continue
                if not chain:
                    leave = node
                elif chain[-1] in self.exit_of:
                    leave = self.exit_of[chain[-1]]
                else:
                    leave = self.exit_of[chain[-1]] = self.nodes
                    self.nodes += 1
                if leave not in self.top:
                    self.top[leave] = len(self.serving)
                    self.serving.append([pool for pool in self.pools if problem.member[pool][channel, zone]])
                    self.cells_of.append([])
                self.cells_of[self.top[leave]].append((channel, zone))
        self.choice = np.zeros(0, dtype=np.int64)
        self.arcs: dict[int, tuple[Floats, Ints]] = {}
        self.split = np.zeros((0, 0), dtype=np.int64)

    def cell(self, channel: int, zone: int) -> int:
        """Node of a channel and zone."""
        return 1 + channel * self.problem.zone_count + zone

    def improve(self, choice: Ints) -> tuple[Ints, bool]:
        """Exchange members along positive cycles; True when none is left: the choice is then optimal."""
        problem = self.problem
        self.choice = choice.copy()
        for zone, rows in problem.blocks:
            self._member_arcs(zone, rows)
        self.split = self._served(problem.counts_by_cell(self.choice))
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

    def _served(self, counts: Ints) -> Ints:
        """Units of each pool spent on each exit: capacities x exits."""
        wanted = np.array([sum(counts[cell] for cell in cells) for cells in self.cells_of], dtype=np.int64)
        member = np.zeros((len(self.pools), len(self.serving), 1), dtype=bool)
        for number, pools in enumerate(self.serving):
            for pool in pools:
                member[self.pools.index(pool), number, 0] = True
        split = np.zeros((len(self.problem.counts), len(self.serving)), dtype=np.int64)
        if self.pools:
            counts, over = self.problem.counts, self.problem.over[self.on_people][:, self.pools]
            split[self.pools] = serve(wanted.reshape(-1, 1), member, counts[self.pools], over, counts[self.on_people])[
                :, :, 0
            ]
        return split

    def prices(self) -> Floats:
        """Prices that prove the choice together: the longest path from no action to each node, less that beyond it."""
        distance, _ = self._longest(from_nothing=True)
        problem = self.problem
        prices = np.zeros(len(problem.counts))
        for position in range(len(problem.counts)):
            here = distance[self.first_capacity + position]
            beyond = distance[self._parent(position)]
            if np.isfinite(here) and np.isfinite(beyond):
                prices[position] = max(0.0, here - beyond)
        return prices

    def one_more(self) -> Floats:
        """What one more unit of each capacity would add: the longest path from beyond it to its node.

        :meth:`prices` says the same of a capacity that no other holds back; inside another one they can be higher,
        where several choices of prices prove the same.
        """
        problem = self.problem
        added = np.zeros(len(problem.counts))
        beyond = [self._parent(position) for position in range(len(added))]
        for node in sorted(set(beyond)):
            distance, _ = self._longest(from_nothing=True, source=node)
            for position in (place for place, end in enumerate(beyond) if end == node):
                here = distance[self.first_capacity + position]
                added[position] = max(0.0, here) if np.isfinite(here) else 0.0
        return added

    def displaced(self) -> Floats:
        """What one more in each cell would cost the members who are there: the cheapest way on from its node."""
        distance, _ = self._longest(from_nothing=True, backwards=True)
        cells = distance[1 : self.first_capacity].reshape(self.problem.channels, self.problem.zone_count)
        return np.where(np.isfinite(cells), np.maximum(-cells, 0.0), np.inf)

    def _parent(self, position: int) -> int:
        """Node after a capacity: the next larger limit around it, the way to the pools, or the far end."""
        if position in self.after:
            return self.after[position]
        inside = np.argwhere(self.problem.member[position])
        if inside.size == 0:
            return 0
        chain = self.chain[self.cell(int(inside[0][0]), int(inside[0][1]))]
        place = chain.index(position)
        return self.first_capacity + chain[place + 1] if place + 1 < len(chain) else self.exit_of.get(position, 0)

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
            free = np.flatnonzero(~problem.must[rows][here])
            if action >= 0 and free.size:
                best = int(free[np.argmax(-present[free])])
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
                if problem.pooled[channel] and not problem.served[channel, zone]:
                    continue
                chain = self.chain[node]
                linked.update(chain)
                if not chain and node in self.top:
                    continue
                first = self.first_capacity + chain[0] if chain else 0
                arcs.append((node, first, 0.0, -1, -1, 1))
                if int(counts[channel, zone]) > 0:
                    arcs.append((first, node, 0.0, -1, -1, -1))
        for leave, number in self.top.items():
            for serving in self.serving[number]:
                pool = self.first_capacity + serving
                arcs.append((leave, pool, 0.0, -1, serving, 1))
                if self.split[serving, number] > 0:
                    arcs.append((pool, leave, 0.0, -1, serving, -1))
        for position in sorted(linked):
            use = int(counts[problem.member[position]].sum())
            node, beyond = self.first_capacity + position, self._parent(position)
            if use < problem.counts[position]:
                arcs.append((node, beyond, 0.0, -1, position, 1))
            if use > 0:
                arcs.append((beyond, node, 0.0, -1, position, -1))
        by_pool = self.split.sum(axis=1)
        for position, beyond in self.after.items():
            use = int(by_pool[position] if problem.is_pool[position] else by_pool[problem.over[position]].sum())
            node = self.first_capacity + position
            if use < problem.counts[position]:
                arcs.append((node, beyond, 0.0, -1, position, 1))
            if use > 0:
                arcs.append((beyond, node, 0.0, -1, position, -1))
        return arcs

    def _longest(
        self, *, from_nothing: bool, backwards: bool = False, source: int = 0
    ) -> tuple[Floats, list[tuple[int, int, float, int, int, int]]]:
        """Longest distances (from ``source``, or from everywhere), or the arcs of a positive cycle if there is one.

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
        distance[source] = 0.0
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
            self.choice[what] = NONE if end == 0 else (end - 1) // problem.zone_count
        elif what >= 0 and problem.is_pool[what]:
            number = self.top.get(start if kind == 1 else end)
            if number is not None:
                self.split[what, number] += kind
