"""What starts a run outside its hour: files that arrived late or were corrected."""

import hashlib

import dagster as dg

from pipelines.jobs import daily_refresh
from puntual import clock
from puntual.paths import Home
from puntual.settings import Settings


def landing_state(place: Home, settings: Settings) -> str:
    """A short digest of names, sizes and times in the landing folder; changes when a file does."""
    folder = settings.landing_path(place)
    lines = [
        f"{path.relative_to(folder)} {path.stat().st_size} {path.stat().st_mtime_ns}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def landing_sensor(place: Home, settings: Settings) -> dg.SensorDefinition:
    """Runs today's date again when the landing folder has changed and has been quiet since the last look."""

    @dg.sensor(
        name="landing_files",
        job=daily_refresh,
        minimum_interval_seconds=120,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="New, late or corrected landing files.",
    )
    def landing_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        state = landing_state(place, settings)
        seen, _, done = (context.cursor or "||").partition("|")
        if state == done.strip("|"):
            return dg.SkipReason("nothing new in the landing folder")
        if state != seen:
            context.update_cursor(f"{state}|{done.strip('|')}")
            return dg.SkipReason("the landing folder is changing; waiting until it is quiet")
        day = clock.today(settings.institution.timezone).isoformat()
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=f"landing-{state}", partition_key=day)], cursor=f"{state}|{state}"
        )

    return landing_files
