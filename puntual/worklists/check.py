"""Filled rows against the rows that were handed out: what came of each contact, or what is wrong with the row.

Pure: the list, what was issued and the present moment in; outcomes and problems out.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from puntual.lists.texts import LANGUAGES, texts, word
from puntual.lists.workbook import LONGEST_NOTES, LONGEST_PROMISE_DAYS
from puntual.worklists.read import UNCOMPUTED, FilledList, FilledRow, plain
from puntual.worklists.values import read_amount, read_date, read_time

NOT_WORKED = "not_worked"
PROMISE = "promise"
_KEYS = ("customer_id", "loan_id", "as_of_date", "collector_id")


@dataclass(frozen=True)
class IssuedRow:
    """A contact as it stood on a published list; times UTC without zone, ``propensity`` as the decision logged it."""

    row_id: str
    as_of_date: date
    list_id: str
    list_digest: str | None
    collector_id: str | None
    customer_id: str
    loan_id: str | None
    channel_code: str
    timezone: str
    window_start: datetime | None
    window_end: datetime | None
    promise_limit_amount: float
    propensity: float | None
    is_exploration: bool


@dataclass(frozen=True)
class Outcome:
    """What a collector says came of a contact.

    Attributes:
        outcome_code: of the contract's interactions, or ``not_worked``.
        contacted_at: UTC without zone; None when only the day is known.
    """

    issued: IssuedRow
    outcome_code: str
    contacted_at: datetime | None = None
    due_date: date | None = None
    promised_amount: Decimal | None = None
    notes: str | None = None

    @property
    def digest(self) -> str:
        """What was said, in 16 hexadecimal digits: the same content of the same row is the same outcome."""
        said = [self.outcome_code, self.contacted_at, self.due_date, self.promised_amount, self.notes]
        text = json.dumps([self.issued.row_id, *(None if one is None else str(one) for one in said)])
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]

    @property
    def is_outside_window(self) -> bool:
        """Whether the contact was made at a time at which it was not permitted; False when the time is not known."""
        first, last = self.issued.window_start, self.issued.window_end
        if self.contacted_at is None or first is None or last is None:
            return False
        return not first <= self.contacted_at <= last


@dataclass(frozen=True)
class Problem:
    """Why a row is not let in: its line, the code of the column's heading, and of a text in ``texts.yaml``."""

    line: int
    column: str
    code: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Verdict:
    """What a filled list holds.

    Attributes:
        outcomes: one per row that may be let in, in the order of the file.
        problems: in the order of the file.
        lists: ids of the lists to which the known rows of the file belong.
    """

    outcomes: tuple[Outcome, ...]
    problems: tuple[Problem, ...]
    lists: tuple[str, ...]

    @property
    def rejected_lines(self) -> tuple[int, ...]:
        """Rows of the file that have a problem."""
        return tuple(sorted({problem.line for problem in self.problems}))


def day_of_row(row_id: object) -> date | None:
    """The day that a row id names; None when it is none."""
    try:
        return datetime.strptime(str(row_id).partition("-")[0], "%Y%m%d").date()  # noqa: DTZ007 - a calendar day
    except ValueError:
        return None


def day_of_list(filled: FilledList) -> date | None:
    """The day of the list: what its about sheet says, else the day of most of its rows; None when no row has one."""
    if filled.list_id:
        try:
            return date.fromisoformat(filled.list_id[:10])
        except ValueError:
            pass  # somebody wrote over it; the rows know their day
    days = Counter(day for row in filled.rows if (day := day_of_row(row.cells.get("row_id"))) is not None)
    return min(days, key=lambda day: (-days[day], day)) if days else None


