"""The lists of a folder read back as they were written, and held against what was decided: line by line.

Whoever works a list sees the file and nothing else. So nothing of what the writers were given is asked here but the
decision itself; every work list in each of its forms, every campaign and every route must tell of its contacts.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from puntual.lists.campaigns import FOLDER as CAMPAIGNS
from puntual.lists.campaigns import PREVIEWS, SUPPRESSED
from puntual.lists.columns import COLUMNS, IN_ALL
from puntual.lists.files import cell_text, is_missing
from puntual.lists.routes import ADDRESSES, say
from puntual.lists.rows import COLLECTOR_CHANNELS, ListSettings, file_stem
from puntual.lists.texts import word
from puntual.snapshot import SCREEN_LIST, SCREEN_ROUTES, SCREEN_STOPS

ALL = "worklists/all.parquet"
_ROUTES = "worklists/routes"
_VERSION = re.compile(r"_[a-z]{2}_v[0-9]+$")
_TABLES = {".csv", ".parquet", ".xlsx"}
_OF_A_LINE = ("customer_id", "loan_id", "channel", "contact_value", "window_start_local", "window_end_local", "row_id")


class Contact(NamedTuple):
    """A contact as it was decided: moments in UTC, ISO 8601; ``value`` is the number, mailbox or address itself."""

    customer_id: str
    channel_code: str
    loan_id: str
    collector_id: str
    start: str
    end: str
    value: str


class Lists(NamedTuple):
    """``contacts``: of the list of everybody. ``problems``: what any of the files tells otherwise, a sentence each."""

    contacts: list[Contact]
    problems: list[str]


def read_lists(
    folder: Path,
    decided: Iterable[Contact],
    settings: ListSettings,
    campaign_channels: Mapping[str, str],
    templates: pd.DataFrame | None = None,
    approval_channels: Collection[str] = (),
) -> Lists:
    """The contacts that the files of ``folder`` tell, and where these are not exactly ``decided``.

    1. The list of everybody has each decided contact once, but for the messages that a campaign's file of those held
       back names, and nothing else. Every decided message is in one campaign's file, sent or held back.
    2. The lists of each collector (workbook, CSV and Parquet) have their lines of the list of everybody, and its CSV
       has all; no file is there for anybody else.
    3. A campaign sends only messages that were decided, by its own channel, within their hours, to the same number or
       mailbox, none twice; CSV and Parquet alike; and with no template that ``templates`` says is not approved or red,
       nor, through ``approval_channels``, with one of which it says nothing.
       A route stops only where a visit of its collector was decided.

    Args:
        folder: the snapshot that is being made.
        decided: every contact of the decision.
        settings: how the lists are written.
        campaign_channels: channel of every campaign that runs on the day.
        templates: the institution's file: channel_code, template_id, status_code, quality_code; None: there is none.
        approval_channels: those of which a rule asks for an approved template.
    """
    table = pq.read_table(folder / ALL).to_pandas()
    contacts = _contacts(table)
    held = _held_back(folder, campaign_channels)
    problems = _differences(ALL, contacts, [one for one in decided if (one.customer_id, one.channel_code) not in held])
    table = table.assign(channel=[word("channels", code, settings.language) for code in table["channel_code"]])
    problems += _hours_told(table)
    problems += _work_lists(folder, table, settings)
    problems += _campaigns(folder, table, settings, campaign_channels)
    problems += _templates(folder, campaign_channels, templates, approval_channels)
    problems += _routes(folder, table, settings)
    screen = pq.read_table(folder / SCREEN_LIST, columns=["customer_id", "channel_code"]).to_pandas()
    shown = zip(screen["customer_id"], screen["channel_code"], strict=True)
    problems += _differences(SCREEN_LIST, shown, zip(table["customer_id"], table["channel_code"], strict=True))
    return Lists(contacts, problems + _strange_files(folder, table, campaign_channels))


def moment(value: Any) -> str:
    """A moment in UTC as text; empty where there is none."""
    return "" if is_missing(value) else pd.to_datetime(value, utc=True).isoformat()


def text(value: Any) -> str:
    """A cell as text; empty where there is nothing."""
    return "" if is_missing(value) else str(value)


def _contacts(table: pd.DataFrame) -> list[Contact]:
    names = ["customer_id", "channel_code", "loan_id", "collector_id"]
    told = [[text(value) for value in table[name]] for name in names]
    hours = [[moment(value) for value in table[name]] for name in ("window_start", "window_end")]
    return [Contact(*row) for row in zip(*told, *hours, map(text, table["contact_value"]), strict=True)]


def _differences(file: str, told: Iterable[tuple[str, ...]], wanted: Iterable[tuple[str, ...]]) -> list[str]:
    """What a file has too much or too little of; the first part of each line is its member, the second how."""
    there, asked = Counter(told), Counter(wanted)
    more, less = there - asked, asked - there
    missing = {line[:2] for line in less}
    problems = []
    for line, count in sorted(more.items()):
        who = f"{file}: {line[0]} by {line[1]}"
        if line in asked:
            problems.append(f"{who} is there {count + asked[line]} times")
        elif line[:2] in missing:
            problems.append(f"{who} is not as it was decided: {', '.join(filter(None, line[2:]))}")
        else:
            problems.append(f"{who} is there and was not decided")
    changed = {line[:2] for line in more}
    problems += [
        f"{file}: {line[0]} by {line[1]} was decided and is missing" for line in sorted(less) if line[:2] not in changed
    ]
    return problems


def _hours_told(table: pd.DataFrame) -> list[str]:
    """Whether the hours that people read are those of the contact where the member is."""
    problems = []
    for column in ("window_start", "window_end"):
        for zone, rows in table.groupby("timezone", dropna=False):
            local = rows[column].dt.tz_convert(str(zone)).dt.strftime("%H:%M")
            wrong = rows[local.fillna("") != rows[f"{column}_local"].fillna("")]
            problems += [
                f"{ALL}: {row.customer_id} by {row.channel_code} is told {getattr(row, column + '_local')} for"
                f" {getattr(row, column)} in {zone}"
                for row in wrong.itertuples(index=False)
            ]
    return problems


def _lines(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Lines as the lists of collectors tell them: member, channel in words, then the rest."""
    order = ["customer_id", "channel", *(name for name in _OF_A_LINE if name not in {"customer_id", "channel"})]
    return [tuple(map(_read, line)) for line in table[order].itertuples(index=False, name=None)]


