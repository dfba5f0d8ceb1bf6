"""The command line. Heavy imports happen inside the commands: ``puntual --help`` answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from puntual import audit_cli, campaigns_cli, models_cli, worklists_cli
from puntual.errors import PuntualError, UsageError
from puntual.paths import Home

app = typer.Typer(
    name="puntual",
    help="Every morning a decision for every member in or near arrears: whom to contact, how, when, by whom and why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

app.add_typer(models_cli.app)
app.add_typer(campaigns_cli.app)
app.add_typer(worklists_cli.app)
audit_cli.register(app)
experiment_app = typer.Typer(
    help="Experiments of the home: which there are, what they say, whether they are sound.", no_args_is_help=True
)
app.add_typer(experiment_app, name="experiment")

HomeArgument = Annotated[
    Path, typer.Argument(help="Folder of the institution: its settings, data and results.", metavar="HOME")
]
AsOf = Annotated[
    str, typer.Option("--as-of", help="Business date, YYYY-MM-DD: the list is for this day.", metavar="DATE")
]
SpokenLanguage = Annotated[
    str | None, typer.Option("--language", help="es or en; the institution's when left out.", metavar="LANGUAGE")
]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")]


@app.command(epilog="Example: puntual init ./micoop --name 'Coop Andina' --country EC")
def init(
    home: HomeArgument,
    name: Annotated[str, typer.Option(help="Name of the institution.")] = "Mi cooperativa",
    country: Annotated[str, typer.Option(help="Country of its rules and holidays: EC, MX, CO, PE, CL.")] = "EC",
    timezone: Annotated[str, typer.Option(help="Its time zone.")] = "America/Guayaquil",
    currency: Annotated[str, typer.Option(help="Its currency.")] = "USD",
    language: Annotated[str, typer.Option(help="Language of the lists: es or en.")] = "es",
) -> None:
    """Write a commented puntual.yaml and the folders of an institution's home."""
    from puntual.console import say
    from puntual.homes import create_home

    place = create_home(home, name=name, country=country, timezone=timezone, currency=currency, language=language)
    say(f"[bold]{place.settings_file}[/bold] written. Next:")
    say(f"  1. put the files into {place.root / 'landing'} (docs/onboarding.md and docs/data_dictionary.md say how)")
    say(f"  2. puntual validate {home}")
    say(f"  3. puntual run {home} --as-of DATE")


@app.command(epilog="Example: puntual demo ./demo --members 16500 --seed 7 --as-of 2026-06-30")
def demo(
    home: HomeArgument,
    members: Annotated[int, typer.Option(min=50, help="Members of the cooperative; about 1.2 loans each.")] = 16500,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files, byte for byte.")] = 7,
    as_of: AsOf = "2026-06-30",
) -> None:
    """Write a demo cooperative: two years of history as landing files, its settings, and its truth beside them."""
    from puntual.console import say, working
    from puntual.homes import create_demo
    from puntual.settings import business_date, quiet_environment

    quiet_environment()
    day = business_date(as_of)
    with working(f"Playing a demo cooperative of {members:,} members"):
        summary = create_demo(home, members=members, seed=seed, as_of=day)
    say(f"Demo cooperative in [bold]{home}[/bold]: {summary}")


@app.command(epilog="Example: puntual run ./demo --as-of 2026-06-30")
def run(
    home: HomeArgument,
    as_of: AsOf,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train even when the models are young.")] = False,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Build every table anew, not only what changed since the last run.")
    ] = False,
) -> None:
    """Do the whole day: take the files in, compute arrears, score, decide, publish. Trains when a model is due."""
    _run_day(home, as_of, retrain=retrain, full_refresh=full_refresh, until="snapshot")


@app.command(epilog="Example: puntual backfill ./micoop --from 2026-06-01 --to 2026-06-30")
def backfill(
    home: HomeArgument,
    first: Annotated[str, typer.Option("--from", help="First business date, YYYY-MM-DD.", metavar="DATE")],
    last: Annotated[str, typer.Option("--to", help="Last business date, YYYY-MM-DD.", metavar="DATE")],
) -> None:
    """Run every day from one date to another, oldest first; stops at the first that fails and says which are done."""
    from puntual.console import backfill_progress, say
    from puntual.lock import exclusive
    from puntual.settings import business_date, load_settings, quiet_environment

    place = Home(home.resolve())
    settings = load_settings(place)
    first_day, last_day = business_date(first), business_date(last)
    quiet_environment(place, threads=settings.runtime.threads)
    with exclusive(place), backfill_progress(first_day, last_day) as progress:
        from pipelines.run import run_days

        done = run_days(place, first_day, last_day, begin_day=progress.begin_day, end_day=progress.end_day)
    say(f"{len(done)} days are done. Published: [bold]{done[-1].metadata['serving/snapshot']['folder']}[/bold]")


