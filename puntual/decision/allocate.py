"""At most one action per member, within capacities, for the greatest total value: solved to a proven gap.

1. Prices of the capacities by coordinate descent on the Lagrangian dual: with the other prices fixed, the best price of
   a capacity of n units is the (n + 1)-th largest amount that somebody would pay for it, an exact order statistic.
2. The choice that follows from the prices is repaired to fit, filled, and improved by exchange cycles on a network of
   the few cells and capacities, never of the members (``network.py``). When no exchange is left the choice is
   optimal, the longest paths of the same network are the exact prices, and the dual bound equals the value.
3. Where one price cannot move alone (several pools serve one channel, limits cross, contacts weigh differently) the
   prices come from linear programs over the members near a tie, and the last gap is closed by a small exact program
   (``pricing.py``). The gap that stays is reported.

What a capacity is, and where capacities come from, stands in ``capacity.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from puntual.decision.capacity import Capacity
from puntual.decision.network import Network
from puntual.decision.pricing import Margins, close_gap, descend, price
from puntual.decision.problem import NONE, Allocation, Problem
from puntual.errors import RuleError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_RELATIVE_TOLERANCE = 1e-10
_FILL_ROUNDS = 50
_LARGE = 20_000
_CLOSE = 2e-4
_NEAR = 1e-3
"""A repaired choice within this of the bound is left to the exchanges; one further off needs better prices first."""


def allocate(
    value: Floats,
    allowed: npt.NDArray[np.bool_],
    capacities: Sequence[Capacity],
    *,
    channels: Sequence[str],
    zones: Sequence[str | None] | npt.NDArray[np.object_] | None = None,
    must: Flags | None = None,
    group: Ints | None = None,
) -> Allocation:
    """The best choice of at most one allowed action per row within the capacities.

    1. Only actions of positive value are chosen; none is worth 0. A row of ``must`` gets an action, whatever its worth.
    2. A channel that appears in a pool can only be used where a pool serves it.
    3. Ties go to the earlier row and the earlier channel.
    4. Exact (``is_optimal``) where limits are nested, weigh contacts alike and lie inside cells of the same pools,
       limits on people are nested, and where the others among them leave room; else within ``gap`` of the best.

    Args:
        value: rows x channels; what the action adds. NaN counts as not allowed.
        allowed: rows x channels.
        capacities: limits and pools; a channel in none of them is unlimited.
        channels: names of the columns.
        zones: zone of each row (None: unknown); not needed when no capacity has a zone.
        must: rows that get an action; that all of them can is for the caller to know, by :func:`most_served`.
        group: of each column, where several are nearly alike, such as a channel at different hours. It changes no
            optimum, only how fast one is found. None: each its own.

    Raises:
        RuleError: a capacity names a channel that is not among the columns, or is negative; not everyone of ``must``
            can be served.
    """
    problem = Problem.of(value, allowed, capacities, channels, zones, must, group)
    off = problem.off_network()
    if off:
        kept = [position for position in range(len(capacities)) if position not in off]
        rest = Problem.of(value, allowed, [capacities[position] for position in kept], channels, zones, must, group)
        if rest.layout.zones == problem.layout.zones:
            loose = _on_network(rest)
            if loose is not None and problem.fits(loose[0]):
                prices, added = np.zeros(len(capacities)), np.zeros(len(capacities))
                prices[kept], added[kept] = loose[1], loose[3]
                # one row more moves at most one member in each cell: is there room for all of them?
                spare = (problem.counts - problem.used_by(problem.counts_by_cell(loose[0])))[off]
                is_far = bool((spare >= problem.reach[off].sum(axis=(1, 2))).all())
                return problem.result(loose[0], prices, True, loose[2] if is_far else None, added=added)
        return _priced(problem)
    found = _on_network(problem)
    if found is None:
        return _priced(problem)
    choice, prices, displaced, added = found
    return problem.result(choice, prices, displaced is not None, displaced, added=added)


def most_served(
    first: Flags,
    value: Floats,
    allowed: npt.NDArray[np.bool_],
    capacities: Sequence[Capacity],
    *,
    channels: Sequence[str],
    zones: Sequence[str | None] | npt.NDArray[np.object_] | None = None,
    group: Ints | None = None,
) -> Allocation:
    """As many rows as possible with an allowed action, as many of ``first`` as possible before all; value decides last.

    Sets of rows that can be served together are independent sets of a matroid where capacities are a network, so
    weights of 2 and 1 are enough for the order; value moves them by less than all rows of a chain of exchanges could.

    Args:
        first: rows that come before the others.
        value: rows x channels; only its order within a row and between rows counts.
        allowed: rows x channels.
        capacities: as for :func:`allocate`.
        channels: names of the columns.
        zones: zone of each row.
        group: as for :func:`allocate`.
    """
    known = np.where(np.isfinite(value), value, np.nanmin(value, initial=0.0, where=np.isfinite(value)))
    span = float(np.ptp(known)) if known.size else 0.0
    cells = len(channels) * (len(set(zones)) + 1 if zones is not None else 1) + len(capacities)
    nudge = (known - known.min()) / span / (4.0 * cells) if span > 0 else np.zeros(known.shape)
    weight = np.where(first, 2.0, 1.0)[:, None] + nudge
    return allocate(weight, allowed, capacities, channels=channels, zones=zones, group=group)


def _on_network(problem: Problem) -> tuple[Ints, Floats, Floats | None, Floats] | None:
    """Choice, prices, what a joining row would displace (None: not proven the best) and what one more unit adds.

    None if the rows that must have an action did not all get one.
    """
    prices = _first_prices(problem)
    # hours of a channel are close together: prices of nothing lead nowhere near in a large book
    is_far = problem.rows > _LARGE and np.unique(problem.group).size < problem.channels and not prices.any()
    choice = np.full(problem.rows, NONE) if is_far else _repair(problem, prices)
    bound = problem.bound(prices)
    if (problem.must & (choice < 0)).any() or bound - problem.value_of(choice) > _NEAR * bound:
        prices, near = price(problem, prices)
        cell = problem.layout.cell_prices(prices)
        margins = Margins.of(problem, cell)
        priced = margins.action if near is None else near
        fit(problem, priced, np.where(problem.must, np.inf, margins.best), cell)
        choice = priced if not (problem.must & (priced < 0)).any() else _forced(problem, cell)
    if (problem.must & (choice < 0)).any():
        return None
    network = Network(problem)
    choice, is_optimal = network.improve(choice)
    if not is_optimal:
        return choice, prices, None, prices
    exact, displaced = network.prices(), network.displaced()
    if problem.bound(exact) <= problem.bound(prices) * (1 + _RELATIVE_TOLERANCE):
        prices = exact
    return choice, prices, displaced, network.one_more()


def _first_prices(problem: Problem) -> Floats:
    """By descent, unless several pools serve a channel in a large book, where it would be long and of no use."""
    nothing = np.zeros(len(problem.counts))
    alternatives = problem.member[problem.is_pool].sum(axis=0).max(initial=0) > 1
    return nothing if alternatives and problem.rows > _LARGE else descend(problem, nothing)


def _forced(problem: Problem, cell: Floats) -> Ints:
    """A choice with everyone who must have an action in it, whatever it costs the others."""
    rows = np.flatnonzero(problem.must)
    part = Problem(
        problem.layout,
        problem.worth[:, rows].copy(),
        np.arange(rows.size),
        [
            (zone, slice(*(int(edge) for edge in np.searchsorted(rows, [block.start, block.stop]))))
            for zone, block in problem.blocks
        ],
        np.zeros(rows.size, dtype=bool),
        problem.group,
    )
    inside = np.isfinite(part.worth)
    low = float(part.worth[inside].min(initial=0.0))
    span = max(float(part.worth[inside].max(initial=0.0)) - low, 1.0)
    part.worth[inside] = 1.0 + (part.worth[inside] - low) / span / (4.0 * (part.channels * part.zone_count + 1))
    prices, near = price(part, np.zeros(len(part.counts)))
    placed = near if near is not None else Margins.of(part, part.layout.cell_prices(prices)).action
    fit(part, placed, np.ones(rows.size), np.zeros(cell.shape))
    placed, _ = Network(part).improve(placed)
    choice = np.full(problem.rows, NONE)
    choice[rows] = placed
    _fill(problem, choice, cell)
    return choice


def _priced(problem: Problem) -> Allocation:
    """The allocation by prices and the exact program over what is near a tie; for capacities that are no network."""
    prices, near = price(problem, _first_prices(problem))
    cell = problem.layout.cell_prices(prices)
    margins = Margins.of(problem, cell)
    margin = np.where(problem.must, np.inf, margins.best)
    candidates = [margins.action] if near is None else [margins.action, near]
    for choice in candidates:
        fit(problem, choice, margin, cell)
    candidates = [choice for choice in candidates if problem.fits(choice)]
    value = max((problem.value_of(choice) for choice in candidates), default=-np.inf)
    bound = problem.bound(prices)
    closed = None
    if not bound - value <= _CLOSE * bound:
        closed, bound = close_gap(problem, prices, value)
    if closed is not None:
        fit(problem, closed, margin, cell)
        if problem.fits(closed):
            candidates.append(closed)
    if not candidates:
        raise RuleError("Not everyone who must have an action can have one within the capacities.")
    best = max(candidates, key=problem.value_of)
    return problem.result(best, prices, False, None, bound)


def _repair(problem: Problem, prices: Floats) -> Ints:
    """The choice that the prices suggest, cut to the capacities and filled up again."""
    cell = problem.layout.cell_prices(prices)
    margins = Margins.of(problem, cell)
    choice = margins.action.copy()
    fit(problem, choice, np.where(problem.must, np.inf, margins.best), cell)
    return choice


def fit(problem: Problem, choice: Ints, margin: Floats, cell: Floats) -> None:
    """Cut a choice to the capacities, those of the least ``margin`` first, and give what is left to the idle."""
    _cut(problem, choice, margin)
    _fill(problem, choice, cell)


def _cut(problem: Problem, choice: Ints, margin: Floats) -> None:
    """Drop the least profitable rows of every capacity that is exceeded."""
    zone_of = problem.zone_of
    for position in np.flatnonzero(~problem.is_pool):
        weight = np.where(choice >= 0, problem.weight[position][choice, zone_of], 0)
        excess = int(weight.sum() - problem.counts[position])
        if excess <= 0:
            continue
        users = np.flatnonzero(weight)
        order = users[np.lexsort((-users, margin[users] / weight[users]))]
        last = int(np.searchsorted(np.cumsum(weight[order]), excess)) + 1
        choice[order[:last]] = NONE
    counts = problem.counts_by_cell(choice)
    room = problem.layout.serve(counts).sum(axis=0)
    for channel, zone in np.argwhere(problem.served & (counts > room)):
        users = np.flatnonzero((choice == channel) & (zone_of == zone))
        excess = int(counts[channel, zone] - room[channel, zone])
        choice[users[np.lexsort((-users, margin[users]))][:excess]] = NONE


def _fill(problem: Problem, choice: Ints, cell: Floats) -> None:
    """Give what is left to rows without an action, best first."""
    zone_of = problem.zone_of
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
        # what was there before stays; of what is added, the best
        rank = np.full(problem.rows, np.inf)
        rank[idle] = idle.size - np.arange(idle.size, dtype=float)
        _cut(problem, trial, rank)
        if np.array_equal(trial, choice):
            return
        choice[:] = trial


def _room(problem: Problem, counts: Ints) -> Ints:
    """Units that each cell could still take, taken alone."""
    room = np.full(counts.shape, np.iinfo(np.int32).max, dtype=np.int64)
    for position in np.flatnonzero(~problem.is_pool):
        inside = problem.member[position]
        left = problem.counts[position] - (problem.weight[position] * counts).sum()
        room[inside] = np.minimum(room[inside], left // problem.weight[position][inside])
    if problem.is_pool.any():
        split = problem.layout.serve(counts)
        left = problem.counts - problem.layout.used(split)
        for position in np.flatnonzero(problem.is_over):
            mine = problem.over[position]
            left[mine] = np.minimum(left[mine], left[position])
        by_pool = np.zeros(counts.shape, dtype=np.int64)
        for position in np.flatnonzero(problem.is_pool):
            by_pool[problem.member[position]] += left[position]
        room = np.where(problem.served, np.minimum(room, by_pool), room)
    return np.maximum(room, 0)
