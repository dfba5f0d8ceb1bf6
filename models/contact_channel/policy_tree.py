"""A policy tree: a few segments, told by thresholds that can be read aloud, and what each channel is worth in each.

Grown greedily on doubly robust scores: every split is the one after which the best channel of either side, or none,
brings most. Its depth bounds it to segments that a manager can remember; with depth 0 it is the best arm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

LEAF = -1
"""In the place of a column: the node is a segment."""
MOST_CUTS = 32
PULL_ROWS = 200.0
"""A segment's worth of a channel is drawn to that of its parent as if so many rows had shown that."""


@dataclass(frozen=True)
class PolicyTree:
    """Nodes in the order in which they were made, the root first; rows without a value go to the left.

    ``column`` is the place of the column, or ``LEAF``; rows with a value above ``threshold`` go to the node ``right``,
    the others to ``left``. ``worth`` has one row per node and one column per channel, in money per contact; ``rows``
    counts what each node was grown on.
    """

    column: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    worth: tuple[tuple[float, ...], ...]
    rows: tuple[int, ...]

    def segment(self, matrix: np.ndarray) -> np.ndarray:
        """The node of every row's segment."""
        node = np.zeros(len(matrix), dtype=np.int64)
        column, threshold = np.array(self.column), np.array(self.threshold)
        left, right = np.array(self.left), np.array(self.right)
        while True:
            open_rows = np.flatnonzero(column[node] != LEAF)
            if not len(open_rows):
                return node
            at = node[open_rows]
            above = matrix[open_rows, column[at]] > threshold[at]
            node[open_rows] = np.where(above, right[at], left[at])

    def gains(self, matrix: np.ndarray) -> np.ndarray:
        """Worth of every channel in the segment of every row."""
        return np.array(self.worth)[self.segment(matrix)]

    def contributions(self, matrix: np.ndarray, channel: int) -> np.ndarray:
        """Why a channel is worth what it is in the segment of every row, in money per contact; they add up to that.

        One column per column of ``matrix``: what the splits on it, on the way to the segment, add to the worth. The
        last column is what the channel is worth before any split.
        """
        added = np.zeros((len(self.column), matrix.shape[1] + 1))
        added[0, -1] = self.worth[0][channel]
        for node, column in enumerate(self.column):  # parents were made before their children
            if column != LEAF:
                for child in (self.left[node], self.right[node]):
                    added[child] = added[node]
                    added[child, column] += self.worth[child][channel] - self.worth[node][channel]
        return np.asarray(added[self.segment(matrix)])

    def to_json(self) -> dict[str, Any]:
        """The tree as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> PolicyTree:
        """The tree that :meth:`to_json` gave."""
        given: dict[str, Any] = {name: tuple(stored[name]) for name in cls.__dataclass_fields__}
        return cls(**given | {"worth": tuple(tuple(row) for row in given["worth"])})


def grow_policy_tree(
    matrix: np.ndarray, scores: np.ndarray, *, columns: Sequence[int], depth: int, least_rows: int
) -> PolicyTree:
    """The tree on rows whose doubly robust scores (rows x channels, in money, against no contact) are given.

    Args:
        matrix: features; a missing value is NaN.
        scores: what each channel is worth with each row; noisy, right on average.
        columns: places of the columns that may be split on.
        depth: most splits from the root to a segment.
        least_rows: fewest rows of a segment.
    """
    places = list(columns)
    cuts = [_cuts(matrix[:, place]) for place in places]
    bins = (
        np.column_stack(
            [
                np.searchsorted(edges, np.nan_to_num(matrix[:, place], nan=-np.inf), side="left")
                for place, edges in zip(places, cuts, strict=True)
            ]
        )
        if places
        else np.zeros((len(matrix), 0), dtype=np.int64)
    )
    node: dict[str, list[Any]] = {name: [] for name in PolicyTree.__dataclass_fields__}

    def grow(here: np.ndarray, level: int, parent: np.ndarray) -> int:
        own = len(node["column"])
        worth = (scores[here].sum(axis=0) + PULL_ROWS * parent) / (len(here) + PULL_ROWS)
        for name, value in (("column", LEAF), ("threshold", 0.0), ("left", own), ("right", own)):
            node[name].append(value)
        node["worth"].append(tuple(map(float, worth)))
        node["rows"].append(len(here))
        if level == 0:
            return own
        found = _best_split(bins[here], scores[here], least_rows)
        if found is None:
            return own
        column, cut = found
        above = bins[here, column] > cut
        node["column"][own], node["threshold"][own] = places[column], float(cuts[column][cut])
        node["left"][own] = grow(here[~above], level - 1, worth)
        node["right"][own] = grow(here[above], level - 1, worth)
        return own

    grow(np.arange(len(matrix)), depth, scores.mean(axis=0) if len(scores) else np.zeros(scores.shape[1]))
    return PolicyTree(**{name: tuple(values) for name, values in node.items()})


def _cuts(column: np.ndarray) -> np.ndarray:
    """Values to split at: quantiles of what is known, without the largest."""
    known = column[np.isfinite(column)]
    if not len(known):
        return np.zeros(0)
    edges = np.unique(np.quantile(known, np.arange(1, MOST_CUTS) / MOST_CUTS, method="lower"))
    return edges[edges < known.max()]


def _best_split(bins: np.ndarray, scores: np.ndarray, least_rows: int) -> tuple[int, int] | None:
    """Column and cut after which the best channels of both sides bring most; None when no split brings more."""
    rows, channels = scores.shape
    total = scores.sum(axis=0)
    best, found = max(float(total.max(initial=0.0)), 0.0) + 1e-9, None
    for column in range(bins.shape[1]):
        own = bins[:, column]
        size = int(own.max(initial=0)) + 1
        if size < 2:
            continue
        count = np.bincount(own, minlength=size).cumsum()[:-1]
        low = np.column_stack(
            [np.bincount(own, weights=scores[:, channel], minlength=size).cumsum()[:-1] for channel in range(channels)]
        )
        value = low.max(axis=1, initial=0.0) + (total - low).max(axis=1, initial=0.0)
        value[(count < least_rows) | (rows - count < least_rows)] = -np.inf
        cut = int(value.argmax())
        if value[cut] > best:
            best, found = float(value[cut]), (column, cut)
    return found