@app.command(epilog="Example: puntual train ./demo --as-of 2026-06-30")
def train(home: HomeArgument, as_of: AsOf) -> None:
    """Train and evaluate the models on what was known at the date; publishes nothing."""
    _run_day(home, as_of, retrain=True, full_refresh=False, until="models")


def _run_day(home: Path, as_of: str, *, retrain: bool, full_refresh: bool, until: str) -> None:
    from puntual.console import day_summary, run_progress
    from puntual.lock import exclusive
    from puntual.settings import business_date, load_settings, quiet_environment

    place = Home(home.resolve())
    settings = load_settings(place)
    day = business_date(as_of)
    quiet_environment(place, threads=settings.runtime.threads)
    with exclusive(place), run_progress() as progress:
        progress.begin("start", "Starting")
        from pipelines.run import run_day

        result = run_day(place, day, force_training=retrain, full_refresh=full_refresh, until=until, progress=progress)
    day_summary(home, result)


@app.command(epilog="Example: puntual validate ./micoop --as-of 2026-06-30")
def validate(
    home: HomeArgument,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Business date; today when left out.", metavar="DATE")
    ] = None,
) -> None:
    """Read and check the landing files only; say what would be rejected and why. Changes nothing but the report."""
    from puntual import clock
    from puntual.console import validation_summary, working
    from puntual.landing.load import validate_landing
    from puntual.settings import business_date, load_settings, quiet_environment

    place = Home(home.resolve())
    settings = load_settings(place)
    quiet_environment(place, threads=settings.runtime.threads)
    now = clock.today(settings.institution.timezone)
    day = business_date(as_of) if as_of else now
    with working("Checking the landing files"):
        report = validate_landing(
            place.root,
            settings.landing_path(place),
            as_of=day,
            received_on=max(day, now),
            timezone=settings.institution.timezone,
            max_rejected_share=settings.landing.max_rejected_share,
        )
    if not validation_summary(report):
        raise typer.Exit(1)


@app.command(epilog="Example: puntual export ./demo --what contacts --where \"customer_id = 'C000123'\" --format xlsx")
def export(
    home: HomeArgument,
    what: Annotated[str, typer.Option(help="What: kpis, loans, contacts, …; list says everything that is offered.")],
    format_: Annotated[str | None, typer.Option("--format", help="xlsx, csv or parquet; else as --out ends.")] = None,
    where: Annotated[
        str | None, typer.Option(help='One condition on the columns, as in SQL: "past_due_days > 30".')
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Which published day; the current one when left out.", metavar="DATE"),
    ] = None,
    columns: Annotated[str | None, typer.Option(help="Columns, separated by commas, in the order wanted.")] = None,
    delimiter: Annotated[str, typer.Option(help="Of a CSV: , or ;")] = ",",
    decimal_comma: Annotated[bool, typer.Option("--decimal-comma", help="CSV with decimal commas; needs ;")] = False,
    language: Annotated[str | None, typer.Option(help="Of the headings: es or en.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file; HOME/exports/DATE_WHAT.FORMAT when left out.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file when it is there.")] = False,
) -> None:
    """Write a table of a published day as XLSX, CSV or Parquet. The same export of the same day is the same file."""
    from puntual import clock
    from puntual.console import export_list, export_summary
    from puntual.exports.export import default_file, record, request_of, snapshot_of
    from puntual.exports.export import export as write
    from puntual.settings import business_date

    place = _existing(Home(home.resolve()))
    if what == "list":
        export_list(language)
        return
    request = request_of(what, format_, where, columns, language, delimiter, decimal_comma=decimal_comma, out=out)
    snapshot = snapshot_of(place.root, business_date(as_of) if as_of else None)
    file = out.resolve() if out else default_file(place.root, snapshot, request)
    written = write(snapshot, request, file, replace=force)
    record(place.root, snapshot, request, written, at=clock.now_utc())
    export_summary(request, snapshot, written)


@experiment_app.command(name="list", epilog="Example: puntual experiment list ./micoop")
def experiment_list(home: HomeArgument, language: SpokenLanguage = None) -> None:
    """Show the experiments of the home, where each stands today, and its arms."""
    from puntual import clock
    from puntual.console import say, table
    from puntual.experiments.registry import load_experiments
    from puntual.experiments.texts import TEXTS, list_rows
    from puntual.settings import load_settings

    place = _existing(Home(home.resolve()))
    settings = load_settings(place)
    spoken = _spoken(language, settings.institution.language)
    registered = load_experiments(place.experiments)
    if not registered:
        say(TEXTS[spoken]["none"].format(folder=place.experiments))
        return
    rows = list_rows(registered, clock.today(settings.institution.timezone), spoken)
    table("", TEXTS[spoken]["list_columns"].split("|"), rows)