def _read(value: Any) -> str:
    """A cell as a person reads it: no guard against formulas, no characters that a workbook cannot hold."""
    return " ".join(cell_text(_without_guard(text(value))).split())


def _work_lists(folder: Path, table: pd.DataFrame, settings: ListSettings) -> list[str]:
    names = [column.source for column in COLUMNS]
    everybody = _read_csv(folder / "worklists" / "all.csv", settings, [*(one.source for one in IN_ALL), *names])
    problems = _differences("worklists/all.csv", _lines(everybody), _lines(table))
    personal = table[table["channel_code"].isin(COLLECTOR_CHANNELS)]
    for collector, mine in personal.groupby("collector_id", sort=True):
        wanted = _lines(mine)
        stem = f"worklists/{file_stem(collector)}"
        read = pq.read_table(folder / f"{stem}.parquet").to_pandas()
        read = read.assign(channel=[word("channels", code, settings.language) for code in read["channel_code"]])
        problems += _differences(f"{stem}.parquet", _lines(read), wanted)
        problems += _differences(f"{stem}.csv", _lines(_read_csv(folder / f"{stem}.csv", settings, names)), wanted)
        problems += _differences(f"{stem}.xlsx", _lines(_read_workbook(folder / f"{stem}.xlsx", names)), wanted)
    return problems


def _campaigns(folder: Path, table: pd.DataFrame, settings: ListSettings, channels: Mapping[str, str]) -> list[str]:
    decided = {
        (line.customer_id, line.channel_code): line
        for line in table[~table["channel_code"].isin(COLLECTOR_CHANNELS)].itertuples(index=False)
    }
    heading = word("headings", "customer_id", settings.language)
    sent: Counter[tuple[str, str]] = Counter()
    problems = []
    for campaign, channel in sorted(channels.items()):
        file = f"{CAMPAIGNS}/{campaign}.parquet"
        rows = pq.read_table(folder / file).to_pandas()
        for row in rows.itertuples(index=False):
            who = f"{file}: {row.customer_id} by {channel}"
            line = decided.get((row.customer_id, channel))
            sent[row.customer_id, channel] += 1
            if line is None:
                problems.append(f"{who} is there and was not decided")
            elif text(row.contact_value) != text(line.contact_value):
                problems.append(f"{who} goes to {row.contact_value}, decided was {line.contact_value}")
            elif row.window_start_local < line.window_start_local or _end(row) > _end(line):
                problems.append(
                    f"{who} is sent from {row.window_start_local} to {row.window_end_local}, decided was"
                    f" {line.window_start_local} to {line.window_end_local}"
                )
        in_csv = _read_csv(folder / f"{CAMPAIGNS}/{campaign}.csv", settings)[heading]
        told = [(_read(name), channel) for name in in_csv]
        problems += _differences(
            f"{CAMPAIGNS}/{campaign}.csv", told, ((_read(name), channel) for name in rows["customer_id"])
        )
    return (
        problems
        + [
            f"{CAMPAIGNS}: {who} by {channel} is sent {count} times"
            for (who, channel), count in sorted(sent.items())
            if count > 1
        ]
        + [
            f"{ALL}: {who} by {channel} is in no campaign that sends it"
            for who, channel in sorted(set(decided) - set(sent))
        ]
    )


