"""``puntual audit``, ``replay``, ``why`` and ``whatif``: what was decided, checked, made again, explained, changed."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from puntual.errors import AuditError, UsageError
from puntual.paths import Home

if TYPE_CHECKING:
    from puntual.audit.chain import AuditLog, Entry

app = typer.Typer(
    name="audit",
    help="The log of decisions: check it, list it, take out one day or one person.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

HomeArgument = Annotated[
    Path, typer.Argument(help="Folder of the institution: its settings, data and results.", metavar="HOME")
]
CustomerArgument = Annotated[str, typer.Argument(help="Id of the member.", metavar="CUSTOMER")]
OptionalDay = Annotated[
    str | None, typer.Option("--as-of", help="Which day; the newest one when left out.", metavar="DATE")
]
SpokenLanguage = Annotated[
    str | None, typer.Option("--language", help="es or en; the institution's when left out.", metavar="LANGUAGE")
]


def register(root: typer.Typer) -> None:
    """Give the program these commands."""
    root.add_typer(app)
    root.command(epilog="Example: puntual replay ./micoop 2026-06-30")(replay)
    root.command(epilog="Example: puntual why ./micoop C000123")(why)
    root.command(epilog="Example: puntual whatif ./micoop --set channels.call.capacity=+10%")(whatif)


@app.command(epilog="Example: puntual audit verify ./micoop --expect 31f360e4b8ab…")
def verify(
    home: HomeArgument,
    expect: Annotated[
        str | None,
        typer.Option(
            help="Hash of an entry that was noted elsewhere: it must still be in the chain.", metavar="SHA256"
        ),
    ] = None,
) -> None:
    """Read every byte of the log and its archive; name any file, day and row that is not as it was written."""
    from puntual.audit.verify import verify as check
    from puntual.console import complain, say, working

    place = _place(home)
    with working("Reading the log and the archive"):
        found = check(place, expect)
    for line in found.notes:
        say(f"[yellow]![/yellow] {line}")
    for line in found.problems:
        complain(line)
    say(
        f"{found.entries} entries, {found.days} days; log {_size(found.log_bytes)}, inputs {_size(found.archive_bytes)}"
    )
    if found.problems:
        say(
            f"[red]✗[/red] {len(found.problems)} problems. Restore the home from a copy made before; see docs/audit.md."
        )
        raise typer.Exit(1)
    if found.head:
        say(f"[green]✓[/green] everything is as it was written. Last entry: [bold]{found.head}[/bold]")
        say("  Note it where nobody of the institution can change it; later: puntual audit verify HOME --expect HASH")


@app.command(name="list", epilog="Example: puntual audit list ./micoop")
def list_(home: HomeArgument) -> None:
    """Every entry of the log: day, run, people, which one is in force, and what its inputs take on the disk."""
    from puntual.console import say, table

    log = _log(home)
    entries = log.entries()
    in_force = {entry.as_of_date: entry.sequence for entry in entries if entry.kind == "decision"}
    dropped = log.dropped_until()
    rows = []
    for entry in entries:
        if entry.kind == "retention":
            rows.append([str(entry.sequence), "", entry.recorded_at, f"inputs up to {dropped} removed", "", "", ""])
            continue
        rows.append(
            [
                str(entry.sequence),
                entry.as_of_date.isoformat(),
                entry.recorded_at,
                "in force" if in_force[entry.as_of_date] == entry.sequence else "replaced",
                f"{entry.people:,}",
                "removed" if entry.as_of_date <= dropped else _size(sum(log.inputs(entry).sizes().values())),
                entry.snapshot,
            ]
        )
    if not rows:
        say("Nothing is logged yet. Run a day: puntual run HOME --as-of DATE")
        return
    table("", ["no.", "day", "recorded (UTC)", "state", "people", "inputs", "snapshot"], rows)
    archive = sum(file.stat().st_size for file in log.archive().names().values())
    say(f"The archive takes {_size(archive)}: days share what did not change.")


@app.command(epilog="Example: puntual audit export ./micoop C000123 --out C000123.json")
def export(
    home: HomeArgument,
    customer: CustomerArgument,
    out: Annotated[
        Path | None, typer.Option(help="A .json (whole) or .csv (a row per day and channel) file; HOME/exports/… else.")
    ] = None,
) -> None:
    """All that was decided for one person, day by day, with every channel's verdict and value."""
    from puntual.audit.person_export import history, write_history
    from puntual.console import say

    log = _log(home)
    rows = history(log, customer)
    if not rows:
        raise UsageError(f"No day of the log considered {customer}. Ids are those of customers.customer_id.")
    file = (out or log.home.root / "exports" / f"audit_{_plain(customer)}.json").resolve()
    write_history(rows, file)
    say(f"[bold]{file}[/bold]: {len(rows)} entries, {rows[0]['as_of_date']} to {rows[-1]['as_of_date']}")