@experiment_app.command(name="check", epilog="Example: puntual experiment check ./micoop")
def experiment_check(home: HomeArgument, language: SpokenLanguage = None) -> None:
    """Validate the files of the experiments, that none that had begun was changed; say which arms change nothing."""
    from puntual import clock
    from puntual.console import say
    from puntual.experiments.command import check, told_of_check
    from puntual.experiments.texts import TEXTS
    from puntual.settings import load_settings

    place = _existing(Home(home.resolve()))
    institution = load_settings(place).institution
    spoken = _spoken(language, institution.language)
    say(TEXTS[spoken]["valid"].format(count=check(place)))
    for line in told_of_check(place, "en" if spoken == "en" else "es", clock.today(institution.timezone)):
        say(line)


@experiment_app.command(name="report", epilog="Example: puntual experiment report ./micoop hold-out-2026")
def experiment_report(
    home: HomeArgument,
    name: Annotated[str, typer.Argument(help="Id of the experiment.", metavar="ID")],
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Which published day; the current one when left out.", metavar="DATE"),
    ] = None,
    language: SpokenLanguage = None,
) -> None:
    """Show what an experiment says on a published day: arms, sample ratio, difference, intervals, money."""
    from puntual.console import say, table
    from puntual.experiments.command import newest
    from puntual.experiments.texts import TEXTS, report_rows
    from puntual.settings import business_date, load_settings

    place = _existing(Home(home.resolve()))
    spoken = _spoken(language, load_settings(place).institution.language)
    snapshot_date, rows = newest(place, name, business_date(as_of) if as_of else None)
    if rows.empty:
        say(TEXTS[spoken]["not_begun"].format(name=name, date=snapshot_date))
        return
    heading, cells, lines = report_rows(rows, spoken)
    table(heading, cells[0], cells[1:])
    for line in lines:
        say(line)


@app.command(epilog="Example: puntual doctor ./demo")
def doctor(home: HomeArgument) -> None:
    """Check versions, settings, disk, warehouse and freshness; says what is wrong and what to do."""
    from puntual.console import doctor_table
    from puntual.doctor import examine

    if not doctor_table(examine(home)):
        raise typer.Exit(1)


@app.command(epilog="Example: puntual docs ./demo")
def docs(home: HomeArgument) -> None:
    """Write the documentation of the warehouse: every table and column, with lineage and tests, as one page."""
    from puntual.console import say, working
    from puntual.lock import exclusive
    from puntual.settings import load_settings, quiet_environment
    from puntual.warehouse import Warehouse

    place = _existing(Home(home.resolve()))
    settings = load_settings(place)
    quiet_environment(place, threads=settings.runtime.threads)
    with exclusive(place), working("Describing the warehouse"):
        from pipelines.dbt import Dbt

        runtime = settings.runtime
        warehouse = Warehouse.open(
            settings.warehouse.url, place.root, threads=runtime.threads, memory_limit_gb=runtime.memory_limit_gb
        )
        page = Dbt.of(place.root, settings, warehouse).document(place.root / "docs" / "warehouse.html")
    say(f"[bold]{page}[/bold] written; open it in a browser.")


@app.command(name="init-db", epilog="Example: puntual init-db ./micoop --admin-url postgresql://postgres@db1/micoop")
def init_db(
    home: HomeArgument,
    admin_url: Annotated[
        str | None,
        typer.Option(
            "--admin-url",
            help="Address of a superuser, or of a role with CREATEROLE that owns the database. No password in it: "
            "~/.pgpass or the variable PGPASSWORD.",
            metavar="URL",
        ),
    ] = None,
) -> None:
    """Prepare a PostgreSQL warehouse: roles, schemas, rights. A second run changes nothing. DuckDB does not need it."""
    from puntual.console import prompt_secret, say
    from puntual.settings import database_password, load_settings
    from puntual.warehouse import Warehouse
    from puntual.warehouse.roles import prepare_database

    place = Home(home.resolve())
    warehouse = Warehouse.open(load_settings(place).warehouse.url, place.root)
    if warehouse.kind == "duckdb":
        say("The warehouse is a DuckDB file: it needs no roles, and the first run makes it. Nothing to do.")
        return

    def password(login: str) -> str:
        return database_password() or prompt_secret(f"Password for the new login {login}")

    prepared = prepare_database(warehouse, admin_url=admin_url, password=password)
    for line in prepared.done or ["everything was in place"]:
        say(f"[green]✓[/green] {line}")
    for line in prepared.notes:
        say(f"[yellow]![/yellow] {line}")
    say("Who reads: docs/postgresql.md says how to give a login puntual_reader or puntual_bi, and its branches.")


