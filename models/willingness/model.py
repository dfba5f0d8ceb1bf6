"""A trained willingness: small pay model, filter and usual contacts; every member's state and record on a date."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from models.artifacts import content_version, json_bytes
from models.datasets import as_dates
from models.features import RECORD_COLUMNS, WILLINGNESS_COLUMNS
from models.willingness.climate import Climate
from models.willingness.kalman import FilterParameters, Walk, shrinkage, walk
from models.willingness.panel import COLUMNS, EDGES, WEEK_DAYS, WeeklyPanel
from models.willingness.record import Usual, WeeklyContacts, records
from puntual.errors import ModelError

FORMAT = "willingness/2"
STALE_DAYS = 2 * WEEK_DAYS
"""A date this long after the panel's newest week is not followed: its own weeks are missing."""


@dataclass(frozen=True)
class WillingnessModel:
    """What a payment may be expected in a week, apart from the person, and how the rest is read as the person's own.

    ``constant`` and ``effects`` (one per group of ``panel.EDGES``) are in log odds. They, ``parameters`` and ``usual``
    (what a contact does as a rule) are fitted once on all weeks up to the training date; the state of a member on a
    date uses only the weeks that ended by then.
    """

    trained_as_of: date
    constant: float
    effects: tuple[float, ...]
    parameters: FilterParameters
    usual: Usual = field(default_factory=Usual)
    card: dict[str, Any] = field(default_factory=dict, compare=False)

    name = "willingness"

    @cached_property
    def version(self) -> str:
        """Digest of the model's files."""
        return content_version(self.to_files())

    def expected(self, panel: WeeklyPanel) -> np.ndarray:
        """Of every row, the log odds of paying for a member of level and trouble 0, float32."""
        effects = np.asarray(self.effects)
        return (self.constant + effects[panel.groups].sum(axis=1)).astype(np.float32)

    def climate(self, panel: WeeklyPanel) -> Climate:
        """What the weeks of the panel have in common; a few thousand members tell it as well as all.

        A week in which nobody owed is left out.
        """
        found = walk(panel, self.expected(panel), self.parameters, with_common=True)
        known = np.flatnonzero(np.isfinite(found.common))
        ends = tuple(panel.week_ends[week] for week in known)
        return Climate(ends, found.common[known], found.common_error[known])

    def states(self, panel: WeeklyPanel, keys: pd.DataFrame, contacts: WeeklyContacts | None = None) -> pd.DataFrame:
        """The columns for every row of ``keys`` (as_of_date, customer_id), in its order and with its index.

        1. ``willingness_level``: what stays; above 0 pays more readily than most.
        2. ``willingness_trouble``: what comes and goes; below 0 is going through a bad time.
        3. ``willingness_variance``: how little is known of the two together.
        4. With ``contacts`` (of the panel), those of :func:`models.willingness.record.records` besides.

        Only weeks that ended on or before the row's date count. NULL for a member who owed nothing till then, and for a
        date before the first week ended.
        """
        days = as_dates(keys["as_of_date"])
        dates = {day: _last_week(panel, day.date()) for day in days.unique()}
        expected = self.expected(panel)
        weeks = {week for week in dates.values() if week >= 0}
        found = walk(panel, expected, self.parameters, keep=weeks, with_rows=contacts is not None)
        place = pd.Index(panel.members).get_indexer(keys["customer_id"].astype("object"))
        names = [*WILLINGNESS_COLUMNS, *(RECORD_COLUMNS if contacts is not None else ())]
        values = np.full((len(keys), len(names)), np.nan, dtype=np.float32)
        week_of = days.map(dates).to_numpy() if len(keys) else np.zeros(0, int)
        rows_of: dict[int, np.ndarray] = {}
        for week, state in found.states.items():
            rows = np.flatnonzero((week_of == week) & (place >= 0))
            rows_of[week] = rows = rows[state.seen[place[rows]]]
            at = place[rows]
            values[rows, : len(WILLINGNESS_COLUMNS)] = np.column_stack(
                [state.level[at], state.trouble[at], state.variance[at]]
            )
        if contacts is not None:
            wanted = {week: place[rows] for week, rows in rows_of.items()}
            known = records(panel, contacts, chances(expected, found), self.usual, wanted)
            for week, rows in rows_of.items():
                values[rows, len(WILLINGNESS_COLUMNS) :] = known[week]
        return pd.DataFrame(values.astype(np.float64), columns=names, index=keys.index)

    def to_files(self) -> dict[str, bytes]:
        """The model as JSON; :meth:`from_files` reads it back."""
        head = {
            "format": FORMAT,
            "trained_as_of": self.trained_as_of,
            "schema_hash": schema_hash(),
            "constant": self.constant,
            "effects": self.effects,
            "parameters": asdict(self.parameters),
            "usual": asdict(self.usual),
        }
        return {"model.json": json_bytes(head)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], card: dict[str, Any] | None = None) -> WillingnessModel:
        """The model that :meth:`to_files` wrote.

        Raises:
            ModelError: it was fitted on other columns or groups than the present ones.
        """
        head = json.loads(files["model.json"])
        if head["format"] != FORMAT or head["schema_hash"] != schema_hash():
            raise ModelError("willingness: the stored model was fitted on another panel than today's; train again.")
        return cls(
            trained_as_of=date.fromisoformat(head["trained_as_of"]),
            constant=head["constant"],
            effects=tuple(head["effects"]),
            parameters=FilterParameters(**head["parameters"]),
            usual=Usual(**{name: tuple(values) for name, values in head["usual"].items()}),
            card=card or {},
        )


def schema_hash() -> str:
    """Digest of the panel's columns and groups: a model reads only the panel that it was fitted on."""
    return hashlib.sha256(json.dumps([COLUMNS, EDGES]).encode()).hexdigest()


def chances(expected: np.ndarray, walked: Walk) -> np.ndarray:
    """Of every row of a panel, the probability of paying as it was known before the week."""
    return np.asarray(expit((expected + walked.mean) * shrinkage(walked.variance)))


def _last_week(panel: WeeklyPanel, day: date) -> int:
    """Place of the last week that ended on or before the day; -1 when there is none.

    Raises:
        ModelError: the panel ends long before the day.
    """
    if panel.week_ends and (day - panel.week_ends[-1]).days > STALE_DAYS:
        raise ModelError(
            f"willingness: the weekly panel ends on {panel.week_ends[-1]}, too early for {day}; build it anew."
        )
    return bisect_right(panel.week_ends, day) - 1
