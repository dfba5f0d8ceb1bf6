"""From the landing folder to raw: one transaction for all tables, or a report of what would be rejected.

1. A required table that is missing, a file that cannot be read, or more bad rows than allowed stop the load before raw
   has changed.
2. Raw is append only. A row becomes a new version when its digest differs from the newest version of its key; loading
   the same rows again adds nothing.
3. A file that was loaded before, whole and under the same rules, is not read again. A file with rejected rows is looked
   at again by every load whose inputs differ from the last one's, so a fix of anything replays them.
4. Every rejected row is kept whole, with all its reasons, its file and row, in ``raw.rejected_rows`` and in
   ``quarantine/<run_id>/<table>.csv``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import psutil

from puntual.contracts.render import expectation_suite, latest_accepted
from puntual.contracts.schema import TableContract, contract_digest, load_contract
from puntual.landing import resolve
from puntual.landing.casting import literal, quoted
from puntual.landing.files import Discovery, LandedFile, UnreadableFileError, discover
from puntual.landing.outcome import SUPERSEDED, FileOutcome, LandingRefusedError, LandingReport, TableOutcome
from puntual.landing.quarantine import write_quarantine
from puntual.landing.raw import LOADS, REJECTED, NoRaw, RawStore, open_raw, scratch_database
from puntual.landing.read import FILE_STEP, MALFORMED, BrokenTransactionError, Staged, stage_files
from puntual.landing.report import write_report
from puntual.landing.validate import ROW, Door, SuiteResult, chunks_of
from puntual.paths import Home
from puntual.warehouse import Warehouse

# DuckDB spills what does not fit; pandas chunks and Great Expectations need the rest of what one load may use.
MEMORY_LIMIT_GB = 1.75


def load_landing(
    home: Path,
    landing: Path,
    warehouse: Warehouse,
    *,
    as_of: date,
    received_on: date,
    run_id: str,
    timezone: str,
    max_rejected_share: float,
    loaded_at: datetime,
) -> LandingReport:
    """Check everything in ``landing`` and append what is new to raw; all tables or none.

    Args:
        home: the institution's home; reports and quarantine go there.
        landing: folder with the canonical files.
        warehouse: where raw is.
        as_of: business date of the run, kept with the load. Rows dated after it are loaded.
        received_on: calendar day of the reception; nothing that already happened may be dated more than a day later.
        run_id: names the folders of the report and the quarantine.
        timezone: of timestamps without a zone.
        max_rejected_share: share of the rows of a table that may break the contract.
        loaded_at: kept with every version, UTC without zone.

    Raises:
        LandingRefusedError: what was delivered cannot be used; raw is as before. The text has counts, reasons and the
            report's path; the report itself comes with it.
        WarehouseError: the warehouse cannot be opened.
    """
    with _scratch_folder(home) as scratch, open_raw(warehouse, scratch, memory_limit_gb=MEMORY_LIMIT_GB) as store:
        load = _Load(store, Home(home), landing, scratch, as_of, received_on, run_id, timezone, loaded_at)
        try:
            report = load.run(max_rejected_share)
        finally:
            load.probe.close()
        if not report.is_acceptable:
            raise LandingRefusedError(report)
        return report


def validate_landing(
    home: Path,
    landing: Path,
    *,
    as_of: date,
    received_on: date,
    timezone: str,
    max_rejected_share: float,
    run_id: str = "validate",
    threads: int = 2,
) -> LandingReport:
    """The same checks without a warehouse: every file is read, nothing is kept but the report.

    References are checked within the folder: a payment of a loan that only an earlier load brought counts as orphaned.
    What would stop a run is in ``problems`` and ``too_many_rejected`` of the report and is not raised.
    """
    never = datetime.combine(as_of, time())
    with _scratch_folder(home) as scratch:
        work = scratch_database(scratch, threads=threads, memory_limit_gb=MEMORY_LIMIT_GB)
        try:
            load = _Load(
                NoRaw(work),
                Home(home),
                landing,
                scratch,
                as_of,
                received_on,
                run_id,
                timezone,
                never,
                is_check=True,
            )
            try:
                return load.run(max_rejected_share)
            finally:
                load.probe.close()
        finally:
            work.close()


@contextmanager
def _scratch_folder(home: Path) -> Iterator[Path]:
    parent = home / "warehouse"
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(".landing-*"):
        # A process that was killed could not take its folder away.
        if not psutil.pid_exists(int(left.name.split("-")[1])):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".landing-{os.getpid()}-", dir=parent) as folder:
        yield Path(folder)


def _latest_moment(received_on: date, timezone: str) -> datetime:
    """The last moment, UTC without zone, of the last local day that is accepted."""
    next_day = latest_accepted(received_on) + timedelta(days=1)
    midnight = datetime.combine(next_day, time(), tzinfo=ZoneInfo(timezone)).astimezone(ZoneInfo("UTC"))
    return midnight.replace(tzinfo=None) - timedelta(microseconds=1)


@dataclass
class _Load:
    """One pass over a landing folder."""

    store: RawStore
    home: Home
    landing: Path
    scratch: Path
    as_of: date
    received_on: date
    run_id: str
    timezone: str
    loaded_at: datetime
    is_check: bool = False

    contract: dict[str, TableContract] = field(default_factory=load_contract)
    load_id: int = 0
    door: Door | None = None
    known: dict[str, tuple[str, str]] = field(default_factory=dict)
    suites: dict[str, SuiteResult] = field(default_factory=dict)
    quarantine: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unusable: dict[str, list[str]] = field(default_factory=dict)
    is_broken: bool = False
    probe: duckdb.DuckDBPyConnection = field(init=False)

    def __post_init__(self) -> None:
        # Looking at a damaged file is an error that would end the transaction in which the rest is checked.
        self.probe = scratch_database(self.scratch / "probe", threads=2, memory_limit_gb=MEMORY_LIMIT_GB)

    def run(self, max_rejected_share: float) -> LandingReport:
        """The report; raw is written in the caller's transaction, also when the report says that it must not stay."""
        found = discover(self.landing, self.contract)
        self.store.ensure(self.contract)
        self.load_id = int(self.store.query("select coalesce(max(load_id), 0) + 1 from raw.loads")[0][0])
        self.problems += found.problems
        self.unusable |= found.unusable
        for name, table in self.contract.items():
            if table.required and name not in found.files and name not in found.unusable:
                self._refuse(
                    name,
                    f"{name}: the table is required and no file {name}.parquet, {name}.csv or {name}/"
                    f" is in {self.landing}.",
                )
        tables = self._tables(found)
        missing, absent = self._not_delivered(found)
        report = LandingReport(
            run_id=self.run_id,
            as_of=self.as_of,
            received_on=self.received_on,
            load_id=self.load_id if any(table.is_read for table in tables.values()) and not self.is_check else None,
            tables=tables,
            missing_tables=missing,
            not_delivered=absent,
            unknown_files=found.unknown,
            problems=tuple(self.problems),
            max_rejected_share=max_rejected_share,
            unusable=self.unusable,
            quarantine=tuple(self.quarantine),
        )
        folder = self.home.validation_reports / self.run_id
        if self.door is None and report.is_acceptable and (folder / "report.html").exists():
            # The same run again, with nothing to judge: its first report says more than a second one could.
            return replace(report, html_path=folder / "report.html", json_path=folder / "report.json")
        gx_version = self.door.version if self.door else None
        html_path, json_path = write_report(report, self.suites, folder, gx_version=gx_version)
        return replace(report, html_path=html_path, json_path=json_path)

    def _refuse(self, name: str, problem: str) -> None:
        """The table stops the load, whatever its rows are."""
        self.problems.append(problem)
        self.unusable.setdefault(name, []).append(problem)

    def _open_door(self) -> Door:
        """Great Expectations, once per load; files of an earlier attempt with the same run_id make way."""
        if self.door is None:
            self.door = Door()
            for folder in (self.home.quarantine / self.run_id, self.home.validation_reports / self.run_id):
                if folder.is_dir():
                    shutil.rmtree(folder)
        return self.door

    # -------------------------------------------------------------------------------------- which files to read

    def _tables(self, found: Discovery) -> dict[str, TableOutcome]:
        rules = hashlib.sha256(f"{contract_digest()}|{self.timezone}".encode()).hexdigest()
        names = "\n".join(f"{file.name}|{file.sha256}" for files in found.files.values() for file in files)
        inputs = hashlib.sha256(f"{rules}|{self.received_on}|{names}".encode()).hexdigest()
        earlier = self._earlier_loads()
        # Without its parents every row of a table would look orphaned: such a table is not judged.
        unusable = set(self.unusable)
        is_same_again = not self.problems and bool(found.files) and inputs == self._last_inputs()
        tables: dict[str, TableOutcome] = {}
        for name, files in found.files.items():
            table = self.contract[name]
            if name in unusable or unusable.intersection(table.references.values()):
                unusable.add(name)
                continue
            before = earlier.get(name, [])
            first = len(files) if is_same_again else _first_to_read(table, files, before, rules)
            if first == len(files):
                tables[name] = TableOutcome(
                    name, _unchanged(files, before), reasons=self._earlier_reasons(name, before)
                )
                continue
            try:
                tables[name] = self._take_in(table, files[first:], _unchanged(files[:first], before))
            except BrokenTransactionError as error:
                self._refuse(name, str(error))
                self.is_broken = True
                return tables
            except UnreadableFileError as error:
                self._refuse(name, str(error))
                unusable.add(name)
                continue
            if table.required and not table.may_be_empty and not tables[name].accepted_count and self._is_empty(name):
                self._refuse(
                    name, f"{name}: no usable row was delivered and none was loaded before. Deliver the whole table."
                )
            if not self.is_check:
                self._record(tables[name], rules, inputs)
        return tables

    def _earlier_loads(self) -> dict[str, list[_EarlierFile]]:
        """Per table the files of the newest load that recorded it."""
        rows = self.store.query("""
            select l.load_id, l.table_name, l.file_name, l.file_sha256, l.row_count, l.accepted_count, l.rejected_count,
                l.superseded_count, l.duplicate_count, l.rules_digest
            from raw.loads l
            join (select table_name, max(load_id) as load_id from raw.loads group by table_name) n
                on n.table_name = l.table_name and n.load_id = l.load_id
            order by l.table_name, l.file_name
        """)
        found: dict[str, list[_EarlierFile]] = {}
        for row in rows:
            found.setdefault(row[1], []).append(_EarlierFile(row[0], *row[2:]))
        return found

    def _last_inputs(self) -> str | None:
        rows = self.store.query(
            "select max(inputs_digest) from raw.loads where load_id = (select max(load_id) from raw.loads)"
        )
        return rows[0][0] if rows else None

    def _earlier_reasons(self, name: str, before: list[_EarlierFile]) -> dict[str, int]:
        if not any(file.rejected_count for file in before):
            return {}
        counts: dict[str, int] = {}
        for (reasons,) in self.store.query(
            "select reasons from raw.rejected_rows"
            f" where table_name = {literal(name)} and load_id = {before[0].load_id}"
        ):
            for reason in json.loads(reasons):
                counts[reason] = counts.get(reason, 0) + 1
        return dict(sorted(counts.items()))

    def _is_empty(self, name: str) -> bool:
        return not self.store.query(f"select 1 from raw.{name} limit 1")

    def _not_delivered(self, found: Discovery) -> tuple[dict[str, str], tuple[str, ...]]:
        missing: dict[str, str] = {}
        absent: list[str] = []
        for name, table in self.contract.items():
            if name in found.files or table.without_it is None or self.is_broken:
                continue
            if self._is_empty(name):
                missing[name] = table.without_it
            else:
                absent.append(name)
        return missing, tuple(absent)

    # -------------------------------------------------------------------------------------- one table

    def _take_in(
        self, table: TableContract, files: tuple[LandedFile, ...], unchanged: tuple[FileOutcome, ...]
    ) -> TableOutcome:
        con = self.store.work
        name = table.table
        staged = stage_files(con, self.probe, table, files, timezone=self.timezone, scratch=self.scratch)
        unchecked = self._judge(table, staged)
        resolve.exclude_rejected(con, table)
        resolve.exclude_repeated(con, table, staged.stage)
        held = resolve.current(self.store, table, [table.changed_at] if table.changed_at else [])
        resolve.exclude_older_than_raw(con, table, staged.stage, held)
        fresh = resolve.mark_new(con, table, staged.stage, held)
        gone = resolve.mark_gone(con, table, staged.stage, held)
        con.execute(f"drop table {held}")
        outcomes = self._counts(staged, fresh)
        self._append_versions(table, staged, fresh)
        deleted = self._append_deletions(table, staged, gone) if gone else 0
        reasons = dict(
            con.execute(f"select reason, count(*) from reasons_{name} group by reason order by reason").fetchall()
        )
        if reasons:
            self._keep_rejected(table, staged)
        for left in (staged.stage, fresh, *([gone] if gone else [])):
            if left != staged.stage or not self._is_referenced(name):
                con.execute(f"drop table {left}")
        found = self.suites[name].results
        return TableOutcome(
            name,
            (*unchanged, *outcomes),
            deleted_count=deleted,
            reasons=reasons,
            missing_columns=staged.missing_columns,
            extra_columns=staged.extra_columns,
            unchecked=unchecked,
            notes=tuple(staged.notes),
            expectation_count=len(found),
            unsuccessful_count=sum(result.unexpected_count > 0 for result in found),
        )

    def _is_referenced(self, name: str) -> bool:
        return any(name in table.references.values() for table in self.contract.values())

    def _judge(self, table: TableContract, staged: Staged) -> tuple[str, ...]:
        """``reasons_<table>``: every row that breaks the contract, with every reason."""
        con = self.store.work
        unchecked = self._know_parents(table)
        con.execute(f"create or replace temp table reasons_{table.table} ({ROW} bigint, reason varchar)")
        suite = expectation_suite(
            table,
            latest_day=latest_accepted(self.received_on),
            latest_moment=_latest_moment(self.received_on, self.timezone),
            without=staged.missing_columns,
        )
        timestamps = frozenset(column.name for column in table.columns if column.type == "timestamp")
        query = resolve.chunk_query(table, staged.stage, suite, self.known, self.timezone)
        result = self._open_door().check(table.table, suite, chunks_of(con, query), timestamps=timestamps)
        self.suites[table.table] = result
        if len(result.failures):
            failures = result.failures
            con.register("failures", failures)
            # A required value that could not be read is not missing as well.
            con.execute(f"""
                insert into reasons_{table.table}
                select distinct f.{ROW}, f.reason from failures f
                where not (starts_with(f.reason, 'missing:') and exists (
                    select 1 from failures u
                    where u.{ROW} = f.{ROW} and u.reason = replace(f.reason, 'missing:', 'unreadable:')
                ))
            """)
            con.unregister("failures")
        if staged.malformed:
            con.execute(
                f"insert into reasons_{table.table} select unnest(?), {literal(MALFORMED)}",
                [[row for row, _ in staged.malformed]],
            )
        return unchecked

    def _know_parents(self, table: TableContract) -> tuple[str, ...]:
        """Make the known keys of the tables that ``table`` references; says which reference cannot be checked."""
        unchecked = []
        for column, parent in table.references.items():
            if parent in self.known:
                continue
            contract = self.contract[parent]
            stage = f"stage_{parent}" if self._has_stage(parent) else None
            if stage is None and not contract.required and self._is_empty(parent):
                unchecked.append(f"{column} could not be checked: {parent} was never delivered")
                continue
            lookups = sorted(
                {
                    rule.lookup[1]
                    for child in self.contract.values()
                    for rule in child.row_rules
                    if rule.lookup and rule.lookup[0] == parent
                }
            )
            relation = resolve.known_keys(self.store, contract, stage, lookups)
            self.known[parent] = (relation, contract.key[0])
            if stage is not None:
                self.store.work.execute(f"drop table {stage}")
        return tuple(unchecked)

    def _has_stage(self, name: str) -> bool:
        found = self.store.work.execute(
            f"select count(*) from duckdb_tables() where temporary and table_name = {literal(f'stage_{name}')}"
        ).fetchone()
        return bool(found and found[0])

    def _counts(self, staged: Staged, fresh: str) -> tuple[FileOutcome, ...]:
        con = self.store.work
        name = staged.table.table

        def by_file(sql: str) -> dict[int, int]:
            rows = con.execute(f"select {ROW} // {FILE_STEP}, count(*) from ({sql}) group by 1").fetchall()
            return {int(number): int(count) for number, count in rows}

        rejected = by_file(f"select distinct {ROW} from reasons_{name}")
        superseded = by_file(
            f"select distinct {ROW} from reasons_{name} where reason in ({', '.join(map(literal, SUPERSEDED))})"
        )
        duplicates = by_file(f"select {ROW} from excluded_{name} where is_duplicate")
        new = by_file(f"select {ROW} from {fresh}")
        return tuple(
            FileOutcome(
                name=file.name,
                sha256=file.sha256,
                row_count=rows,
                accepted_count=rows - rejected.get(number, 0) - duplicates.get(number, 0),
                new_count=new.get(number, 0),
                rejected_count=rejected.get(number, 0),
                superseded_count=superseded.get(number, 0),
                duplicate_count=duplicates.get(number, 0),
            )
            for number, (file, rows) in enumerate(zip(staged.files, staged.rows, strict=True))
        )

    # -------------------------------------------------------------------------------------- into raw

    def _lineage(self, row: str, staged: Staged) -> str:
        names = ", ".join(literal(file.name) for file in staged.files)
        return (
            f"{self.load_id}, timestamp {literal(self.loaded_at.isoformat(sep=' '))},"
            f" list_extract([{names}], cast({row} // {FILE_STEP} as integer) + 1)"
        )

    def _append_versions(self, table: TableContract, staged: Staged, fresh: str) -> None:
        names = [
            *table.column_names,
            "_load_id",
            "_loaded_at",
            "_source_file",
            "_source_row",
            "_row_digest",
            "_is_deleted",
        ]
        columns = ", ".join(quoted(name) for name in table.column_names)
        self.store.append(
            table.table,
            names,
            f"select {columns}, {self._lineage(ROW, staged)}, {ROW} % {FILE_STEP}, _row_digest, false"
            f" from {staged.stage} where {ROW} in (select {ROW} from {fresh})",
        )

    def _append_deletions(self, table: TableContract, staged: Staged, gone: str) -> int:
        names = [*table.key, "_load_id", "_loaded_at", "_source_file", "_source_row", "_row_digest", "_is_deleted"]
        columns = ", ".join(quoted(name) for name in table.key)
        parts = ", ".join(f"{literal(name + '=')} || {quoted(name)}" for name in table.key)
        digest = f"md5(concat_ws(chr(31), 'deleted', {parts}))"
        return self.store.append(
            table.table, names, f"select {columns}, {self._lineage(ROW, staged)}, 0, {digest}, true from {gone}"
        )

    def _keep_rejected(self, table: TableContract, staged: Staged) -> None:
        """Every rejected row, whole, in ``raw.rejected_rows`` and in the quarantine's file."""
        folder = self.home.quarantine / self.run_id
        kept = write_quarantine(self.store.work, table, staged, folder)
        self.quarantine.append(kept.path)
        if self.is_check:
            return
        self.store.append(
            "rejected_rows",
            list(REJECTED),
            f"select {self.load_id}, {literal(table.table)}, source_file, source_row, row_key, reasons, row_json,"
            f" timestamp {literal(self.loaded_at.isoformat(sep=' '))} from {kept.relation}",
        )

    def _record(self, outcome: TableOutcome, rules: str, inputs: str) -> None:
        rows = []
        for file in outcome.files:
            values = [
                str(self.load_id),
                literal(self.run_id),
                f"date {literal(self.as_of.isoformat())}",
                literal(outcome.table),
                literal(file.name),
                literal(file.sha256),
                *(
                    str(count)
                    for count in (
                        file.row_count,
                        file.accepted_count,
                        file.new_count,
                        file.rejected_count,
                        file.duplicate_count,
                    )
                ),
                f"timestamp {literal(self.loaded_at.isoformat(sep=' '))}",
                str(file.superseded_count),
                str(file.is_read).lower(),
                literal(rules),
                literal(inputs),
            ]
            rows.append(f"({', '.join(values)})")
        self.store.append("loads", list(LOADS), f"select * from (values {', '.join(rows)})")


