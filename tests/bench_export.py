"""Time and peak memory of exporting a million contacts as CSV, XLSX and Parquet.

    python -m tests.bench_export                     # a million rows, all formats
    python -m tests.bench_export --rows 100000 --formats csv

Each format is written by a process of its own; memory is the resident set of that process, sampled, at its peak.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path

import duckdb

AS_OF = date(2026, 6, 30)
SAMPLE_SECONDS = 0.02


def write_snapshot(home: Path, rows: int) -> Path:
    """A snapshot whose only table is ``rows`` contacts, in the order of their keys and not of the export's."""
    folder = home / "published" / f"{AS_OF}_bench"
    (folder / "bi").mkdir(parents=True)
    manifest = {"as_of_date": AS_OF.isoformat(), "run_id": "bench", "institution": {"name": "Bench", "language": "es"}}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "files": {}}), encoding="utf-8")
    (home / "published" / "current").symlink_to(folder.name)
    (home / "puntual.yaml").write_text("institution: {}\n", encoding="utf-8")
    file = folder / "bi" / "rpt_contacts.parquet"
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        connection.execute(
            f"""
            copy (
                select 'I' || lpad(cast(i as varchar), 9, '0') as interaction_id,
                    'C' || lpad(cast(h % 100000 as varchar), 8, '0') as customer_id,
                    'L' || lpad(cast((h + 1) % 120000 as varchar), 8, '0') as loan_id,
                    timestamp '2024-07-01' + to_seconds(cast((h * 7) % 63000000 as bigint)) as occurred_at,
                    date '2024-07-01' + cast((h * 7) % 729 as integer) as occurred_date,
                    cast((h * 7) % 24 as bigint) as occurred_hour,
                    ['call', 'sms', 'whatsapp', 'email'][h % 4 + 1] as channel_code,
                    'outbound' as direction_code, ['no_answer', 'answered', '=odd', 'read'][h % 4 + 1] as outcome_code,
                    h % 2 = 0 as is_attempt, h % 3 = 0 as is_contact, h % 5 = 0 as is_right_party,
                    case when h % 2 = 0 then '0' || cast(h % 40 as varchar) end as collector_id,
                    'CAMP-' || cast(h % 300 as varchar) as campaign_id,
                    cast(h % 1000 / 100.0 - 2 as decimal(18, 2)) as cost_amount,
                    h % 1000 / 1000.0 :: double as propensity
                from (select i, cast(hash(i) % 1000000007 as bigint) as h from range({rows}) as numbers(i))
            ) to '{file}' (format parquet, compression zstd)
            """
        )
    return folder


def measure(home: Path, what: str, format_: str, out: Path) -> dict:
    """Export in this process: rows, seconds, peak MB of the whole process and of what came on top of its start."""
    import psutil

    from puntual.exports.export import Request, export
    from puntual.snapshot import Snapshot

    process = psutil.Process()
    state = {"stop": False, "peak": 0}

    def sample() -> None:
        while not state["stop"]:
            state["peak"] = max(state["peak"], process.memory_info().rss)
            time.sleep(SAMPLE_SECONDS)

    start = process.memory_info().rss
    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    begun = time.perf_counter()
    written = export(Snapshot.current(home), Request(what, format_), out, replace=True)
    seconds = time.perf_counter() - begun
    state["stop"] = True
    watcher.join()
    return {"rows": written.rows, "seconds": seconds, "peak_mb": state["peak"] / 1e6, "start_mb": start / 1e6,
            "file_mb": out.stat().st_size / 1e6}  # fmt: skip


def measured(home: Path, format_: str, out: Path) -> dict:
    """The same in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "tests.bench_export",
        "--measure",
        str(home),
        "--formats",
        format_,
        "--out",
        str(out),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Write the rows and measure each format."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="*", default=["csv", "xlsx", "parquet"])
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.measure:
        sys.stdout.write(json.dumps(measure(options.measure, "contacts", options.formats[0], options.out)) + "\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_snapshot(home, options.rows)
        sys.stdout.write("| format | rows | seconds | peak MB | before MB | file MB |\n|---|---|---|---|---|---|\n")
        for format_ in options.formats:
            one = measured(home, format_, home / f"contacts.{format_}")
            sys.stdout.write(
                f"| {format_} | {one['rows']:,} | {one['seconds']:.1f} | {one['peak_mb']:,.0f} | {one['start_mb']:,.0f} "
                f"| {one['file_mb']:,.1f} |\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
