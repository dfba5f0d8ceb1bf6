"""What the command line shows: progress by step, summaries, and errors that say what to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from puntual.doctor import Finding
    from puntual.exports.export import Exported, Request
    from puntual.snapshot import Snapshot

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One line for the person at the terminal; long paths stay whole, so that they can be copied."""
    _out.print(text, soft_wrap=True)


def complain(text: str) -> None:
    """A problem, on standard error; brackets in paths and data are shown as they are."""
    _err.print("Error:", style="bold red", end=" ")
    _err.print(text, markup=False, soft_wrap=True)


def prompt_secret(title: str) -> str:
    """What the person types, unseen; empty when nobody can be asked."""
    if not sys.stdin.isatty():
        return ""
    return _out.input(f"{title}: ", password=True)


@contextmanager
def working(title: str) -> Iterator[None]:
    """Show that something goes on; its time when it is done."""
    begun = time.perf_counter()
    with _out.status(f"{title}…"):
        yield
    say(f"[green]✓[/green] {title} [dim]{time.perf_counter() - begun:.1f} s[/dim]")


class RunProgress:
    """One line per finished step, and the running one named with its time."""

    def __init__(self) -> None:
        self._status = _out.status("")
        self._titles: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> RunProgress:
        self._status.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._status.__exit__(None, None, None)

    def begin(self, step: str, title: str) -> None:
        """A step has begun."""
        self._finish_start(step)
        self._titles[step] = (title, time.perf_counter())
        self._status.update(f"{title}…")

    def end(self, step: str, *, succeeded: bool) -> None:
        """A step has ended."""
        title, begun = self._titles.get(step, (step, time.perf_counter()))
        mark = "[green]✓[/green]" if succeeded else "[red]✗[/red]"
        _out.print(f"{mark} {title} [dim]{time.perf_counter() - begun:.1f} s[/dim]")

    def _finish_start(self, step: str) -> None:
        if step != "start" and "start" in self._titles:
            self.end("start", succeeded=True)
            del self._titles["start"]


def run_progress() -> RunProgress:
    """The progress display of a run."""
    return RunProgress()


class BackfillProgress:
    """One line per finished day; the running day is named with its step."""

    def __init__(self, first: date, last: date) -> None:
        self._first, self._count = first, (last - first).days + 1
        self._status = _out.status("Starting…")
        self._day, self._begun = first, time.perf_counter()

    def __enter__(self) -> BackfillProgress:
        self._status.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._status.__exit__(None, None, None)

    def begin_day(self, day: date) -> BackfillProgress:
        """A day has begun; its steps are told to this object."""
        self._day, self._begun = day, time.perf_counter()
        return self

    def end_day(self, result: Any) -> None:
        """A day has ended well."""
        seconds = time.perf_counter() - self._begun
        number = (result.as_of - self._first).days + 1
        say(f"[green]✓[/green] {result.as_of} [dim]{number} of {self._count}, {seconds:.1f} s[/dim]")

    def begin(self, step: str, title: str) -> None:  # noqa: ARG002 - the runner names each step
        """A step of the day has begun."""
        self._status.update(f"{self._day}: {title}…")

    def end(self, step: str, *, succeeded: bool) -> None:
        """A step has ended: only a failed one is worth a line."""
        if not succeeded:
            say(f"[red]✗[/red] {self._day}: {step}")


def backfill_progress(first: date, last: date) -> BackfillProgress:
    """The progress display of many days."""
    return BackfillProgress(first, last)


def day_summary(home: Path, result: Any) -> None:
    """What the run brought, where it is, and how to look at it."""
    metadata = result.metadata
    if "serving/snapshot" not in metadata:
        for name in ("ml/default_risk_model", "ml/contact_channel_model"):
            say(f"[bold]{name}[/bold]")
            for key, value in metadata.get(name, {}).items():
                say(f"  {key}: {value}")
        return
    from rich.markup import escape

    from puntual.snapshot import Snapshot

    published = metadata["serving/snapshot"]
    snapshot = Snapshot.at(Path(published["folder"]))
    summary = snapshot.manifest["summary"]
    currency = snapshot.manifest["institution"]["currency"]
    table = Table(
        title=f"{snapshot.manifest['institution']['name']} · {result.as_of}", show_header=False, title_justify="left"
    )
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_row("Members in arrears", f"{summary['members_in_arrears']:,}")
    table.add_row("Past due", f"{summary['arrears_amount']:,.2f} {currency}")
    par30 = summary["par30_rate"]
    table.add_row("PAR30", "no portfolio" if par30 is None else f"{par30:.2%}")
    table.add_row("Members considered", f"{summary['members_considered']:,}")
    for channel, count in summary["contacts_by_channel"].items():
        table.add_row(f"Contacts: {channel}", f"{count:,}")
    table.add_row("Expected recovery, 7 days" if summary["response_window_days"] == 7
                  else f"Expected recovery, {summary['response_window_days']} days",
                  "not estimated" if summary["expected_recovery_amount"] is None
                  else f"{summary['expected_recovery_amount']:,.2f} {currency}")  # fmt: skip
    table.add_row(
        "  of it due to the contacts",
        "not estimated"
        if summary["expected_gain_amount"] is None
        else f"{summary['expected_gain_amount']:,.2f} {currency}",
    )
    _out.print(table)
    for name, entry in snapshot.manifest["models"].items():
        say(f"{name}: {entry['status']}" + (f" — {entry['reason']}" if entry.get("reason") else ""))
    for line in [*snapshot.manifest.get("duty_alarms", []), *snapshot.manifest.get("plan_warnings", [])]:
        color = "red" if line["severity"] == "alarm" else "yellow"
        say(f"[{color}]{line['severity']}[/{color}] {escape(line['text_en'])}")
    if not published["is_new"]:
        say("The same inputs gave the same result: the published snapshot was left as it was.")
    if not published["is_current"]:
        say("A newer business date is already published; readers keep seeing that one.")
    say(f"Published: [bold]{published['folder']}[/bold]")
    say(f"  work lists {snapshot.folder / 'worklists'}")
    say(f"  decisions  {snapshot.folder / 'decisions.parquet'}")
    say(f"Open the dashboards: [bold]{_own_name()} dash {home}[/bold]")


