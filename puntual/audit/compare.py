"""Where a file that was made again differs from the one that was published: columns, rows, values."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from puntual.audit.chain import LOG, AuditLog, Entry
from puntual.audit.log import CAMPAIGN, CHANNELS, SECOND, VERSIONS
from puntual.publish import sha256_of

_KEYS = (("customer_id", "channel_code"), ("customer_id",), ("capacity_name",))
_EXAMPLES = 3


@dataclass(frozen=True)
class Compared:
    """One file of a replay.

    Attributes:
        name: as published.
        state: ``same`` bytes, ``different``, or ``missing``: it was published and is not made any more.
        published: SHA-256 that the log has.
        made: SHA-256 of the file that was made again; None: there is none.
        details: what differs, a line each; empty where that cannot be said.
    """

    name: str
    state: Literal["same", "different", "missing"]
    published: str
    made: str | None
    details: tuple[str, ...] = ()


def compare(log: AuditLog, entry: Entry, folder: Path) -> list[Compared]:
    """Every file that a replay of ``entry`` covers, against what ``folder`` has."""
    snapshot = log.home.published / entry.snapshot
    found = []
    for name in entry.replayable:
        published, file = entry.published[name].sha256, folder / name
        if not file.is_file():
            found.append(Compared(name, "missing", published, None))
            continue
        made = sha256_of(file)
        if made == published:
            found.append(Compared(name, "same", published, made))
            continue
        there = snapshot / name
        kept = there if there.is_file() and sha256_of(there) == published else None
        found.append(Compared(name, "different", published, made, tuple(_details(log, entry, name, kept, file))))
    return found


def _details(log: AuditLog, entry: Entry, name: str, kept: Path | None, made: Path) -> list[str]:
    if made.suffix == ".parquet":
        before = pd.read_parquet(kept) if kept is not None else _from_log(log, entry, name)
        return [] if before is None else frame_differences(before, pd.read_parquet(made))
    if made.suffix == ".csv" and kept is not None:
        return frame_differences(_csv(kept), _csv(made))
    if made.suffix == ".xlsx" and kept is not None:
        return frame_differences(*(pd.read_excel(file, header=None, dtype=object) for file in (kept, made)))
    return []


def _csv(file: Path) -> pd.DataFrame:
    text = file.read_text(encoding="utf-8-sig")
    first = text.splitlines()[0] if text else ""
    rows = list(csv.reader(text.splitlines(keepends=True), delimiter=";" if ";" in first else ","))
    return pd.DataFrame(rows[1:], columns=rows[0] if rows else [], dtype=object)


def _from_log(log: AuditLog, entry: Entry, name: str) -> pd.DataFrame | None:
    """The log has every row of the decision, also when its snapshot is gone."""
    if name not in {"decisions.parquet", "decision_details.parquet"}:
        return None
    table = pd.read_parquet(log.folder_of(entry) / LOG)
    if name == "decisions.parquet":
        return table.drop(columns=[CHANNELS, SECOND, CAMPAIGN, *VERSIONS], errors="ignore")
    people = table[["as_of_date", "customer_id", "loan_id", CHANNELS]].explode(CHANNELS, ignore_index=True)
    items = pd.DataFrame(people[CHANNELS].tolist())
    return pd.concat([people.drop(columns=CHANNELS), items], axis=1)


def frame_differences(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """What differs between two tables: columns, rows by key, then values by column with the first of them.

    >>> one = pd.DataFrame({"customer_id": ["a", "b"], "rank": [1, 2]})
    >>> frame_differences(one, one.assign(rank=[1, 3]))
    ['rank: 1 of 2 rows; customer_id b: 2 → 3']
    """
    lines = []
    lost = [name for name in before.columns if name not in after.columns]
    gained = [name for name in after.columns if name not in before.columns]
    if lost:
        lines.append(f"columns that are no more: {', '.join(map(str, lost))}")
    if gained:
        lines.append(f"columns that were not: {', '.join(map(str, gained))}")
    key = next((list(names) for names in _KEYS if set(names) <= set(before.columns) & set(after.columns)), [])
    if key and not before.duplicated(key).any() and not after.duplicated(key).any():
        one, other = before.set_index(key), after.set_index(key)
        both = one.index.intersection(other.index, sort=False)
        for title, rows in (("are no more", one.index.difference(both)), ("were not", other.index.difference(both))):
            if len(rows):
                lines.append(f"{len(rows)} rows that {title}, for example {_shown_key(key, rows[0])}")
        one, other = one.loc[both], other.loc[both]
    else:
        if len(before) != len(after):
            lines.append(f"{len(before)} rows, now {len(after)}")
        size = min(len(before), len(after))
        one, other = before.head(size).reset_index(drop=True), after.head(size).reset_index(drop=True)
        key = ["row"]
    for name in [name for name in one.columns if name in other.columns]:
        differ = np.flatnonzero(~_equal(one[name], other[name]))
        if len(differ):
            examples = "; ".join(
                f"{_shown_key(key, one.index[row])}: {one[name].iloc[row]} → {other[name].iloc[row]}"
                for row in differ[:_EXAMPLES]
            )
            lines.append(f"{name}: {len(differ)} of {len(one)} rows; {examples}")
    return lines or ["the same columns, rows and values: only how the file is written differs"]


def _equal(one: pd.Series, other: pd.Series) -> Any:
    one, other = _without_zone(one), _without_zone(other)
    left, right = one.astype(object).to_numpy(), other.astype(object).to_numpy()
    missing = one.isna().to_numpy() & other.isna().to_numpy()
    same = np.array([a == b for a, b in zip(left, right, strict=True)], dtype=bool)
    return missing | same


def _without_zone(values: pd.Series) -> pd.Series:
    """Published times name UTC, those of the log are UTC without saying so."""
    return values.dt.tz_localize(None) if isinstance(values.dtype, pd.DatetimeTZDtype) else values


def _shown_key(key: list[str], value: Any) -> str:
    values = value if isinstance(value, tuple) else (value,)
    return " ".join(f"{name} {part}" for name, part in zip(key, values, strict=True))


def software_differences(logged: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Versions of this machine that are not those with which the entry was made; a line each."""
    lines = []
    if logged.get("code_sha256") != here.get("code_sha256"):
        lines.append("Puntual's own code")
    before, now = logged.get("software", {}), here.get("software", {})
    lines += [
        f"{name} {before[name]}, here {now.get(name)}" for name in sorted(before) if before[name] != now.get(name)
    ]
    return lines
