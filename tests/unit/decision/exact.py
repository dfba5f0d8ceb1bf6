"""The best choice by an exact solver (HiGHS): the measure of the allocation."""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_array

from puntual.decision.capacity import Capacity


def covers(capacity: Capacity, channel: str, zone: str | None) -> bool:
    return any(cell.channel == channel and cell.zone in {None, zone} for cell in capacity.cells)


def weight_of(capacity: Capacity, channel: str, zone: str | None) -> int:
    """Units that a contact takes; of several cells that hold it the last one written counts."""
    weights = [
        units
        for cell, units in zip(capacity.cells, capacity.weights or (1,) * len(capacity.cells), strict=True)
        if cell.channel == channel and cell.zone in {None, zone}
    ]
    return weights[-1] if weights else 0


def best_value(value, allowed, capacities: list[Capacity], channels: list[str], zones, must=None) -> float:
    """Greatest total value; a contact in a pooled channel needs one unit of one pool that serves it.

    Rows of ``must`` have exactly one contact; -inf where that is not possible.
    """
    must = np.zeros(len(value), dtype=bool) if must is None else np.asarray(must)
    pools = [capacity for capacity in capacities if capacity.kind == "pool"]
    pooled = {channel for pool in pools for channel in pool.channels}
    choices = []
    for row, column in np.argwhere(np.asarray(allowed) & ((np.asarray(value) > 0) | must[:, None])):
        channel = channels[column]
        if channel in pooled:
            choices += [(row, column, pool.name) for pool in pools if covers(pool, channel, zones[row])]
        else:
            choices.append((row, column, None))
    if not choices:
        return -np.inf if must.any() else 0.0
    matrix = lil_array((len(value) + len(capacities), len(choices)))
    for place, (row, column, pool) in enumerate(choices):
        matrix[row, place] = 1
        for number, capacity in enumerate(capacities):
            if capacity.kind == "pool":
                units = int(pool == capacity.name)
            elif capacity.pools:
                units = int(pool in capacity.pools)
            else:
                units = weight_of(capacity, channels[column], zones[row])
            if units:
                matrix[len(value) + number, place] = units
    upper = np.concatenate([np.ones(len(value)), [capacity.count for capacity in capacities]])
    lower = np.full(len(upper), -np.inf)
    lower[: len(value)][must] = 1.0
    worth = np.array([value[row][column] for row, column, _ in choices])
    solved = milp(
        -worth,
        constraints=LinearConstraint(matrix.tocsr(), lower, upper),
        integrality=np.ones(len(choices)),
        bounds=Bounds(0, 1),
    )
    return -np.inf if solved.fun is None else float(-solved.fun)
