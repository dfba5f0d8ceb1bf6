"""Importing a filled list: read, judge, record once, hand over to the landing folder; and what became of the lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from puntual.errors import HomeBusyError, LandingError
from puntual.lists.files import write_csv
from puntual.lists.rows import COLLECTOR_CHANNELS, ListSettings
from puntual.lists.texts import word
from puntual.lock import exclusive
from puntual.paths import Home
from puntual.settings import Settings
from puntual.worklists.check import IssuedRow, Problem, Verdict, check, day_of_list, unworked
from puntual.worklists.deliver import deliver_pending
from puntual.worklists.issued import issued_rows
from puntual.worklists.read import UNCOMPUTED, FilledList, read_filled
from puntual.worklists.store import Counts, Import, OperationsStore
from puntual.worklists.texts import say


@dataclass(frozen=True)
class Imported:
    """What came of a filled list.

    Attributes:
        already: an earlier import of the very same bytes; nothing was added.
        counts: of the rows that were let in, or would be.
        is_recorded: False of a dry run, of a file with bad rows, and of one that was imported before.
        is_delivered: the rows are in the landing folder; else the next run takes them there.
        issued_count, marked_count, blank_count: contacts of the lists of the file; marked not worked; without a word.
        outside_count: contacts whose time is outside the permitted hours of their row.
        is_known_digest: the digest of the about sheet is that of a kept publication; True of a CSV, which has none.
        report: the file with the rejected rows, when some were let in and some were not.
    """

    file: Path
    verdict: Verdict
    headings: dict[str, str]
    counts: Counts
    already: Import | None = None
    is_recorded: bool = False
    is_delivered: bool = False
    issued_count: int = 0
    marked_count: int = 0
    blank_count: int = 0
    outside_count: int = 0
    is_known_digest: bool = True
    report: Path | None = None

    @property
    def is_refused(self) -> bool:
        """Whether bad rows kept everything out."""
        return bool(self.verdict.problems) and not self.is_recorded and self.already is None


@dataclass(frozen=True)
class ListState:
    """What became of one published list of collectors: every issued contact is in one of the last three counts."""

    as_of_date: date
    list_id: str
    issued_count: int
    worked_count: int
    marked_count: int
    blank_count: int


@dataclass(frozen=True)
class Desk:
    """Where filled lists are taken in: the home, its settings, the present moment (UTC without zone)."""

    home: Home
    settings: Settings
    now: datetime
    today: date
    store: OperationsStore = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "store", OperationsStore(self.home.operations))

    @property
    def language(self) -> str:
        """In which problems are told."""
        return self.settings.institution.language

    def take_in(self, path: Path, *, by: str, dry_run: bool = False, accept_good: bool = False) -> Imported:
        """Import the filled list in ``path``.

        1. Nothing is recorded when a row is bad, unless ``accept_good``: then the bad rows go to a report beside the
           file, ``<file>_rejected.csv``.
        2. A row whose content is known is not recorded again; another content of a known row is a new version, and the
           newest counts.
        3. What is recorded is written into the landing folder; while a run works, the next one does it.

        Args:
            path: .xlsx or .csv.
            by: who imports it, for the record.
            dry_run: judge only, change nothing.
            accept_good: let the good rows in.

        Raises:
            LandingError: the file cannot be read, its day is not known, has not come, or is of no kept publication.
            PublishError: the published list is not what was published.
            PuntualError: the store cannot be used.
        """
        filled = read_filled(path)
        day = self._day(filled)
        issued = issued_rows(self.home.root, day)
        if not issued:
            raise LandingError(
                f"{path}: is a list of {day}, and no publication of that day with its rows is kept in "
                f"{self.home.published}. Import lists while their day is kept (publish.keep_snapshots in puntual.yaml)."
            )
        verdict = check(filled, issued, now=self.now, decimal=self._lists.decimal, language=self.language)
        known = self.store.import_of(filled.sha256)
        counts = self.store.counts(verdict.outcomes)
        is_nothing_new = known is not None and not counts.new and not counts.changed
        may_record = not dry_run and not is_nothing_new and (accept_good or not verdict.problems)
        delivered, report = False, None
        if may_record and (verdict.outcomes or not verdict.problems):
            counts = self.store.record(
                verdict.outcomes,
                file_name=path.name,
                file_sha256=filled.sha256,
                at=self.now,
                by=by,
                as_of=day,
                list_ids=verdict.lists,
                rejected_count=len(verdict.rejected_lines),
            )
            delivered = self._deliver()
        else:
            may_record = False
        if accept_good and not dry_run and verdict.problems:
            report = self._write_rejected(filled, verdict)
        said = self.store.newest_codes(day) | {one.issued.row_id: one.outcome_code for one in verdict.outcomes}
        mine = [row for row in issued.values() if row.list_id in verdict.lists and _is_personal(row)]
        marked, blank = unworked(mine, said)
        digests = {row.list_digest for row in issued.values()}
        return Imported(
            path,
            verdict,
            filled.headings,
            already=known if is_nothing_new and not verdict.problems else None,
            counts=counts,
            is_recorded=may_record,
            is_delivered=delivered,
            issued_count=len(mine),
            marked_count=marked,
            blank_count=blank,
            outside_count=sum(one.is_outside_window for one in verdict.outcomes),
            is_known_digest=filled.digest is None or filled.digest in digests,
            report=report,
        )

    def states(self) -> list[ListState]:
        """What became of the lists of every day of which one was imported and a publication is kept, newest first."""
        found = []
        for day in sorted({one.as_of_date for one in self.store.imports()}, reverse=True):
            said = self.store.newest_codes(day)
            rows = [row for row in issued_rows(self.home.root, day).values() if _is_personal(row)]
            for name, count in sorted(Counter(row.list_id for row in rows).items()):
                marked, blank = unworked([row for row in rows if row.list_id == name], said)
                found.append(ListState(day, name, count, count - marked - blank, marked, blank))
        return found

    @property
    def _lists(self) -> ListSettings:
        institution, files = self.settings.institution, self.settings.worklists
        return ListSettings(
            institution.name,
            institution.language,
            institution.currency,
            institution.timezone,
            files.csv_separator,
            files.csv_decimal,
        )

    def _day(self, filled: FilledList) -> date:
        day = day_of_list(filled)
        if day is None:
            raise LandingError(
                f"{filled.path}: no row has a row code, so its list is not known. Use the file that was handed out."
            )
        if day > self.today:
            raise LandingError(f"{filled.path}: {say('problems', 'not_yet', self.language, day=day)}")
        return day

    def _deliver(self) -> bool:
        """Write the landing files; False while a run holds the home: the next one writes them."""
        try:
            with exclusive(self.home):
                landing = self.settings.landing_path(self.home)
                deliver_pending(self.store, landing, self.settings.institution.timezone)
        except HomeBusyError:
            return False
        return True

    def _write_rejected(self, filled: FilledList, verdict: Verdict) -> Path:
        """The rejected rows with their reasons, then their cells as they were."""
        rows = {row.line: row for row in filled.rows}
        cells = [*filled.headings]
        return write_csv(
            filled.path.with_name(f"{filled.path.stem}_rejected.csv"),
            [
                *(say("columns", name, self.language) for name in ("line", "column", "problem")),
                *(filled.headings[name] for name in cells),
            ],
            [
                [problem.line, *said_of(problem, filled.headings, self.language)]
                + [_shown(rows[problem.line].cells.get(name)) for name in cells]
                for problem in verdict.problems
            ],
            separator=self._lists.separator,
            decimal=self._lists.decimal,
        )


def said_of(problem: Problem, headings: dict[str, str], language: str) -> tuple[str, str]:
    """The column of a problem as the file calls it, and what is wrong and to be done."""
    column = headings.get(problem.column) or word("headings", problem.column, language)
    return column, say("problems", problem.code, language, **problem.values)


def problem_rows(found: Imported, language: str) -> list[Sequence[str]]:
    """The problems of a file as the rows of a table: file, row of the sheet, column, what is wrong and what to do."""
    return [[found.file.name, str(one.line), *said_of(one, found.headings, language)] for one in found.verdict.problems]


def _shown(value: Any) -> Any:
    return None if value is UNCOMPUTED else value


def _is_personal(row: IssuedRow) -> bool:
    return row.channel_code in COLLECTOR_CHANNELS
