"""What came of a landing folder, in numbers: for the log, the command line, the manifest and the report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from puntual.errors import LandingError

# Reasons that say that a row gave way to a newer version of its key. Such a row is not a bad one: a folder of daily
# extracts is full of them, so they do not count towards the share that stops a run.
SUPERSEDED_IN_LOAD = "superseded_in_load"
SUPERSEDED_IN_RAW = "superseded_in_raw"
SUPERSEDED = (SUPERSEDED_IN_LOAD, SUPERSEDED_IN_RAW)


@dataclass(frozen=True)
class FileOutcome:
    """One file. ``row_count = accepted + rejected + duplicate``; ``superseded`` is a part of ``rejected``.

    Attributes:
        is_read: False when it was loaded before and nothing that could matter has changed; counts are of that time.
        new_count: versions appended to raw by this load.
    """

    name: str
    sha256: str
    row_count: int = 0
    accepted_count: int = 0
    new_count: int = 0
    rejected_count: int = 0
    superseded_count: int = 0
    duplicate_count: int = 0
    is_read: bool = True


@dataclass(frozen=True)
class TableOutcome:
    """One contract table; counts are sums over its files.

    Attributes:
        deleted_count: keys that a rewritten schedule left out.
        reasons: reason to number of rows that it applies to.
        missing_columns: optional columns that were not delivered.
        extra_columns: delivered columns that the contract does not know; they are not loaded.
        unchecked: references that could not be checked because the other table was never delivered.
        expectation_count: expectations that Great Expectations evaluated; 0 when no file was read.
        unsuccessful_count: those of them that at least one row did not meet.
    """

    table: str
    files: tuple[FileOutcome, ...]
    deleted_count: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    missing_columns: tuple[str, ...] = ()
    extra_columns: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    expectation_count: int = 0
    unsuccessful_count: int = 0

    def _sum(self, name: str) -> int:
        return sum(getattr(file, name) for file in self.files)

    @property
    def row_count(self) -> int:
        """Rows in the files."""
        return self._sum("row_count")

    @property
    def accepted_count(self) -> int:
        """Rows that are in raw, from this load or an earlier one."""
        return self._sum("accepted_count")

    @property
    def new_count(self) -> int:
        """Versions appended to raw."""
        return self._sum("new_count")

    @property
    def rejected_count(self) -> int:
        """Rows in quarantine, superseded ones included."""
        return self._sum("rejected_count")

    @property
    def superseded_count(self) -> int:
        """Rejected rows that only gave way to a newer version of their key."""
        return self._sum("superseded_count")

    @property
    def bad_count(self) -> int:
        """Rejected rows that break the contract: those that count towards the share that stops a run."""
        return self.rejected_count - self.superseded_count

    @property
    def duplicate_count(self) -> int:
        """Exact repetitions of another row of the load."""
        return self._sum("duplicate_count")

    @property
    def is_read(self) -> bool:
        """Whether any file was read."""
        return any(file.is_read for file in self.files)

    def exceeds(self, share: float) -> bool:
        """Whether more than ``share`` of the rows are bad. One bad row alone stops no run, unless the share is 0."""
        return self.bad_count > share * self.row_count and (self.bad_count > 1 or share == 0)

    def as_metadata(self) -> dict[str, Any]:
        """Counts by plain names."""
        return {
            "delivered": True,
            "read": self.is_read,
            "rows": self.row_count,
            "accepted": self.accepted_count,
            "new": self.new_count,
            "deleted": self.deleted_count,
            "rejected": self.rejected_count,
            "superseded": self.superseded_count,
            "duplicates": self.duplicate_count,
            "expectations": self.expectation_count,
            "unsuccessful_expectations": self.unsuccessful_count,
            "reasons": dict(self.reasons),
        }


@dataclass(frozen=True)
class LandingReport:
    """What the door did, or would do, with a landing folder.

    Attributes:
        load_id: number of the load; None when nothing was read because nothing has changed, or nothing was written.
        tables: outcome of every delivered table.
        missing_tables: contract tables of which there is no row anywhere, and what that switches off.
        not_delivered: tables that were not delivered today; what was loaded before stands.
        unknown_files: files that belong to no table; they are left alone.
        problems: why the landing cannot be used at all: missing required tables, unreadable files. One sentence each.
        max_rejected_share: the share of bad rows of a table that is let through.
        unusable: the tables that the problems are about, each with its sentences.
        html_path, json_path: the report for people and for programs.
        quarantine: files with the rejected rows.
    """

    run_id: str
    as_of: date
    received_on: date
    load_id: int | None
    tables: dict[str, TableOutcome]
    missing_tables: dict[str, str]
    not_delivered: tuple[str, ...]
    unknown_files: tuple[str, ...]
    problems: tuple[str, ...]
    max_rejected_share: float
    unusable: dict[str, list[str]] = field(default_factory=dict)
    html_path: Path | None = None
    json_path: Path | None = None
    quarantine: tuple[Path, ...] = ()

    @property
    def input_digests(self) -> dict[str, str]:
        """File, relative to the landing folder, to SHA-256."""
        return {file.name: file.sha256 for table in self.tables.values() for file in table.files}

    @property
    def has_changed_raw(self) -> bool:
        """Whether raw holds a version that it did not hold before."""
        return any(table.new_count or table.deleted_count for table in self.tables.values())

    @property
    def too_many_rejected(self) -> tuple[str, ...]:
        """Tables with more bad rows than allowed."""
        return tuple(name for name, table in self.tables.items() if table.exceeds(self.max_rejected_share))

    @property
    def is_acceptable(self) -> bool:
        """Whether a run may go on with what was delivered."""
        return not self.problems and not self.too_many_rejected

    @property
    def refused(self) -> dict[str, list[str]]:
        """The tables that stop a run, each with the sentences that say why."""
        refused = {name: list(problems) for name, problems in self.unusable.items()}
        for name in self.too_many_rejected:
            refused.setdefault(name, []).append(self._excess(name))
        return refused

    def _excess(self, name: str) -> str:
        table = self.tables[name]
        reasons = ", ".join(f"{reason} ({count:,})" for reason, count in _top(table.reasons))
        return (
            f"{name}: {table.bad_count:,} of {table.row_count:,} rows break the contract"
            f" ({table.bad_count / table.row_count:.2%}; allowed: {self.max_rejected_share:.2%}): {reasons}."
        )

    def verdict(self) -> str:
        """Why a run may not go on, with counts, top reasons and where to look; empty when it may."""
        lines = [*self.problems, *map(self._excess, self.too_many_rejected)]
        if not lines:
            return ""
        text = "The landing was not taken in; nothing was changed.\n  " + "\n  ".join(lines)
        if self.html_path is not None:
            text += f"\nReport: {self.html_path}"
        if self.quarantine:
            text += f"\nRejected rows: {self.quarantine[0].parent}"
        return text

    def summary_rows(self) -> list[tuple[str, str, str, str, str, str]]:
        """Table, files, rows, rejected, duplicates and a verdict in a few words, for a table on a screen."""
        rows = []
        for name, table in self.tables.items():
            verdict = "too many rejected" if name in self.too_many_rejected else "ok"
            if not table.is_read:
                verdict = "unchanged"
            rows.append(
                (
                    name,
                    str(len(table.files)),
                    f"{table.row_count:,}",
                    f"{table.rejected_count:,}",
                    f"{table.duplicate_count:,}",
                    verdict,
                )
            )
        return rows

    def notes(self) -> list[str]:
        """Everything else worth a line: problems, top reasons, what is off, what was left out."""
        lines = list(self.problems)
        for name, table in self.tables.items():
            lines += [f"{name}: {count:,} rows {reason}" for reason, count in _top(table.reasons)]
            if table.missing_columns:
                lines.append(f"{name}: not delivered: {', '.join(table.missing_columns)}")
            if table.extra_columns:
                lines.append(f"{name}: not in the contract and not loaded: {', '.join(table.extra_columns)}")
            lines += [f"{name}: {text}" for text in table.unchecked]
            lines += table.notes
        lines += [f"{name} was never delivered. {off}" for name, off in self.missing_tables.items()]
        lines += [f"{name} was not delivered; what was loaded before stands" for name in self.not_delivered]
        if self.unknown_files:
            lines.append(f"Left alone, no table has that name: {', '.join(self.unknown_files)}")
        return lines

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        tables = {
            name: asdict(table) | table.as_metadata() | {"stops": name in self.too_many_rejected}
            for name, table in self.tables.items()
        }
        return {
            "run_id": self.run_id,
            "as_of_date": self.as_of.isoformat(),
            "received_on": self.received_on.isoformat(),
            "load_id": self.load_id,
            "is_acceptable": self.is_acceptable,
            "max_rejected_share": self.max_rejected_share,
            "problems": list(self.problems),
            "tables": tables,
            "missing_tables": self.missing_tables,
            "not_delivered": list(self.not_delivered),
            "unknown_files": list(self.unknown_files),
        }


class LandingRefusedError(LandingError):
    """The door refused what was delivered; raw is as before. The text is the verdict of ``report``."""

    def __init__(self, report: LandingReport) -> None:
        super().__init__(report.verdict())
        self.report = report


def _top(reasons: dict[str, int], count: int = 5) -> list[tuple[str, int]]:
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:count]
