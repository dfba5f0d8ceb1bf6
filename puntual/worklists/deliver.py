"""What filled lists say, as files of the source contract in the landing folder: an input like any other.

One file per month of lists and table, written whole from the operational store: every row in its newest version, in one
file only, so that the order of the files decides nothing. The core's own files stay as they are.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from puntual.clock import last_day_of_month
from puntual.contracts.schema import load_contract
from puntual.worklists.check import NOT_WORKED, PROMISE
from puntual.worklists.store import OperationsStore

PREFIX = "puntual-worklist:"
"""Begins the keys of interactions and promises that came from lists. dbt's macro `is_from_list` says the same."""
WITHDRAWN = "puntual-worklist:withdrawn"
"""Campaign of a contact that a newer version of its row says was not made; so does dbt's macro `is_withdrawn`."""


def deliver_pending(store: OperationsStore, landing: Path, timezone: str) -> list[Path]:
    """Write the landing files of the months of every import that is not delivered yet, and mark it; the files.

    Whoever calls holds the home. Equal rows give equal bytes, and a file is replaced in one step; a crash leaves the
    imports as not delivered, to be written by the next import or run.
    """
    pending = store.pending()  # asked before the rows are read: what is recorded meanwhile stays pending
    written = []
    for first in sorted({one.as_of_date.replace(day=1) for one in pending}):
        rows = store.newest(first, last_day_of_month(first))
        name = f"puntual_worklists_{first:%Y-%m}.csv"
        interactions = [_interaction(row, timezone) for row in rows if row["was_worked"]]
        promises = [_promise(row, timezone) for row in rows if row["outcome_code"] == PROMISE]
        written.append(_write("interactions", landing / "interactions" / name, interactions))
        path = landing / "promises" / name
        if promises or path.exists():
            written.append(_write("promises", path, promises))
    if pending:
        store.mark_delivered(pending)
    return written


def _interaction(row: dict[str, Any], timezone: str) -> dict[str, Any]:
    """A row of the contract's interactions.

    ``propensity`` stays empty: the learning table multiplies the logged probabilities of all days of a week up to the
    contact, and a figure of one day in this column would take their place.
    """
    is_withdrawn = row["outcome_code"] == NOT_WORKED
    return {
        "interaction_id": PREFIX + row["row_id"],
        "customer_id": row["customer_id"],
        "loan_id": row["loan_id"],
        "occurred_at": _occurred_at(row, timezone),
        "channel": row["channel_code"],
        "direction": "outbound",
        "collector_id": row["collector_id"],
        "campaign_id": WITHDRAWN if is_withdrawn else f"worklist:{row['as_of_date']}",
        "outcome": "no_answer" if is_withdrawn else row["outcome_code"],
        "notes": row["notes"],
    }


def _promise(row: dict[str, Any], timezone: str) -> dict[str, Any]:
    return {
        "promise_id": PREFIX + row["row_id"],
        "interaction_id": PREFIX + row["row_id"],
        "loan_id": row["loan_id"],
        "made_at": _occurred_at(row, timezone),
        "due_on": row["due_date"],
        "amount": row["promised_amount"],
    }


def _occurred_at(row: dict[str, Any], timezone: str) -> str:
    """The moment of the contact; the institution's midnight where only the day is known."""
    if row["contacted_at"]:
        return f"{row['contacted_at']}Z"
    midnight = datetime.combine(date.fromisoformat(row["as_of_date"]), time(), ZoneInfo(timezone))
    return midnight.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _write(table: str, path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A CSV with the contract's columns, put in place in one step; it names people and is its owner's alone."""
    columns = load_contract()[table].column_names
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if value is None else value for name, value in row.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    with os.fdopen(
        os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline=""
    ) as stream:
        stream.write(text.getvalue())
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)
    return path
