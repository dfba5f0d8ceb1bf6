"""The rows that were handed out, from the publications that are kept."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from puntual.errors import PublishError
from puntual.lists.files import is_missing
from puntual.publish import sha256_of
from puntual.snapshot import Snapshot
from puntual.worklists.check import IssuedRow

ALL_ROWS = "worklists/all.parquet"
DECISIONS = "decisions.parquet"


def issued_rows(home: Path, day: date) -> dict[str, IssuedRow]:
    """Every contact on a published list of ``day`` by row id; of several publications the newest that has the row.

    Empty when no publication of the day is kept. The propensity and whether the contact was drawn come from the
    decision log of the same publication; the lists themselves do not say them.

    Raises:
        PublishError: a published list is not the file that was published; names it.
    """
    rows: dict[str, IssuedRow] = {}
    for snapshot in Snapshot.kept(home):  # the newest of a day comes last and wins
        if snapshot.as_of_date == day and ALL_ROWS in snapshot.manifest["files"]:
            rows |= _rows_of(snapshot)
    return rows


def _rows_of(snapshot: Snapshot) -> dict[str, IssuedRow]:
    lists = _published(snapshot, ALL_ROWS)
    decisions = _published(snapshot, DECISIONS)[["customer_id", "propensity", "is_exploration"]]
    rows = lists.merge(decisions, on="customer_id", how="left", validate="many_to_one")
    return {row["row_id"]: _row(row) for row in rows.to_dict("records")}


def _published(snapshot: Snapshot, name: str) -> pd.DataFrame:
    path = snapshot.folder / name
    if not path.exists() or sha256_of(path) != snapshot.manifest["files"][name]["sha256"]:
        raise PublishError(
            f"{path} is not the file that was published, so filled lists of {snapshot.as_of_date} cannot be judged. "
            f"Publish the day again: puntual run {snapshot.folder.parent.parent} --as-of {snapshot.as_of_date}"
        )
    return pd.read_parquet(path)


def _row(row: dict[Any, Any]) -> IssuedRow:
    return IssuedRow(
        row_id=row["row_id"],
        as_of_date=row["as_of_date"],
        list_id=row["list_id"],
        list_digest=_text(row["list_digest"]),
        collector_id=_text(row["collector_id"]),
        customer_id=row["customer_id"],
        loan_id=_text(row["loan_id"]),
        channel_code=row["channel_code"],
        timezone=row["timezone"],
        window_start=_moment(row["window_start"]),
        window_end=_moment(row["window_end"]),
        promise_limit_amount=float(row["promise_limit_amount"]),
        propensity=None if is_missing(row["propensity"]) else float(row["propensity"]),
        is_exploration=bool(row["is_exploration"]),
    )


def _text(value: Any) -> str | None:
    return None if is_missing(value) else str(value)


def _moment(value: Any) -> datetime | None:
    if is_missing(value):
        return None
    moment: datetime = pd.Timestamp(value).tz_convert("UTC").tz_localize(None).to_pydatetime()
    return moment
