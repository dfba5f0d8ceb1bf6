"""``puntual worklist``: filled work lists come back, and what became of each."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from puntual.errors import UsageError
from puntual.paths import Home

if TYPE_CHECKING:
    from puntual.worklists.imports import Desk, Imported

app = typer.Typer(
    name="worklist",
    help="Filled work lists: import them, see what was imported and what became of each list.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

HomeArgument = Annotated[
    Path, typer.Argument(help="Folder of the institution: its settings, data and results.", metavar="HOME")
]
_MOST_SHOWN = 50


@app.command(name="import", epilog="Example: puntual worklist import ./micoop G001.xlsx G002.xlsx --dry-run")
def import_lists(
    home: HomeArgument,
    files: Annotated[list[Path], typer.Argument(help="Filled lists, .xlsx or .csv.", metavar="FILE...")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge every row and change nothing.")] = False,
    accept_good: Annotated[
        bool,
        typer.Option("--accept-good", help="Import the good rows; the others go to FILE_rejected.csv beside the file."),
    ] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who imports them; your login when left out.")] = None,
) -> None:
    """Import filled lists: outcomes and promises become an input of the next run. The same row counts once."""
    desk = _desk(home)
    who = by or pwd.getpwuid(os.getuid()).pw_name
    found = [desk.take_in(path, by=who, dry_run=dry_run, accept_good=accept_good) for path in files]
    for one in found:
        _tell(one, desk, home, dry_run=dry_run)
    if any(one.is_refused for one in found):
        raise typer.Exit(1)


@app.command(name="list", epilog="Example: puntual worklist list ./micoop")
def list_imports(home: HomeArgument) -> None:
    """Show every import (file, digest, when, by whom, rows), and per list how many contacts were worked."""
    from puntual.console import say, table
    from puntual.worklists.texts import say as text

    desk = _desk(home)
    language = desk.language

    def headings(*names: str) -> list[str]:
        return [text("columns", name, language) for name in names]

    imports = desk.store.imports()
    if not imports:
        say(text("words", "none", language))
        return
    table(
        text("words", "imports", language),
        headings("imported_at", "imported_by", "file", "list_id", "rows", "status"),
        [
            [
                f"{one.imported_at:%Y-%m-%d %H:%M}",
                one.imported_by,
                f"{one.file_name}\n{one.file_sha256[:12]}",
                "\n".join(one.list_ids),
                text(
                    "words",
                    "rows",
                    language,
                    new=one.new_count,
                    changed=one.changed_count,
                    same=one.same_count,
                    rejected=one.rejected_count,
                ),
                text("words", one.status, language),
            ]
            for one in imports
        ],
    )
    table(
        text("words", "completion", language),
        headings("day", "list_id", "issued", "worked", "not_worked", "without"),
        [
            [state.as_of_date.isoformat(), state.list_id]
            + [str(n) for n in (state.issued_count, state.worked_count, state.marked_count, state.blank_count)]
            for state in desk.states()
        ],
    )


def _tell(found: Imported, desk: Desk, home: Path, *, dry_run: bool) -> None:
    from puntual.console import complain, say, table
    from puntual.worklists.imports import problem_rows
    from puntual.worklists.texts import say as text

    language, file, counts = desk.language, found.file.name, found.counts
    problems = found.verdict.problems
    if problems:
        rows = problem_rows(found, language)
        headings = [text("columns", name, language) for name in ("file", "line", "column", "problem")]
        table("", headings, rows[:_MOST_SHOWN])
        said = {"file": file, "count": len(problems), "rows": len(found.verdict.rejected_lines), "report": found.report}
        if found.report:
            say(text("words", "rejected_some", language, **said))
        elif dry_run:
            say(text("words", "rejected_dry", language, **said))
        else:
            complain(text("words", "rejected", language, **said))
    if found.already:
        at = f"{found.already.imported_at:%Y-%m-%d %H:%M}"
        say(text("words", "already", language, file=file, at=at))
    elif not found.is_refused or dry_run:
        code = "would_import" if dry_run else "imported"
        say(text("words", code, language, file=file, new=counts.new, changed=counts.changed, same=counts.same))
    if not found.is_known_digest:
        say(text("words", "earlier_publication", language, file=file))
    if found.outside_count:
        say(text("words", "outside", language, file=file, count=found.outside_count))
    unworked = found.marked_count + found.blank_count
    if unworked and not found.is_refused:
        said = {
            "count": unworked,
            "issued": found.issued_count,
            "marked": found.marked_count,
            "blank": found.blank_count,
        }
        say(text("words", "not_worked", language, file=file, **said))
    if found.is_recorded:
        say(text("words", "next" if found.is_delivered else "waits", language, home=home))


def _desk(home: Path) -> Desk:
    from puntual import clock
    from puntual.settings import load_settings
    from puntual.worklists.imports import Desk

    place = Home(home.resolve())
    if not place.settings_file.exists():
        raise UsageError(
            f"{place.root} is not a home: it has no puntual.yaml. Create one with: puntual init {place.root}"
        )
    settings = load_settings(place)
    return Desk(place, settings, clock.now_utc(), clock.today(settings.institution.timezone))