def _own_name() -> str:
    """This program as the person called it, so that the shown command can be typed as it is."""
    called = Path(sys.argv[0])
    return sys.argv[0] if called.name == "puntual" else "puntual"


def validation_summary(report: Any) -> bool:
    """Show what the door would do with the landing folder; True when a run would be let in."""
    table = Table(title="Landing", title_justify="left")
    for heading in ("table", "files", "rows", "rejected", "duplicates", "verdict"):
        table.add_column(heading, justify="left" if heading in {"table", "verdict"} else "right")
    for row in report.summary_rows():
        table.add_row(*[str(value) for value in row])
    _out.print(table)
    for line in report.notes():
        say(line)
    if report.html_path is not None:
        say(f"Report: [bold]{report.html_path}[/bold]")
    return report.is_acceptable


def export_list(language: str | None) -> None:
    """What can be exported, with what its rows are, in English and Spanish unless one language is asked for."""
    from puntual.exports.offers import LANGUAGES, offers

    shown = [one for one in LANGUAGES if language in {None, one}] or list(LANGUAGES)
    table = Table(show_header=False, box=None, pad_edge=False)
    for offer in offers().values():
        table.add_row(f"[bold]{offer.what}[/bold]", "\n".join(offer.description[one] for one in reversed(shown)))
    _out.print(table)


def export_summary(request: Request, snapshot: Snapshot, written: Exported) -> None:
    """What was exported, from which day, to which file."""
    from puntual.exports.offers import offer

    say(f"[bold]{written.path}[/bold]")
    say(f"  {request.what} as of {snapshot.as_of_date}: {written.rows:,} rows, {len(written.columns)} columns")
    if written.rows == 0:
        reason = "no row meets the condition" if request.where else "the published table is empty"
        say(f"  [yellow]Empty[/yellow]: {reason}; the file has its header only.")
    if offer(request.what).has_names:
        say("  [yellow]It names members[/yellow]: keep it like the work lists, delete it when it has served.")


def models_list(rows: Sequence[Any], *, data_up_to: str, decided_on: str) -> None:
    """The versions of the trained models, under the name of each: status, dates, and the reason on a line below."""
    named = ""
    for row in rows:
        if row["name"] != named:
            named = row["name"]
            _out.print(Text(named, style="bold"))
        decided = f"{decided_on} {row['decided_on']}" if row["decided_on"] else ""
        line = f"  {row['version']}  {row['status_text']:<12} {data_up_to} {row['trained_as_of']}  {decided}".rstrip()
        _out.print(Text(line, style="green" if row["status"] == "champion" else ""), soft_wrap=True)
        _out.print(Text(f"      {row['reason']}", style="dim"), soft_wrap=True)


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of texts; what is long is wrapped, never cut."""
    shown = Table(title=title or None, title_justify="left")
    for heading in headings:
        shown.add_column(heading, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    _out.print(shown)


def doctor_table(findings: Sequence[Finding]) -> bool:
    """Show each finding; True when none is an error."""
    marks = {"ok": "[green]ok[/green]", "warning": "[yellow]look[/yellow]", "error": "[red]wrong[/red]"}
    table = Table(show_header=False)
    for finding in findings:
        table.add_row(marks[finding.level], finding.subject, finding.text)
    _out.print(table)
    return all(finding.level != "error" for finding in findings)


def powerbi_summary(written: Any) -> bool:
    """Its files by schema with their verdicts, and every problem; returns whether everything is sound."""
    table = Table(title="Power BI project")
    for heading in ("Schema", "Files", "Passed", "Failed", "Not checked"):
        table.add_column(heading, justify="left" if heading == "Schema" else "right")
    by_schema: dict[str, list[Any]] = {}
    for verdict in written.verdicts:
        by_schema.setdefault("/".join(verdict.schema.split("/")[-3:-1]) or "–", []).append(verdict)
    for schema, verdicts in sorted(by_schema.items()):
        failed = sum(bool(verdict.problems) for verdict in verdicts)
        unchecked = sum(not verdict.is_checked and not verdict.problems for verdict in verdicts)
        counts = (len(verdicts), len(verdicts) - failed - unchecked, failed, unchecked)
        table.add_row(schema, *(str(count) if count else "–" for count in counts))
    _out.print(table)
    for verdict in written.verdicts:
        for problem in verdict.problems:
            complain(f"{verdict.file}: {problem}")
    for problem in [*written.problems, *map(str, written.wrong)]:
        complain(problem)
    if written.proved is None:
        say("Measures not compared: no star is published yet. Run the day, then this again.")
    else:
        say(f"Measures of {written.proved} KPIs compared with the published values: {len(written.wrong)} differ.")
    if not any(verdict.is_checked for verdict in written.verdicts):
        say("Only our own checks ran; --schemas FOLDER holds the files against Microsoft's schemas too.")
    say(f"[bold]{written.folder / 'Puntual.pbip'}[/bold] written, every verdict in validation.json beside it.")
    return written.is_sound
