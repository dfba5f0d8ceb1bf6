"""The best choice by an exact solver (HiGHS): the measure of the allocation."""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_array

from puntual.decision.capacity import Capacity


def covers(capacity: Capacity, channel: str, zone: str | None) -> bool:
    return any(cell.channel == channel and cell.zone in {None, zone} for cell in capacity.cells)


def best_value(value, allowed, capacities: list[Capacity], channels: list[str], zones) -> float:
    """Greatest total value; a contact in a pooled channel needs one unit of one pool that serves it."""
    pools = [capacity for capacity in capacities if capacity.kind == "pool"]
    pooled = {channel for pool in pools for channel in pool.channels}
    choices = []
    for row, column in np.argwhere(np.asarray(allowed) & (np.asarray(value) > 0)):
        channel = channels[column]
        if channel in pooled:
            choices += [(row, column, pool.name) for pool in pools if covers(pool, channel, zones[row])]
        else:
            choices.append((row, column, None))
    if not choices:
        return 0.0
    matrix = lil_array((len(value) + len(capacities), len(choices)))
    for place, (row, column, pool) in enumerate(choices):
        matrix[row, place] = 1
        for number, capacity in enumerate(capacities):
            uses = pool == capacity.name if capacity.kind == "pool" else covers(capacity, channels[column], zones[row])
            if uses:
                matrix[len(value) + number, place] = 1
    upper = np.concatenate([np.ones(len(value)), [capacity.count for capacity in capacities]])
    worth = np.array([value[row][column] for row, column, _ in choices])
    solved = milp(
        -worth,
        constraints=LinearConstraint(matrix.tocsr(), -np.inf, upper),
        integrality=np.ones(len(choices)),
        bounds=Bounds(0, 1),
    )
    return float(-solved.fun)