@app.command(epilog="Example: puntual audit pack ./micoop 2026-06-30 --out day.zip")
def pack(
    home: HomeArgument,
    day: Annotated[str, typer.Argument(help="Business date, YYYY-MM-DD.", metavar="DATE")],
    out: Annotated[Path | None, typer.Option(help="The file; HOME/exports/audit_DATE.zip when left out.")] = None,
) -> None:
    """Write one day with all its inputs to a file: another machine makes the lists again from it alone."""
    from puntual.audit.pack import pack as write
    from puntual.console import say
    from puntual.settings import business_date

    log = _log(home)
    entry = log.in_force(business_date(day))
    file = (out or log.home.root / "exports" / f"audit_{entry.as_of_date}.zip").resolve()
    size = write(log, entry, file)
    say(f"[bold]{file}[/bold] {_size(size)}. On the other machine: puntual replay {file.name}")
    say("  [yellow]It names members[/yellow]: keep it like the work lists, delete it when it has served.")


def replay(
    source: Annotated[Path, typer.Argument(help="Folder of the institution, or a pack.", metavar="HOME")],
    day: Annotated[str | None, typer.Argument(help="Business date, YYYY-MM-DD.", metavar="DATE")] = None,
    archive: Annotated[
        Path | None, typer.Option(help="Take the inputs from this pack; it must be of HOME's entry.", metavar="FILE")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Leave the files that were made again here.", metavar="FOLDER")
    ] = None,
) -> None:
    """Decide a past day again from its archive, write its lists again, and compare every SHA-256 with the log's."""
    from puntual.audit.pack import entry_hash, unpack
    from puntual.settings import business_date, quiet_environment

    quiet_environment()
    with TemporaryDirectory(prefix="puntual-replay-") as folder:
        packed = archive or (source if source.is_file() else None)
        if packed is None:
            log = _log(source)
            entry = log.in_force(business_date(day)) if day else log.newest()
        else:
            log, entry = unpack(packed, Path(folder) / "home")
            if day is not None and entry.as_of_date != business_date(day):
                raise UsageError(f"{packed} is of {entry.as_of_date}, not of {day}")
            if archive is not None:
                own = _log(source)
                mine = own.in_force(entry.as_of_date)
                if entry_hash(own, mine) != entry_hash(log, entry):
                    raise AuditError(
                        f"{archive} is not of the entry that is in force in {source} for {entry.as_of_date}."
                    )
        _replay(log, entry, Path(folder), keep)