@app.command(epilog="Example: puntual powerbi ./demo --source parquet")
def powerbi(
    home: HomeArgument,
    out: Annotated[Path | None, typer.Option(help="Folder of the project; HOME/powerbi when left out.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Where Power BI reads from: parquet or postgres; as the warehouse when left out.")
    ] = None,
    schemas: Annotated[
        Path | None, typer.Option(help="Folder with Microsoft's JSON schemas, to check every file against them.")
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            help="Folder of the Parquet files as Power BI sees it, as C:\\puntual\\bi; this machine's "
            "HOME/published/current/bi when left out."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files of the project that you changed or added; they are lost.")
    ] = False,
) -> None:
    """Write a Power BI project: semantic model, measures of the KPIs, roles, and a report of four pages."""
    from puntual.console import powerbi_summary, working
    from puntual.powerbi.command import write_home_project
    from puntual.settings import load_settings, quiet_environment

    if source not in {None, "parquet", "postgres"}:
        raise UsageError(f"--source {source}: must be parquet or postgres")
    place = _existing(Home(home.resolve()))
    settings = load_settings(place)
    quiet_environment(place, threads=settings.runtime.threads)
    with working("Writing the Power BI project"):
        written = write_home_project(
            place,
            settings,
            out=out,
            source=source,  # type: ignore[arg-type]
            schemas=schemas,
            folder=folder,
            force=force,
        )
    if not powerbi_summary(written):
        raise typer.Exit(1)


@app.command(epilog="Example: puntual dash ./demo --port 8501")
def dash(home: HomeArgument, port: Port = 8501) -> None:
    """Open the dashboards on what is published. Stop with Ctrl+C."""
    from puntual.console import say
    from puntual.paths import PROJECT_ROOT
    from puntual.settings import current_environment, quiet_environment

    place = _existing(Home(home.resolve()))
    quiet_environment(place)
    say(f"Dashboards of [bold]{home}[/bold]: http://127.0.0.1:{port}  (Ctrl+C stops)")
    command = ["-m", "streamlit", "run", str(PROJECT_ROOT / "dashboards" / "app.py"), "--server.port", str(port)]
    _become([sys.executable, *command], current_environment())


@app.command(name="dagster", epilog="Example: puntual dagster ./demo --port 3000")
def dagster_ui(home: HomeArgument, port: Port = 3000) -> None:
    """Open the Dagster UI, schedule and sensor included, on the same definitions. Stop with Ctrl+C."""
    from puntual.console import say
    from puntual.homes import prepare_dagster
    from puntual.settings import current_environment, load_settings, quiet_environment

    place = Home(home.resolve())
    load_settings(place)
    prepare_dagster(place)
    quiet_environment(place)
    say(f"Dagster on [bold]{home}[/bold]: http://127.0.0.1:{port}  (Ctrl+C stops)")
    command = ["-m", "dagster", "dev", "-m", "pipelines.definitions", "-h", "127.0.0.1", "-p", str(port)]
    _become([sys.executable, *command], current_environment())


def _spoken(asked: str | None, institution: Literal["es", "en"]) -> Literal["es", "en"]:
    if asked is None:
        return institution
    if asked not in {"es", "en"}:
        raise UsageError(f"--language {asked}: must be es or en")
    return "es" if asked == "es" else "en"


def _existing(place: Home) -> Home:
    if not place.settings_file.exists():
        raise UsageError(
            f"{place.root} is not a home: it has no puntual.yaml. Create one with: puntual init {place.root}"
        )
    return place


def _become(command: list[str], environment: dict[str, str]) -> None:
    """Run a server in this process's place: signals and the exit code are its own."""
    import os

    from puntual.paths import PROJECT_ROOT

    os.chdir(PROJECT_ROOT)
    os.execve(command[0], command, environment)  # noqa: S606 - our own interpreter


def main() -> None:
    """Entry point: a problem that a person can mend is one message and an exit code, not a traceback."""
    try:
        app()
    except PuntualError as error:
        from puntual.console import complain

        complain(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        from puntual.console import complain

        reason = error.strerror or str(error)
        place = f"{error.filename}: " if error.filename else ""
        complain(f"{place}{reason}. Check the path, its permissions and the free space, and run again.")
        sys.exit(1)


if __name__ == "__main__":
    main()
