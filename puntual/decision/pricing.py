"""Prices of capacities by linear programs over the members whose choice is not clear, and the last gap by a small exact
program: for capacities of any kind, in any number.

At given prices most members have one action that is clearly best. A program over the others alone has the same solution
as the whole, so the members of a large book are looked at in rounds: a sample of everyone gives first prices, a
sample of those whose choice is near a tie better ones, until everyone near a tie is in the program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array

from puntual.decision.problem import NONE, Problem

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_LARGE = 60_000
_THINNER = 8
_LEAST_ROWS = 24
_SPREADS = 3.0
_PROGRAM_ROWS = 4_000
_ROUNDS = 10
_EXACT_PAIRS = 3_000
_EXACT_NODES = 200
_EXACT_GAP = 5e-5
_SWEEPS = 60
_RELATIVE_TOLERANCE = 1e-10
_STALE = 1e-6
_NARROWER = 0.1
_SAME = 1e-12
_HALF_TIE = 1e-9
_SOLVED = 0


@dataclass(frozen=True)
class Margins:
    """What each row gets at given prices, and how far its second best is behind; rows without any action are clear."""

    best: Floats
    second: Floats
    action: Ints

    @classmethod
    def of(cls, problem: Problem, cell: Floats) -> Margins:
        """At prices by channel and zone."""
        best, second = problem.floor.copy(), np.full(problem.rows, -np.inf)
        action = np.full(problem.rows, NONE)
        for zone, rows in problem.blocks:
            top, next_best, which = best[rows], second[rows], action[rows]
            for channel in np.flatnonzero(np.isfinite(cell[:, zone])):
                net = problem.worth[channel, rows] - cell[channel, zone]
                above = net > top
                np.copyto(next_best, np.where(above, top, np.maximum(next_best, net)))
                np.copyto(which, np.where(above, channel, which))
                np.maximum(top, net, out=top)
        return cls(best, second, action)

    @property
    def lead(self) -> Floats:
        """Best less second best; infinite where there is nothing else."""
        second = np.where(np.isfinite(self.second), self.second, 0.0)
        return np.where(np.isfinite(self.second) & np.isfinite(self.best), self.best - second, np.inf)


class _Near:
    """Rows near a tie, found kind of contact by kind: cells that the same capacities limit.

    A scarce kind of contact is bid for by few, far apart: the same distance from a tie would leave its rows out or take
    those of all others in. So the distance of each kind is that of its ``wanted`` nearest rows.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        weight = problem.reach
        # columns of a group are looked at twice: one against another, and together against all other columns; else the
        # many who waver between two hours of a call would hide the few who waver between a call and none
        sizes = np.bincount(problem.group)
        self.groups = [np.flatnonzero(problem.group == number) for number in np.flatnonzero(sizes > 1)]
        lines, level = list(weight.transpose(1, 0, 2)), np.zeros(problem.channels + len(self.groups), dtype=np.int64)
        for number, columns in enumerate(self.groups):
            # what all of them use alike is bid for by the group, the rest between them
            shared = (weight[:, columns] == weight[:, columns[:1]]).all(axis=1)
            for column in columns:
                lines[column] = np.where(shared, 0, weight[:, column])
            lines.append(np.where(shared, weight[:, columns[0]], 0))
            level[problem.channels + number] = 1
        table = np.array(lines).transpose(1, 0, 2)
        flat = np.vstack([table.reshape(len(problem.counts), -1), np.repeat(level, problem.zone_count)[None]])
        kinds, kind = np.unique(flat, axis=1, return_inverse=True)
        self.uses = kinds[:-1] > 0
        self.kind = kind.reshape(len(lines), problem.zone_count)
        self.wanted = np.full(kinds.shape[1], np.inf)
        self.scale = np.ones(kinds.shape[1])
        self.taken = np.zeros(kinds.shape[1])
        self.radius = np.full(kinds.shape[1], np.inf)

    def rows(self, cell: Floats, margins: Margins) -> tuple[Ints, Ints, Floats, Floats]:
        """Rows near a tie, a sample of them, how many each of it stands for, and how far from its best it may go."""
        problem = self.problem
        lead = margins.lead
        distance = np.empty((problem.channels + len(self.groups), problem.rows))
        for zone, rows in problem.blocks:
            net = problem.worth[:, rows] - np.where(np.isfinite(cell[:, zone]), cell[:, zone], np.inf)[:, None]
            distance[: problem.channels, rows] = margins.best[rows] - net
        chosen = np.flatnonzero(margins.action >= 0)
        distance[margins.action[chosen], chosen] = lead[chosen]
        for number, columns in enumerate(self.groups):
            self._apart(distance, problem.channels + number, columns, cell, margins)
        reach = np.zeros(problem.rows)
        stratum = np.full(problem.rows, -1)
        self.radius[:] = 0.0
        # the scarcest last, so that its rows are its own
        for number in np.argsort(-self.wanted, kind="stable"):
            for channel in np.flatnonzero((self.kind == number).any(axis=1)):
                near = [
                    rows.start + np.flatnonzero(np.isfinite(distance[channel, rows]))
                    for zone, rows in problem.blocks
                    if self.kind[channel, zone] == number
                ]
                mine = np.concatenate(near) if near else np.zeros(0, dtype=np.int64)
                if not mine.size:
                    continue
                here = distance[channel, mine]
                wanted = self.wanted[number]
                radius = np.inf if wanted >= mine.size else float(np.partition(here, int(wanted))[int(wanted)])
                self.radius[number] = max(radius, self.radius[number])
                close = mine[here <= radius]
                reach[close] = np.maximum(reach[close], radius)
                stratum[close] = number
        inside = np.flatnonzero(stratum >= 0)
        order = inside[np.argsort(stratum[inside], kind="stable")]
        edges = np.searchsorted(stratum[order], np.arange(self.wanted.size + 1))
        most = max(_LEAST_ROWS, _PROGRAM_ROWS // max(int((np.diff(edges) > 0).sum()), 1))
        rows_of, scales = [], []
        self.scale[:] = 1.0
        for number in range(self.wanted.size):
            members = order[edges[number] : edges[number + 1]]
            taken = members
            if members.size > most:
                taken = members[np.unique(np.linspace(0, members.size - 1, most).astype(np.int64))]
                self.scale[number] = members.size / taken.size
            self.taken[number] = taken.size
            rows_of.append(taken)
            scales.append(np.full(taken.size, self.scale[number]))
        taken = np.concatenate(rows_of)
        by_row = np.argsort(taken, kind="stable")
        return inside, taken[by_row], np.concatenate(scales)[by_row], reach[taken][by_row]

    def _apart(self, distance: Floats, line: int, columns: Ints, cell: Floats, margins: Margins) -> None:
        """Distances of a group: between its columns for those who are in it, and of the group to all else."""
        problem = self.problem
        inside = np.isin(margins.action, columns)
        others = np.setdiff1d(np.arange(problem.channels), columns)
        for zone, rows in problem.blocks:
            price = np.where(np.isfinite(cell[:, zone]), cell[:, zone], np.inf)[:, None]
            best, mine = margins.best[rows], inside[rows]
            net = problem.worth[columns, rows] - price[columns]
            top, second = net[0].copy(), np.full(net.shape[1], -np.inf)
            for worth in net[1:]:
                second = np.maximum(second, np.minimum(top, worth))
                np.maximum(top, worth, out=top)
            beside = np.max(problem.worth[others, rows] - price[others], axis=0, initial=-np.inf)
            beside = np.maximum(beside, problem.floor[rows])
            # who is in no column of it is no matter of its hours
            apart = np.where(mine, best - net, np.inf)
            own = np.flatnonzero(mine)
            place = np.searchsorted(columns, margins.action[rows][own])
            apart[place, own] = top[own] - second[own]
            distance[columns, rows] = apart
            distance[line, rows] = best - np.where(mine, beside, top)

    def used(self, counts: Ints) -> Floats:
        """Contacts of every kind."""
        total = np.zeros(self.wanted.size)
        np.add.at(total, self.kind, np.vstack([counts, *(counts[columns].sum(axis=0) for columns in self.groups)]))
        return total

    def narrow(self, used: Floats, is_bounded: Flags) -> None:
        """Look at fewer rows of the kinds whose price is better known now, and at more where it was held back."""
        is_first = ~np.isfinite(self.wanted)
        seen = np.where(is_first, used / self.scale, self.taken)
        error = _SPREADS * self.scale * np.sqrt(seen + 1.0)
        held = (self.uses & is_bounded[:, None]).any(axis=0)
        narrower = np.where(self.scale > 1.0, np.maximum(error, _LEAST_ROWS), self.wanted)
        wider = np.where(is_first, narrower, 3.0 * np.maximum(self.wanted, _LEAST_ROWS))
        self.wanted = np.where(held, wider, narrower)


@dataclass(frozen=True)
class _Program:
    """Pairs of row and channel in play (``row`` counts within ``rows``) and the sparse program over them."""

    rows: Ints
    row: Ints
    channel: Ints
    objective: Floats
    matrix: csr_array
    upper: Floats
    lower: Floats
    limits: Ints
    pools: Ints
    links: int
    bounded: Ints
    sold: Ints

    @classmethod
    def of(
        cls,
        problem: Problem,
        prices: Floats,
        margins: Margins,
        rows: Ints,
        scale: Floats,
        reach: Floats,
        near: Ints,
        radius: Floats,
    ) -> _Program:
        """The program over ``rows`` in order, each for ``scale`` of those ``near``; the others keep their best action.

        Actions within ``reach`` of a row's best are in it. Where ``radius`` is finite, units of the capacity are bought
        and sold at its price more or less that: beyond it the rows left out would choose anew.
        """
        cell = problem.layout.cell_prices(prices)
        zone = problem.zone_of[rows]
        worth = problem.worth[:, rows]
        net = worth - np.where(np.isfinite(cell), cell, np.inf)[:, zone]
        inside = np.isfinite(worth) & np.isfinite(net)
        with np.errstate(invalid="ignore"):
            inside &= (net >= (margins.best[rows] - reach)[None, :]) | ~np.isfinite(reach)[None, :]
        row, channel = np.nonzero(inside.T)
        fixed = margins.action.copy()
        fixed[near] = NONE
        counts = problem.counts_by_cell(fixed)
        where = channel * problem.zone_count + zone[row]

        # rows of the matrix: one action each; limits; contacts served by pools; units of pools
        pools, limits = np.flatnonzero(problem.is_pool), np.flatnonzero(~problem.is_pool)
        flat = problem.weight.reshape(len(problem.counts), problem.channels * problem.zone_count)
        served = np.unique(np.concatenate([where, np.flatnonzero(counts.reshape(-1))]))
        served = served[problem.served.reshape(-1)[served]]
        place = np.full(flat.shape[1], -1)
        place[served] = np.arange(served.size)
        links = np.argwhere(flat[pools][:, served].T > 0) if pools.size else np.zeros((0, 2), dtype=np.int64)
        first_limit = rows.size
        first_served = first_limit + limits.size
        first_pool = first_served + served.size
        bounded = np.r_[limits, pools]
        bounded_row = np.r_[first_limit + np.arange(limits.size), first_pool + np.arange(pools.size)]
        bounded_row, bounded = bounded_row[np.isfinite(radius[bounded])], bounded[np.isfinite(radius[bounded])]
        sold = np.flatnonzero(prices[bounded] > radius[bounded])
        height = first_pool + pools.size
        width = row.size + len(links) + bounded.size + sold.size
        parts: list[tuple[Ints, Ints, Floats]] = [(row, np.arange(row.size), np.ones(row.size))]
        for number, limit in enumerate(limits):
            weight = flat[limit][where]
            using = np.flatnonzero(weight)
            parts.append((np.full(using.size, first_limit + number), using, weight[using] * scale[row[using]]))
        in_pool = np.flatnonzero(place[where] >= 0) if row.size else np.zeros(0, dtype=np.int64)
        parts.append((first_served + place[where[in_pool]], in_pool, scale[row[in_pool]]))
        link = row.size + np.arange(len(links))
        parts.append((first_served + links[:, 0], link, np.full(len(links), -1.0)))
        parts.append((first_pool + links[:, 1], link, np.ones(len(links))))
        for place_of in np.flatnonzero(problem.is_over[limits]):
            mine = link[problem.over[limits[place_of]][pools[links[:, 1]]]]
            parts.append((np.full(mine.size, first_limit + place_of), mine, np.ones(mine.size)))
        if bounded.size:
            first = row.size + link.size
            parts.append((bounded_row, first + np.arange(bounded.size), np.full(bounded.size, -1.0)))
            parts.append((bounded_row[sold], first + bounded.size + np.arange(sold.size), np.ones(sold.size)))
        matrix = coo_array(
            (
                np.concatenate([part[2] for part in parts]),
                (np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])),
            ),
            shape=(height, width),
        ).tocsr()
        taken = flat @ counts.reshape(-1)
        upper = np.concatenate(
            [
                np.ones(rows.size),
                problem.counts[limits] - taken[limits],
                -counts.reshape(-1)[served],
                problem.counts[pools],
            ]
        ).astype(np.float64)
        lower = np.full(height, -np.inf)
        lower[: rows.size][problem.must[rows]] = 1.0
        return cls(
            rows,
            row,
            channel,
            np.concatenate(
                [
                    -worth[channel, row] * scale[row],
                    np.zeros(len(links)),
                    prices[bounded] + radius[bounded],
                    radius[bounded[sold]] - prices[bounded[sold]],
                ]
            ),
            matrix,
            upper,
            lower,
            limits,
            pools,
            len(links),
            bounded,
            sold,
        )

    def relaxed(self, count: int) -> tuple[Floats, Floats, Flags] | None:
        """When members may be split: prices of ``count`` capacities, shares of the pairs, and where units were traded.

        None where nothing fits.
        """
        equal = np.isfinite(self.lower)
        options = {"A_eq": self.matrix[equal], "b_eq": self.upper[equal]} if equal.any() else {}
        solved = linprog(
            self.objective,
            A_ub=self.matrix[~equal],
            b_ub=self.upper[~equal],
            bounds=(0, None),
            method="highs",
            **options,
        )
        if solved.status != _SOLVED:
            return None
        marginal = np.zeros(self.matrix.shape[0])
        marginal[~equal] = -solved.ineqlin.marginals
        prices = np.zeros(count)
        prices[self.limits] = marginal[self.rows.size : self.rows.size + self.limits.size]
        prices[self.pools] = marginal[marginal.size - self.pools.size :]
        share, rest = solved.x[: self.row.size], solved.x[self.row.size + self.links :] > _HALF_TIE
        is_bounded = np.zeros(count, dtype=bool)
        is_bounded[self.bounded] = rest[: self.bounded.size]
        is_bounded[self.bounded[self.sold]] |= rest[self.bounded.size :]
        return np.maximum(prices, 0.0), np.asarray(share, dtype=np.float64), is_bounded

    def whole(self, within: float) -> tuple[Floats, float] | None:
        """0 or 1 for every pair in the program without split members, and a bound of its value; None: no answer.

        The search ends at a share ``within`` of the program's value.
        """
        solved = milp(
            self.objective,
            constraints=LinearConstraint(self.matrix, self.lower, self.upper),
            integrality=np.r_[np.ones(self.row.size), np.zeros(self.links)],
            bounds=Bounds(0, np.r_[np.ones(self.row.size), np.full(self.links, np.inf)]),
            options={"mip_rel_gap": within, "node_limit": _EXACT_NODES},
        )
        if solved.x is None:
            return None
        return np.asarray(solved.x[: self.row.size], dtype=np.float64), -float(solved.mip_dual_bound)

    def choice(self, margins: Margins, share: Floats) -> Ints:
        """The clear choices, and for the rows of the program the pair of the largest share."""
        chosen = margins.action.copy()
        chosen[self.rows] = NONE
        order = np.lexsort((self.channel, -share, self.row))
        first = order[np.unique(self.row[order], return_index=True)[1]]
        total = np.bincount(self.row, weights=share, minlength=self.rows.size)
        taken = first[share[first] >= 1.0 - total[self.row[first]] - _HALF_TIE]
        chosen[self.rows[self.row[taken]]] = self.channel[taken]
        return chosen


