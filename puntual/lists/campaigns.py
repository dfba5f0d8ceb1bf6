"""Campaigns: a CSV per message channel with template and variables, and one of those left out, with the rule."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

from puntual.lists.files import write_csv
from puntual.lists.rows import COLLECTOR_CHANNELS, ListSettings, fill
from puntual.lists.texts import word

_COLUMNS = (
    ("day", "as_of_date"),
    ("rank", "rank"),
    ("customer_id", "customer_id"),
    ("loan_id", "loan_id"),
    ("contact_value", "contact_value"),
    ("template_id", "template_id"),
    ("full_name", "full_name"),
    ("amount_text", "amount"),
    ("past_due_days", "past_due_days"),
    ("window_start_local", "window_start_local"),
    ("window_end_local", "window_end_local"),
    ("suggested_hour_local", "suggested_hour_local"),
    ("message", "message"),
)
_SUPPRESSED_COLUMNS = (
    ("day", "as_of_date"),
    ("customer_id", "customer_id"),
    ("loan_id", "loan_id"),
    ("blocked_by", "blocked_by"),
    ("sources", "sources"),
    ("earliest_permitted", "earliest_permitted"),
)


def write_campaigns(
    rows: pd.DataFrame, details: pd.DataFrame, folder: Path, settings: ListSettings, as_of: date
) -> list[Path]:
    """Write ``<channel>.csv`` and ``<channel>_suppressed.csv`` of every message channel under ``campaigns/``.

    A campaign has one row per message to send, best first; a file without rows says that nothing is sent. The
    suppressed are the eligible members whom a rule forbids to reach through the channel today, with the rules, their
    sources and the first day on which it would be permitted.
    """
    written = []
    language = settings.language
    for channel in dict.fromkeys(details["channel_code"]):
        if channel in COLLECTOR_CHANNELS:
            continue
        mine = rows[rows["channel_code"] == channel].sort_values("rank")
        mine = mine.assign(
            day=as_of.isoformat(),
            template_id=f"{channel}_" + mine["stage"].astype(str) + f"_{language}",
            message=fill("templates", mine, settings),
        )
        written.append(_write(folder / "campaigns" / f"{channel}.csv", mine, _COLUMNS, settings))
        blocked = details[(details["channel_code"] == channel) & ~details["is_allowed"].to_numpy(dtype=bool)]
        blocked = blocked.assign(day=as_of.isoformat(), earliest_permitted=_earliest(blocked, settings))
        written.append(
            _write(folder / "campaigns" / f"{channel}_suppressed.csv", blocked, _SUPPRESSED_COLUMNS, settings)
        )
    return written


def _earliest(blocked: pd.DataFrame, settings: ListSettings) -> pd.Series:
    local = blocked["earliest_permitted_at"].dt.tz_localize("UTC").dt.tz_convert(settings.timezone)
    written = local.dt.strftime("%Y-%m-%d %H:%M").astype(object)
    return written.where(~blocked["is_never"].to_numpy(dtype=bool), word("words", "never", settings.language))


def _write(path: Path, frame: pd.DataFrame, columns: tuple[tuple[str, str], ...], settings: ListSettings) -> Path:
    table = frame[[source for source, _ in columns]].astype(object)
    return write_csv(
        path,
        [word("headings", heading, settings.language) for _, heading in columns],
        table.itertuples(index=False, name=None),
        separator=settings.separator,
        decimal=settings.decimal,
    )