def check(
    filled: FilledList, issued: Mapping[str, IssuedRow], *, now: datetime, decimal: str, language: str
) -> Verdict:
    """Judge every row that somebody filled in; rows left blank are no outcome and no problem.

    1. A row belongs to a list of the file's day, by its id; member, loan and channel are those that were handed out.
    2. The outcome is one of its channel, as a code or as its word in either language.
    3. A promise has a date from the list's day to a year later and an amount above 0, at most what the member owes;
       nothing else has either.
    4. The time of the contact, when given, is the member's and not in the future.
    5. No row is there twice. Of equal rows the first may be let in, of different ones none.

    Args:
        filled: what came back.
        issued: by row id.
        now: the present moment, UTC without zone.
        decimal: the decimal sign of amounts written as text.
        language: of the words in the problems.
    """
    day = day_of_list(filled)
    problems: list[Problem] = []
    found: dict[str, list[tuple[FilledRow, Outcome | None]]] = defaultdict(list)
    lists = set()
    for row in filled.rows:
        source = issued.get(str(row.cells.get("row_id")))
        if source is not None and source.as_of_date == day:
            lists.add(source.list_id)
        if not row.is_filled:
            continue
        judge = _Row(row, day, now, decimal, language)
        outcome = judge.outcome(source)
        problems += judge.problems
        if row.cells.get("row_id") is not None:
            found[str(row.cells["row_id"])].append((row, outcome))
    outcomes = []
    for identity, rows in found.items():
        problems += _repetitions(identity, rows)
        first = rows[0][1]
        if first is not None and all(other is not None and other.digest == first.digest for _, other in rows):
            outcomes.append((rows[0][0].line, first))
    return Verdict(
        outcomes=tuple(outcome for _, outcome in sorted(outcomes, key=lambda one: one[0])),
        problems=tuple(sorted(problems, key=lambda one: one.line)),
        lists=tuple(sorted(lists)),
    )


def _repetitions(identity: str, rows: list[tuple[FilledRow, Outcome | None]]) -> list[Problem]:
    if len(rows) == 1:
        return []
    first = rows[0][1]
    same = first is not None and all(other is not None and other.digest == first.digest for _, other in rows)
    said = {"value": identity, "rows": ", ".join(str(row.line) for row, _ in rows)}
    code, bad = ("duplicated", rows[1:]) if same else ("two_outcomes", rows)
    return [Problem(row.line, "row_id", code, said) for row, _ in bad]


@cache
def _outcome_codes() -> dict[str, str]:
    """Code of an outcome by its plain word in either language, and by the code itself."""
    known = dict.fromkeys(code for codes in texts()["outcomes_of_channel"].values() for code in codes)
    said = {plain(texts()["outcomes"][code][language]): code for code in known for language in LANGUAGES}
    return said | {code: code for code in known}


@cache
def _channel_codes() -> dict[str, str]:
    said = {plain(entry[language]): code for code, entry in texts()["channels"].items() for language in LANGUAGES}
    return said | {code: code for code in texts()["channels"]}