def _held_back(folder: Path, channels: Mapping[str, str]) -> set[tuple[str, str]]:
    """Member and channel of everything that a campaign holds back, be it decided or not."""
    found: set[tuple[str, str]] = set()
    for campaign, channel in channels.items():
        file = folder / CAMPAIGNS / f"{campaign}{SUPPRESSED}.parquet"
        rows = pq.read_table(file, columns=["customer_id"]).to_pandas()
        found |= {(str(name), channel) for name in rows["customer_id"]}
    return found


def _templates(
    folder: Path, channels: Mapping[str, str], told: pd.DataFrame | None, approval_channels: Collection[str]
) -> list[str]:
    """Templates in the campaigns' files that may not be sent, a sentence for each campaign and template."""
    if told is None:
        return []
    said: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in told.itertuples(index=False):
        said.setdefault((text(row.channel_code), text(row.template_id)), []).append(
            (text(row.status_code), text(row.quality_code))
        )
    problems = []
    for campaign, channel in sorted(channels.items()):
        file = f"{CAMPAIGNS}/{campaign}.parquet"
        rows = pq.read_table(folder / file, columns=["template", "approved_name"]).to_pandas()
        for (template, approved_name), mine in rows.groupby(["template", "approved_name"], dropna=False, sort=True):
            names = {text(template), _VERSION.sub("", text(template)), text(approved_name)} - {""}
            found = [one for name in names for one in said.get((channel, name), [])]
            wrong = sorted({status or "without a status" for status, _ in found if status != "approved"})
            wrong += ["of red quality"] if any(quality == "red" for _, quality in found) else []
            if not found and channel in approval_channels:
                wrong = ["not among the templates of template_quality.csv"]
            if wrong:
                problems.append(f"{file}: {len(mine)} messages are sent with {template}, which is {', '.join(wrong)}")
    return problems


def _end(line: Any) -> str:
    """The end of the hours; midnight ends a day, it does not begin one."""
    return "24:00" if line.window_end_local == "00:00" else str(line.window_end_local)


def _routes(folder: Path, table: pd.DataFrame, settings: ListSettings) -> list[str]:
    visits = table[table["channel_code"] == "visit"]
    stops = pq.read_table(folder / SCREEN_STOPS, columns=["customer_id", "collector_id"]).to_pandas()
    decided = {
        (_read(customer), str(collector))
        for customer, collector in zip(visits["customer_id"], visits["collector_id"], strict=True)
    }
    told = [(SCREEN_STOPS, *stop) for stop in zip(stops["customer_id"], stops["collector_id"], strict=True)]
    by_stem = {file_stem(one): str(one) for one in visits["collector_id"].unique()}
    heading = say("headings", "customer_id", settings.language)
    for path in sorted((folder / _ROUTES).glob("*.csv")):
        file = path.relative_to(folder).as_posix()
        told += [(file, name, by_stem.get(path.stem, path.stem)) for name in _read_csv(path, settings)[heading]]
    return [
        f"{file}: a stop at {customer} of {collector} that was not decided"
        for file, customer, collector in told
        if (_read(customer), collector) not in decided
    ]


def _strange_files(folder: Path, table: pd.DataFrame, channels: Mapping[str, str]) -> list[str]:
    """Tables beside the lists that belong to no collector with contacts, and to no campaign that runs."""
    collectors = table.loc[table["channel_code"].isin(COLLECTOR_CHANNELS), "collector_id"].unique()
    stems = [f"worklists/{stem}" for stem in ("all", *map(file_stem, collectors))]
    stems += [f"{CAMPAIGNS}/{name}{ending}" for name in channels for ending in ("", SUPPRESSED)]
    known = {f"{stem}{ending}" for stem in stems for ending in _TABLES}
    known |= {SCREEN_LIST, SCREEN_ROUTES, SCREEN_STOPS, ADDRESSES, PREVIEWS}
    there = [path for name in ("worklists", CAMPAIGNS) for path in (folder / name).glob("*") if path.suffix in _TABLES]
    names = sorted(path.relative_to(folder).as_posix() for path in there)
    return [f"{name} is a list of nobody that was decided" for name in names if name not in known]


def _read_csv(path: Path, settings: ListSettings, names: list[str] | None = None) -> pd.DataFrame:
    """A CSV of ours, cells as text; its columns by their headings, or ``names`` by their places."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        headings, *rows = list(csv.reader(stream, delimiter=settings.separator))
    return pd.DataFrame(rows, columns=names or headings, dtype=object)


def _without_guard(cell: str) -> str:
    """A cell without the apostrophe that keeps a spreadsheet from running it."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in set("=+-@\t\r\n") else cell


def _read_workbook(path: Path, names: list[str]) -> pd.DataFrame:
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True)
    try:
        rows = list(book.worksheets[0].iter_rows(min_row=2, max_col=len(names), values_only=True))
    finally:
        book.close()
    filled = [row for row in rows if any(value is not None for value in row)]
    return pd.DataFrame(filled, columns=names, dtype=object)