def descend(problem: Problem, prices: Floats, *, sweeps: int = _SWEEPS, most_rows: int | None = None) -> Floats:
    """Prices nearer the minimum of the dual: each capacity in turn to its exact best, until nothing moves.

    With ``most_rows`` only the capacities that no more rows than that can use.
    """
    prices = prices.copy()
    scale = float(np.max(problem.worth, initial=0.0, where=np.isfinite(problem.worth)))
    length = np.zeros(problem.zone_count, dtype=np.int64)
    for zone, rows in problem.blocks:
        length[zone] = rows.stop - rows.start
    # contacts that weigh differently have no order statistic: left to the programs
    mine = [
        position
        for position in range(len(problem.counts))
        if problem.weight[position].max(initial=0) <= 1
        and (most_rows is None or length[problem.member[position].any(axis=0)].sum() <= most_rows)
    ]
    bound = problem.bound(prices)
    for _ in range(sweeps):
        moved = 0.0
        for position in mine:
            count = problem.counts[position]
            bids = problem.bids(position, prices)
            price = 0.0
            if bids.size > count:
                price = float(np.partition(bids, bids.size - count - 1)[bids.size - count - 1])
                price = min(max(0.0, price), scale)
            moved = max(moved, abs(price - prices[position]))
            prices[position] = price
        before, bound = bound, problem.bound(prices)
        if moved <= _RELATIVE_TOLERANCE * scale or before - bound <= _STALE * abs(bound):
            break
    return prices