def _replay(log: AuditLog, entry: Entry, folder: Path, keep: Path | None) -> None:
    import shutil

    from puntual.audit.compare import compare, software_differences
    from puntual.audit.digests import code_digest, software
    from puntual.console import complain, say, working

    others = software_differences(entry.versions, {"code_sha256": code_digest(), "software": software()})
    with working(f"Deciding {entry.as_of_date} again"):
        from pipelines.steps.replaying import replay as make

        made = make(log, entry, folder / "again")
    compared = compare(log, entry, made)
    if keep is not None:
        shutil.copytree(made, keep, dirs_exist_ok=True)
        say(f"  the files are in {keep}")
    for one in compared:
        if one.state == "same":
            say(f"[green]✓[/green] {one.published[:16]}… {one.name}")
        else:
            say(f"[red]✗[/red] {one.name}: {one.state}; published {one.published[:16]}…, now {(one.made or '–')[:16]}")
            for line in one.details:
                say(f"      {line}")
    if others:
        say(f"[yellow]![/yellow] The day was made with other versions: {'; '.join(others)}")
    wrong = [one for one in compared if one.state != "same"]
    if wrong:
        complain(f"{len(wrong)} of {len(compared)} files of {entry.as_of_date} are not those that were published.")
        raise typer.Exit(1)
    say(f"All {len(compared)} files of {entry.as_of_date} (entry {entry.sequence}) are byte for byte those published.")
    say("  Covered: rules, value, capacity, draws, assignment, lists, campaigns. Scores are archived inputs.")


def why(
    home: HomeArgument, customer: CustomerArgument, as_of: OptionalDay = None, language: SpokenLanguage = None
) -> None:
    """Why this member is contacted like this today, or is not: every channel, rule, value, draw, and the versions."""
    from puntual.audit.terminal import why_page
    from puntual.audit.why import why as explain

    log = _log(home)
    entry = _entry(log, as_of)
    spoken = _spoken(language, log.context(entry)["settings"]["institution"]["language"])
    why_page(explain(log, entry, customer, spoken), spoken)


def whatif(
    home: HomeArgument,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE; a figure, +50, -10% or none. May be given several times."),
    ] = None,
    as_of: OptionalDay = None,
    language: SpokenLanguage = None,
    keys: Annotated[bool, typer.Option("--keys", help="Only list what can be changed, with its figure today.")] = False,
) -> None:
    """Decide a logged day again with other capacities, costs or shares, and compare value and lists. Writes nothing."""
    from puntual.audit.chain import as_archived
    from puntual.audit.inputs import load
    from puntual.audit.terminal import what_if_page
    from puntual.audit.whatif import Change, what_if
    from puntual.audit.whatif import keys as known_keys
    from puntual.console import table, working
    from puntual.decision.decide import decide

    asked = [Change.parse(text) for text in changes or []]
    if not asked and not keys:
        raise UsageError("Nothing to change. Give --set KEY=VALUE, or --keys to see what there is.")
    log = _log(home)
    entry = _entry(log, as_of)
    settings = log.context(entry)["settings"]
    spoken = _spoken(language, settings["institution"]["language"])
    arguments = load(decide, log.inputs(entry).decision, log.archive())
    if keys:
        today = known_keys(arguments).items()
        rows = [[key, "none" if value is None else f"{value:g}"] for key, value in today]
        table("", ["key", "today"], rows)
        return
    with working(f"Deciding {entry.as_of_date} twice"), as_archived(entry):
        found = what_if(arguments, asked)
    what_if_page(found, entry.as_of_date, settings["institution"]["currency"], spoken)


def _place(home: Path) -> Home:
    place = Home(home.resolve())
    if not place.root.is_dir():
        raise UsageError(f"{home} is no folder. Give the institution's home.")
    return place


def _log(home: Path) -> AuditLog:
    from puntual.audit.chain import AuditLog

    return AuditLog(_place(home))


def _entry(log: AuditLog, as_of: str | None) -> Entry:
    from puntual.settings import business_date

    return log.newest() if as_of is None else log.in_force(business_date(as_of))


def _spoken(asked: str | None, own: str) -> Literal["es", "en"]:
    if asked not in {None, "es", "en"}:
        raise UsageError(f"--language {asked}: must be es or en")
    return "en" if (asked or own) == "en" else "es"


def _plain(customer: str) -> str:
    from puntual.lists.rows import file_stem

    return file_stem(customer)


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"