@dataclass(frozen=True)
class _EarlierFile:
    """What ``raw.loads`` says of a file in the newest load of its table."""

    load_id: int
    name: str
    sha256: str
    row_count: int
    accepted_count: int
    rejected_count: int
    superseded_count: int
    duplicate_count: int
    rules_digest: str

    def is_settled(self, rules: str) -> bool:
        """Whether reading it again under these rules could change nothing: no row of it was bad."""
        return self.rejected_count == self.superseded_count and self.rules_digest == rules


def _first_to_read(table: TableContract, files: tuple[LandedFile, ...], before: list[_EarlierFile], rules: str) -> int:
    """Position of the first file that must be read; all after it are read too, because their rows are newer.

    Were an old file read again alone, its rows would win over those of newer files that are left out. A table whose
    wholes replace each other is read whole or not at all: half of the files could hold half of a schedule.
    """
    settled = {(file.name, file.sha256) for file in before if file.is_settled(rules)}
    first = next((at for at, file in enumerate(files) if (file.name, file.sha256) not in settled), len(files))
    return 0 if table.replace_by is not None and first < len(files) else first


def _unchanged(files: tuple[LandedFile, ...], before: list[_EarlierFile]) -> tuple[FileOutcome, ...]:
    """Outcome of files that are not read again: the counts of the time when they were."""
    earlier = {(file.name, file.sha256): file for file in before}
    outcomes = []
    for file in files:
        was = earlier[(file.name, file.sha256)]
        outcomes.append(
            FileOutcome(
                name=file.name,
                sha256=file.sha256,
                row_count=was.row_count,
                accepted_count=was.accepted_count,
                rejected_count=was.rejected_count,
                superseded_count=was.superseded_count,
                duplicate_count=was.duplicate_count,
                is_read=False,
            )
        )
    return tuple(outcomes)