def price(problem: Problem, prices: Floats) -> tuple[Floats, Ints | None]:
    """Prices at or near the minimum of the dual, from those given, and the choice of the last program if it was whole.

    The choice may still exceed a capacity by the few members whom the program split.
    """
    near = _Near(problem)
    if problem.rows > _LARGE:
        # prices of a thinner book first: what is then unsure is little
        prices = np.minimum(price(problem.thinned(_THINNER), prices)[0], problem.worth.max())
        action = Margins.of(problem, problem.layout.cell_prices(prices)).action
        near.wanted = _SPREADS * _THINNER * np.sqrt(near.used(problem.counts_by_cell(action)) / _THINNER + 1.0)
    best, bound = prices, problem.bound(prices)
    choice: Ints | None = None
    for _ in range(_ROUNDS):
        margins = Margins.of(problem, problem.layout.cell_prices(best))
        everyone, rows, scale, reach = near.rows(problem.layout.cell_prices(best), margins)
        radius = np.where(near.uses, near.radius[None, :], 0.0).max(axis=1, initial=0.0)
        program = _Program.of(problem, best, margins, rows, scale, reach, everyone, radius)
        found = program.relaxed(len(problem.counts))
        if found is None:
            # only where everyone is in it: what must be cannot be
            return best, None
        value = problem.bound(found[0])
        if value < bound:
            best, bound = found[0], value
        if (scale == 1.0).all():
            choice = program.choice(margins, found[1])
            if not found[2].any():
                break
        near.narrow(near.used(problem.counts_by_cell(margins.action)), found[2])
    return best, choice


