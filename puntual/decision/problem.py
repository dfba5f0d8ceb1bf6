"""The allocation as arrays: members sorted by zone, values by channel, capacities over the two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from puntual.decision.capacity import Capacity, Layout, are_nested

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NONE = np.int64(-1)


_NOTHING = 1e-9
"""No currency knows a part so small: what is left of the bound below it is rounding, and no gap."""


@dataclass(frozen=True)
class Allocation:
    """A choice within capacities, and how far it can be from the best.

    ``choice``: column of the chosen action per row, -1 for none. ``dual_bound`` is at least the value of every feasible
    choice; ``gap`` = (bound - value) / bound. ``prices``: what one more unit of each capacity would add; ``duals``: the
    prices of the bound, which are the same but where a capacity lies inside another and several prices prove a choice.
    ``price_of_choice``: the price of every row and action (its capacities together), for the decision log.
    ``displaced``: channels x zones; what the others would lose if one more took the channel in the zone, infinite where
    it has no place. With it the plan of one row more is exact without solving it. None when the choice is not optimal.
    """

    choice: Ints
    value: float
    dual_bound: float
    gap: float
    prices: Floats
    duals: Floats
    used: Ints
    price_of_choice: Floats
    is_optimal: bool
    displaced: Floats | None


class Problem:
    """Rows sorted by zone, values by channel: each capacity then touches whole slices."""

    def __init__(
        self,
        layout: Layout,
        worth: Floats,
        order: Ints,
        blocks: list[tuple[int, slice]],
        must: Flags,
        group: Ints | None = None,
    ) -> None:
        self.layout = layout
        # columns of one group stand close together: a channel at several hours
        self.group = np.arange(worth.shape[0]) if group is None else group
        self.worth = worth
        self.order = order
        self.blocks = blocks
        self.must = must
        self.member, self.is_pool, self.counts = layout.member, layout.is_pool, layout.counts
        self.weight, self.reach = layout.weight, layout.reach
        self.over, self.is_over = layout.over, layout.is_over
        self.served, self.pooled = layout.served, layout.pooled
        self.channels, self.zone_count = layout.shape
        self.rows = worth.shape[1]
        reachable = layout.reachable
        for zone, rows in blocks:
            self.worth[~reachable[:, zone], rows] = -np.inf
        self.zone_of = np.zeros(self.rows, dtype=np.int64)
        for zone, rows in blocks:
            self.zone_of[rows] = zone
        # what a row gets without an action: nothing, or it may not be without one
        self.floor = np.where(must, -np.inf, 0.0)

    @classmethod
    def of(
        cls,
        value: Floats,
        allowed: npt.NDArray[np.bool_],
        capacities: Sequence[Capacity],
        channels: Sequence[str],
        zones: Sequence[str | None] | npt.NDArray[np.object_] | None,
        must: Flags | None = None,
        group: Ints | None = None,
    ) -> Problem:
        """The arrays of :func:`puntual.decision.allocate.allocate`'s arguments."""
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
        forced = np.zeros(len(value), dtype=bool) if must is None else np.asarray(must, dtype=bool)
        # NaN > 0 is False; who must have an action may have one that costs more than it brings
        usable = np.asarray(allowed, dtype=bool) & ((value > 0) | (forced[:, None] & np.isfinite(value)))
        worth = np.ascontiguousarray(np.where(usable, value, -np.inf).T[:, order])
        return cls(layout, worth, order, blocks, forced[order], group)

    def thinned(self, factor: int) -> Problem:
        """Every ``factor``-th row, and the capacities in proportion."""
        rows = np.arange(0, self.rows, factor)
        blocks = [
            (zone, slice(int(np.searchsorted(rows, block.start)), int(np.searchsorted(rows, block.stop))))
            for zone, block in self.blocks
        ]
        counts = np.maximum(np.rint(self.counts / factor).astype(np.int64), np.minimum(self.counts, 1))
        layout = replace(self.layout, counts=counts)
        # whoever must have an action may not fit a thinner book: its prices are only a beginning
        return Problem(layout, self.worth[:, rows], rows, blocks, np.zeros(rows.size, dtype=bool), self.group)

    def off_network(self) -> list[int]:
        """Positions of the limits without which the rest is a network, where exchanges along cycles are exact.

        A network needs limits that are nested, weigh every contact alike, and each lie inside cells that the same pools
        serve; limits on people need to be nested. Those that break this are left out one by one, the last first.
        """
        pools = self.member[self.is_pool].reshape(int(self.is_pool.sum()), self.channels * self.zone_count)
        kept: list[Flags] = []
        out: list[int] = []
        on_people: list[int] = []
        for position in (int(number) for number in np.flatnonzero(~self.is_pool)):
            if self.is_over[position]:
                fits = are_nested(self.over[[*on_people, position]])
                (on_people if fits else out).append(position)
                continue
            cells = self.member[position].reshape(-1)
            alike = bool((pools[:, cells] == pools[:, cells][:, :1]).all()) if cells.any() else True
            weights = self.weight[position].reshape(-1)[cells]
            nested = all(
                not (cells & other).any() or (cells <= other).all() or (other <= cells).all() for other in kept
            )
            if alike and nested and bool((weights == 1).all()):
                kept.append(cells)
            else:
                out.append(position)
        return out

    def bound(self, prices: Floats) -> float:
        """Value that no feasible choice can exceed, for any prices that are not negative."""
        total = float(self.counts @ prices)
        cell = self.layout.cell_prices(prices)
        for zone, rows in self.blocks:
            total += float(best_of(self.worth[:, rows], cell[:, zone], self.floor[rows]).sum())
        return total

    def bids(self, capacity: int, prices: Floats) -> Floats:
        """What each row that could use the capacity would pay for it at most, given the other prices."""
        rest = self.layout.cell_prices(prices, without=capacity)
        inside = self.reach[capacity] > 0
        # through a pool a contact costs its limits only; through a limit what it costs without that limit
        by_people = bool(self.is_pool[capacity] or self.is_over[capacity])
        through = rest
        if by_people:
            pools = self.over[capacity].copy()
            pools[capacity] = self.is_pool[capacity]
            free = np.where(np.arange(len(prices)) == capacity, 0.0, prices)
            through = self.layout.limit_prices(prices) + self.layout.pool_prices(free, pools)
        offers = []
        for zone, rows in self.blocks:
            mine = inside[:, zone]
            if not mine.any():
                continue
            elsewhere = rest[:, zone].copy()
            if not by_people:
                elsewhere[mine] = np.inf
            use = best_of(self.worth[:, rows], np.where(mine, through[:, zone], np.inf), -np.inf)
            without = best_of(self.worth[:, rows], elsewhere, self.floor[rows])
            # who must have an action and has no other pays any price
            offers.append(np.where(np.isfinite(use), use - np.where(np.isfinite(use), without, 0.0), -np.inf))
        return np.concatenate(offers) if offers else np.zeros(0)

    def counts_by_cell(self, choice: Ints) -> Ints:
        """Chosen rows of each channel and zone."""
        counts = np.zeros((self.channels, self.zone_count), dtype=np.int64)
        for zone, rows in self.blocks:
            chosen = choice[rows]
            counts[:, zone] = np.bincount(chosen[chosen >= 0], minlength=self.channels)
        return counts

    def value_of(self, choice: Ints) -> float:
        """Total value of a choice."""
        chosen = np.flatnonzero(choice >= 0)
        return float(np.sum(self.worth[choice[chosen], chosen]))

    def used_by(self, counts: Ints) -> Ints:
        """Units of every capacity that these contacts by channel and zone use; pools as far as they can serve."""
        used = (self.weight * counts).sum(axis=(1, 2))
        by_people = self.is_pool | self.is_over
        used[by_people] = self.layout.used(self.layout.serve(counts))[by_people]
        return np.asarray(used, dtype=np.int64)

    def fits(self, choice: Ints) -> bool:
        """Whether a choice is within all capacities and leaves nobody out who must have an action."""
        counts = self.counts_by_cell(choice)
        used = self.used_by(counts)
        served = used[self.is_pool].sum() >= counts[self.served].sum()
        return bool((used <= self.counts).all() and served and not (self.must & (choice < 0)).any())

    def result(
        self,
        choice: Ints,
        prices: Floats,
        is_optimal: bool,
        displaced: Floats | None,
        best: float = np.inf,
        added: Floats | None = None,
    ) -> Allocation:
        """The allocation in the caller's row order; ``best`` is a bound known otherwise, ``added`` prices per unit."""
        total = self.value_of(choice)
        bound = max(min(self.bound(prices), best), total)
        if not self.fits(choice):
            raise AssertionError("the allocation exceeds a capacity: a defect of allocate()")
        used = self.used_by(self.counts_by_cell(choice))
        back = np.empty(self.rows, dtype=np.int64)
        back[self.order] = choice
        cell = self.layout.cell_prices(prices)
        price = np.empty((self.rows, self.channels))
        for zone, rows in self.blocks:
            price[self.order[rows]] = cell[:, zone]
        gap = (bound - total) / bound if bound > _NOTHING else 0.0
        more = prices if added is None else added
        return Allocation(back, total, bound, gap, more, prices, used, price, is_optimal, displaced)


def best_of(worth: Floats, price: Floats, floor: Floats | float) -> Floats:
    """Greatest worth less price of each row, at least ``floor``; a channel of infinite price is left out."""
    best = np.array(np.broadcast_to(floor, worth.shape[1]), dtype=np.float64)
    for channel in np.flatnonzero(np.isfinite(price)):
        np.maximum(best, worth[channel] - price[channel], out=best)
    return best
