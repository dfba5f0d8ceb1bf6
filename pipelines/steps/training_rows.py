"""The rows that a model was trained on, kept for notebooks and published with the day; no name, no identifier.

    HOME/artifacts/training/<model>/<as-of date>.parquet     written on the days that train
    SNAPSHOT/training/<model>.parquet                        the newest of them on or before the snapshot's date

One row per member or loan and date: the feature table's columns but its flags, then the labels. Members and loans are
numbers of this file alone. Of more than ``MOST_ROWS``, whole members are drawn.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.contact_channel.train import training_frame as channel_frame
from models.datasets import thinned
from models.default_risk.train import training_frame as risk_frame
from models.features import CUSTOMER_FEATURES, LOAN_FEATURES, FeatureSpec
from pipelines.day import Day
from pipelines.steps.champions import CHANNEL_MODEL, RISK_MODEL

MOST_ROWS = 200_000
KEPT = 7
"""How many trainings of a model are kept: a past date that is run again publishes what it knew."""
_FRAMES: dict[str, tuple[FeatureSpec, Callable[..., pd.DataFrame]]] = {
    RISK_MODEL: (LOAN_FEATURES, risk_frame),
    CHANNEL_MODEL: (CUSTOMER_FEATURES, channel_frame),
}
_NUMBERS = {"customer_id": "member_number", "loan_id": "loan_number"}


def keep_training_rows(day: Day, name: str, features: pd.DataFrame, labels: pd.DataFrame) -> int:
    """Keep what the model ``name`` was trained on at the day's date; returns how many rows."""
    spec, frame = _FRAMES[name]
    rows = without_identity(thinned(frame(features, labels, as_of=day.as_of), MOST_ROWS))
    rows = rows.drop(columns=[column.name for column in spec.columns if column.role == "flag"])
    folder = _folder(day, name)
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{day.as_of}.{os.getpid()}.new"
    table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, new, compression="zstd")
    new.replace(folder / f"{day.as_of}.parquet")
    for old in sorted(folder.glob("*.parquet"))[:-KEPT]:
        old.unlink()
    return len(rows)


def publish_training_rows(day: Day, folder: Path) -> list[str]:
    """Put the newest rows of every model, none from after the date, into the snapshot's folder; which models have any.

    A link where the disk allows it: the same bytes, once on the disk.
    """
    found = []
    for name in _FRAMES:
        known = [file for file in _folder(day, name).glob("*.parquet") if date.fromisoformat(file.stem) <= day.as_of]
        if not known:
            continue
        target = folder / "training" / f"{name}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        newest = max(known, key=lambda file: file.stem)
        try:
            target.hardlink_to(newest)
        except OSError:  # another disk, or one without links
            shutil.copyfile(newest, target)
        found.append(name)
    return found


def without_identity(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with numbers in the place of the identifiers, in the order of their digests, not of the identifiers."""
    changed: dict[str, Any] = {}
    for name, number in _NUMBERS.items():
        if name in rows:
            codes, names = pd.factorize(rows[name].astype("object"))
            digest = pd.util.hash_array(np.asarray(names, dtype=object), categorize=False)
            changed[number] = np.argsort(np.argsort(digest, kind="stable"), kind="stable")[codes]
    keys = [number for number in _NUMBERS.values() if number in changed]
    rest = rows.drop(columns=list(_NUMBERS), errors="ignore")
    whole = pd.concat([pd.DataFrame(changed, index=rows.index), rest], axis=1)
    return whole.sort_values(["as_of_date", *keys], kind="stable", ignore_index=True)


def _folder(day: Day, name: str) -> Path:
    return day.home.models.parent / "training" / name