class _Row:
    """The judgement of one filled row: its outcome, or its problems."""

    def __init__(self, row: FilledRow, day: date | None, now: datetime, decimal: str, language: str) -> None:
        self.row, self.day, self.now, self.decimal, self.language = row, day, now, decimal, language
        self.problems: list[Problem] = []

    def outcome(self, issued: IssuedRow | None) -> Outcome | None:
        """What the row says; None when it has a problem."""
        if issued is None or not self._is_of_the_list(issued):
            if issued is None:
                self._no_such_row()
            return None
        code = self._code(issued)
        promise = self._promise(issued, code)
        contacted_at = self._time(issued)
        notes = self._notes()
        if self.problems or code is None:
            return None
        said = Outcome(issued, code, contacted_at, notes=notes)
        return replace(said, due_date=promise[0], promised_amount=promise[1]) if promise else said

    def _problem(self, column: str, code: str, **values: object) -> None:
        said = {name: str(value) for name, value in values.items()}
        self.problems.append(Problem(self.row.line, column, code, said))

    def _cell(self, name: str) -> Any:
        value = self.row.cells.get(name)
        if value is UNCOMPUTED:
            self._problem(name, "formula")
            return None
        return value

    def _no_such_row(self) -> None:
        identity = self.row.cells.get("row_id")
        own = day_of_row(identity)
        if identity is None:
            self._problem("row_id", "no_row_id")
        elif own is not None and self.day is not None and own != self.day:
            self._problem("row_id", "other_day", row_day=own, day=self.day)
        else:
            self._problem("row_id", "unknown_row", value="?" if identity is UNCOMPUTED else identity)

    def _is_of_the_list(self, issued: IssuedRow) -> bool:
        if issued.as_of_date != self.day:
            self._problem("row_id", "other_day", row_day=issued.as_of_date, day=self.day)
            return False
        for column in _KEYS:
            if column in self.row.cells:
                self._key(column, getattr(issued, column))
        if "channel" in self.row.cells:
            written = self._cell("channel")
            if _channel_codes().get(plain(written)) != issued.channel_code:
                channel = word("channels", issued.channel_code, self.language)
                self._problem("channel", "changed_key", issued=channel, value="–" if written is None else written)
        return not self.problems

    def _key(self, column: str, issued: object) -> None:
        written = self._cell(column)
        if isinstance(issued, date):
            same = written is not None and read_date(written) == issued
        else:
            same = _same_key(written, issued)
        if not same and not self.problems:
            self._problem(column, "changed_key", issued=issued or "–", value="–" if written is None else written)

    def _code(self, issued: IssuedRow) -> str | None:
        written = self._cell("outcome")
        if written is None:
            if not self.problems:
                self._problem("outcome", "no_outcome")
            return None
        of_channel = texts()["outcomes_of_channel"].get(issued.channel_code, [])
        known = ", ".join(word("outcomes", code, self.language) for code in of_channel) or "–"
        code = _outcome_codes().get(plain(written))
        if code is None:
            self._problem("outcome", "unknown_outcome", value=written, known=known)
        elif code not in of_channel:
            channel = word("channels", issued.channel_code, self.language)
            self._problem("outcome", "outcome_not_of_channel", value=written, channel=channel, known=known)
            return None
        return code

    def _promise(self, issued: IssuedRow, code: str | None) -> tuple[date, Decimal] | None:
        due, amount = self._cell("promise_date"), self._cell("promise_amount")
        if code != PROMISE:
            if code is not None and (due is not None or amount is not None):
                column = "promise_date" if due is not None else "promise_amount"
                promise = word("outcomes", PROMISE, self.language)
                self._problem(column, "promise_not_promised", promise=promise)
            return None
        read = self._due_date(due, issued.as_of_date), self._amount(amount, issued.promise_limit_amount)
        return None if read[0] is None or read[1] is None else (read[0], read[1])

    def _due_date(self, written: Any, day: date) -> date | None:
        if written is None:
            self._problem("promise_date", "promise_without_date")
            return None
        due = read_date(written)
        if due is None:
            self._problem("promise_date", "unreadable_date", value=written)
        elif due < day:
            self._problem("promise_date", "date_before_list", value=due, day=day)
        elif due > day + timedelta(days=LONGEST_PROMISE_DAYS):
            self._problem("promise_date", "date_too_late", value=due)
        return due

    def _amount(self, written: Any, limit: float) -> Decimal | None:
        if written is None:
            self._problem("promise_amount", "promise_without_amount")
            return None
        amount = read_amount(written, self.decimal)
        if amount is None:
            self._problem("promise_amount", "unreadable_amount", value=written)
        elif amount <= 0:
            self._problem("promise_amount", "amount_not_positive", value=amount)
        elif amount > Decimal(str(limit)):
            self._problem("promise_amount", "amount_too_large", value=amount, limit=f"{limit:.2f}")
        return amount

    def _time(self, issued: IssuedRow) -> datetime | None:
        written = self._cell("contact_time")
        if written is None:
            return None
        at = read_time(written)
        if at is None:
            self._problem("contact_time", "unreadable_time", value=written)
            return None
        local = datetime.combine(issued.as_of_date, at, ZoneInfo(issued.timezone))
        moment = local.astimezone(UTC).replace(tzinfo=None)
        if moment > self.now:
            self._problem("contact_time", "time_in_future", value=f"{at:%H:%M}", day=issued.as_of_date)
        return moment

    def _notes(self) -> str | None:
        written = self._cell("notes")
        if written is None:
            return None
        notes = " ".join(str(written).split())
        if len(notes) > LONGEST_NOTES:
            self._problem("notes", "notes_too_long", value=len(notes), most=LONGEST_NOTES)
        return notes


def _same_key(written: Any, issued: object) -> bool:
    """Whether a key is the one that was handed out; a spreadsheet may have taken it for a number and cut its zeros."""
    if written is None or issued is None:
        return written is None and issued is None
    text = str(int(written)) if isinstance(written, float) and written.is_integer() else str(written)
    given = str(issued).strip()
    return text == given or (text.isdigit() and given.isdigit() and int(text) == int(given))


def unworked(rows: Iterable[IssuedRow], said: Mapping[str, str]) -> tuple[int, int]:
    """How many issued rows are marked as not worked, and how many nobody said anything of.

    ``said``: newest outcome by row id.
    """
    codes = [said.get(row.row_id) for row in rows]
    return sum(code == NOT_WORKED for code in codes), sum(code is None for code in codes)
