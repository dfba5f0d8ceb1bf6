"""Wall time and peak memory by step: the demo's first day, the same day again, the next day, and 100 thousand members.

    make bench                      # both sizes
    python -m tests.bench --members 16500

Each run is a process of its own, as it is every morning; memory is the resident set of the whole process, sampled, and its
peak while each step ran. Figures are for the machine they were taken on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from datetime import date, timedelta
from pathlib import Path

AS_OF = date(2026, 6, 30)
SAMPLE_SECONDS = 0.05


def measure(home: Path, as_of: date) -> None:
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

    result = run_day(Home(home), as_of, progress=Watch())
    state["stop"] = True
    watcher.join()
    seconds |= result.seconds
    seconds["whole run"] = time.perf_counter() - begun
    peaks["whole run"] = max(peaks.values())
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_mb": peaks}) + "\n")


def day(home: Path, as_of: date) -> dict:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "tests.bench", "--measure", str(home), "--as-of", as_of.isoformat()]
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


def main() -> None:
    """Play the cooperatives and measure their days."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--homes", type=Path, default=Path("demo-bench"))
    parser.add_argument("--members", type=int, nargs="*", default=[16_500, 100_000])
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--as-of", type=date.fromisoformat, default=AS_OF)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.as_of)
        return
    for members in options.members:
        home = options.homes / str(members)
        shutil.rmtree(home, ignore_errors=True)
        begun = time.perf_counter()
        command = [sys.executable, "-m", "puntual.cli", "demo", str(home), "--members", str(members), "--seed", "7"]
        subprocess.run([*command, "--as-of", AS_OF.isoformat()], check=True, stdout=subprocess.DEVNULL)
        played = time.perf_counter() - begun
        runs = {
            "first day, with training": day(home, AS_OF),
            "same day again": day(home, AS_OF),
            "next day, nothing to train": day(home, AS_OF + timedelta(days=1)),
        }
        table(f"{members:,} members (played in {played:.1f} s)", runs)


if __name__ == "__main__":
    main()
