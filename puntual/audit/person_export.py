"""All that was decided for one person, day by day: for the person, for an authority, for whoever must answer them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from puntual.audit.chain import AuditLog
from puntual.audit.log import CAMPAIGN, CHANNELS, SECOND, campaign_of, person, second_of
from puntual.errors import UsageError
from puntual.lists.files import keep_private, write_csv


def history(log: AuditLog, customer_id: str) -> list[dict[str, Any]]:
    """The rows of a person, oldest entry first; entries that another replaced are there and say so.

    ``second_contact``: :func:`puntual.audit.log.second_of`; ``campaign``: :func:`puntual.audit.log.campaign_of`.
    """
    found = []
    decided = [entry for entry in log.entries() if entry.kind == "decision"]
    in_force = {entry.as_of_date: entry.sequence for entry in decided}
    for entry in decided:
        row = person(log.folder_of(entry) / "decisions.parquet", customer_id)
        if row is not None:
            is_in_force = in_force[entry.as_of_date] == entry.sequence
            found.append(
                {"entry": entry.sequence, "recorded_at": entry.recorded_at, "is_in_force": is_in_force, **row}
                | {SECOND: second_of(row), CAMPAIGN: campaign_of(row)}
            )
    return found


def write_history(rows: list[dict[str, Any]], file: Path) -> None:
    """Write the rows as JSON (whole) or CSV (a row per day and channel); the file is its owner's alone.

    Raises:
        UsageError: the name ends otherwise.
    """
    if file.suffix == ".json":
        text = json.dumps(rows, ensure_ascii=False, indent=1, default=str)
        keep_private(file).write_text(f"{text}\n", encoding="utf-8")
    elif file.suffix == ".csv":
        flat = [
            {
                **{name: value for name, value in row.items() if name not in {CHANNELS, SECOND, CAMPAIGN}},
                **{f"{part}.{k}": v for part in (SECOND, CAMPAIGN) for k, v in (row[part] or {}).items()},
                **{f"channel.{k}": v for k, v in one.items()},
            }
            for row in rows
            for one in row[CHANNELS]
        ]
        headings = list(dict.fromkeys(name for row in flat for name in row))
        write_csv(file, headings, ([row.get(name) for name in headings] for row in flat), separator=",", decimal=".")
    else:
        raise UsageError(f"--out {file}: the name must end in .json or .csv")