def close_gap(problem: Problem, prices: Floats, value: float) -> tuple[Ints | None, float]:
    """A choice better than ``value`` if an exact program over the members near a tie finds one, and a bound.

    Whoever would lose more than the gap by another action than the best at ``prices`` has that action in every better
    plan. So the program is exact when it has room for all others; else it takes the nearest ones and proves nothing.
    """
    bound = problem.bound(prices)
    cell = problem.layout.cell_prices(prices)
    margins = Margins.of(problem, cell)
    gap = max(bound - value, 0.0) + _SAME * abs(bound)
    whole = np.full(len(problem.counts), np.inf)

    def nearer_than(lead: float) -> _Program:
        near = np.flatnonzero(margins.lead <= lead)
        return _Program.of(problem, prices, margins, near, np.ones(near.size), np.full(near.size, lead), near, whole)

    program = nearer_than(gap)
    is_whole = program.row.size <= _EXACT_PAIRS
    while program.row.size > _EXACT_PAIRS:
        gap *= 0.5
        program = nearer_than(gap)
    if not program.row.size:
        return None, bound
    own = max(-float(program.objective[: program.row.size].sum()), 1e-9)
    found = program.whole(min(max(_EXACT_GAP * abs(bound) / own, _EXACT_GAP), 1e-2))
    if found is None:
        return None, bound
    share, inside = found
    fixed = margins.action.copy()
    fixed[program.rows] = NONE
    if is_whole:
        bound = min(bound, max(value, inside + problem.value_of(fixed)))
    return program.choice(margins, np.round(share)), bound
