"""A demo cooperative on disk: landing files in the source contract, and the truth beside them for judging."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from models.lab.book import OPEN
from models.lab.columns import keys
from models.lab.contacts import Records
from models.lab.faults import Faults, as_people_note
from models.lab.settings import CHANNELS, FAMILIES, WorldSettings, with_dials
from models.lab.simulate import simulate
from models.lab.tables import BALANCE_TRUTH, ROWS_AT_ONCE, each_table, row_counts
from models.lab.truth import habit_truth, loan_truth, member_truth
from puntual.errors import UsageError

log = logging.getLogger(__name__)

#: Small tables that people edit by hand arrive as CSV, the others as Parquet.
CSV_TABLES = frozenset({"collectors", "branches", "holidays"})


@dataclass(frozen=True)
class DemoSummary:
    """What was written, and the channel settings that fit this cooperative."""

    home: Path
    as_of: date
    seed: int
    row_counts: dict[str, int]
    open_loan_count: int
    eligible_customer_count: int
    channels: dict[str, dict[str, float | int]]  # cost, and daily_capacity of messages; people come from collectors

    def __str__(self) -> str:
        """One line for the person who asked for the demo."""
        rows = self.row_counts
        return (
            f"{rows['customers']:,} members, {rows['loans']:,} loans ({self.open_loan_count:,} open), "
            f"{rows['payments']:,} payments and {rows['interactions']:,} contacts before {self.as_of}; "
            f"{self.eligible_customer_count:,} members owe something today or within the week"
        )


def write_demo(
    home: Path, *, members: int, seed: int, as_of: date, settings: WorldSettings | None = None
) -> DemoSummary:
    """Simulate a cooperative and write ``landing/`` and ``truth/`` under ``home``: same arguments, same bytes.

    Files of the same names are replaced. The truth is one row per loan (``truth.parquet``) and per member
    (``truth_members.parquet``), the loans whose balance of the core was spoilt, with the cause
    (``truth_balances.parquet``), and how the habit would choose on the day (``truth_habit.parquet``); it is there to
    judge a finished run, never to feed one.

    Raises:
        ValueError: when ``members`` is below 30, which is too few for a book.
    """
    if members < 30:
        raise ValueError(f"members={members} is too few for a demo cooperative; use 30 or more")
    settings = settings or WorldSettings()
    history = simulate(members=members, seed=seed, as_of=as_of, settings=settings)
    landing, folder = home / "landing", home / "truth"
    landing.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    faults = Faults(row_counts(history), share=settings.error_share, seed=seed, last_day=history.last_day)
    written: dict[str, int] = {}
    for name, parts in each_table(history):
        if name == BALANCE_TRUTH:
            write_parts(parts, folder / f"{name}.parquet")
        elif name in CSV_TABLES:
            table = pa.concat_tables(parts)
            pa_csv.write_csv(table, landing / f"{name}.csv", pa_csv.WriteOptions(quoting_style="needed"))
            written[name] = len(table)
        else:
            rows = _with_faults(name, parts, faults)
            if name == "interactions":
                rows = _as_people_note(rows, settings, seed)
            written[name] = write_parts(rows, landing / f"{name}.parquet")
    # what was recorded is on disk: the truth needs the last state alone
    history.records = Records()
    loans = loan_truth(history)

    book, people = history.world.book, history.world.people
    loan_id = keys("L", np.arange(book.count) + 1)
    customer_id = keys("C", people.customer_number[book.member])
    truth = pa.Table.from_pandas(loans, preserve_index=False)
    truth = truth.add_column(0, "customer_id", customer_id).add_column(0, "loan_id", loan_id)
    per_member = member_truth(loans, pd.Series(customer_id.to_numpy(zero_copy_only=False)))
    write_parquet(truth.replace_schema_metadata(None), folder / "truth.parquet")
    write_parquet(
        pa.Table.from_pandas(per_member, preserve_index=False).replace_schema_metadata(None),
        folder / "truth_members.parquet",
    )
    habit = habit_truth(history)
    habit_customers = keys("C", people.customer_number[habit["member"].to_numpy()])
    habit_table = pa.Table.from_pandas(habit.drop(columns="member"), preserve_index=False)
    write_parquet(
        habit_table.add_column(0, "customer_id", habit_customers).replace_schema_metadata(None),
        folder / "truth_habit.parquet",
    )
    eligible = int(per_member["eligible"].sum())
    return DemoSummary(
        home=home,
        as_of=as_of,
        seed=seed,
        row_counts=written,
        open_loan_count=int((history.state.status == OPEN).sum()),
        eligible_customer_count=eligible,
        channels=suggested_channels(settings, eligible),
    )


def suggested_channels(settings: WorldSettings, eligible_customers: int) -> dict[str, dict[str, float | int]]:
    """Cost of every channel, and for messages a number a day that cannot reach everybody.

    >>> suggested_channels(WorldSettings(), 4000)["whatsapp"]
    {'cost': 0.06, 'daily_capacity': 600}
    >>> suggested_channels(WorldSettings(), 4000)["call"]
    {'cost': 0.45}
    """
    share = {"ivr": 0.08, "whatsapp": 0.15, "sms": 0.12, "email": 0.10}
    channels: dict[str, dict[str, float | int]] = {}
    for name in CHANNELS:
        channels[name] = {"cost": float(settings.cost[name])}
        if name in share:
            channels[name]["daily_capacity"] = max(10, round(share[name] * eligible_customers))
    return channels


def write_parquet(table: pa.Table, path: Path) -> None:
    """Parquet with fixed options, so that equal tables give equal bytes."""
    write_parts(iter([table]), path)


def write_parts(parts: Iterator[pa.Table], path: Path) -> int:
    """A table that comes in parts as one Parquet file, holding no more than two parts; returns its rows.

    Full groups of rows are written as they come, what is left over with the last.
    """
    held = next(parts)
    count = 0
    with pq.ParquetWriter(path, held.schema, compression="zstd", compression_level=1, store_schema=True) as writer:
        for part in parts:
            if len(held) >= ROWS_AT_ONCE:
                writer.write_table(held, ROWS_AT_ONCE)
                count += len(held)
                held = part
            else:
                held = pa.concat_tables([held, part])
        writer.write_table(held, ROWS_AT_ONCE)
    return count + len(held)


def _with_faults(name: str, parts: Iterator[pa.Table], faults: Faults) -> Iterator[pa.Table]:
    """The parts of a table, and after them its faulty rows."""
    start = 0
    for part in parts:
        faults.see(name, part, start)
        start += len(part)
        yield part
    yield from faults.rows(name)


def _as_people_note(parts: Iterator[pa.Table], settings: WorldSettings, seed: int) -> Iterator[pa.Table]:
    """The contacts without those that nobody wrote down."""
    start = 0
    for part in parts:
        yield as_people_note(
            part, lost_share=settings.lost_share, unnoted_share=settings.unnoted_share, seed=seed, start=start
        )
        start += len(part)


def main(arguments: Sequence[str] | None = None) -> None:
    """Developer entry: ``python -m models.lab.write HOME --members 16500 --seed 1 --as-of 2026-06-30``."""
    parser = argparse.ArgumentParser(description="Write a simulated cooperative and its truth.")
    parser.add_argument("home", type=Path)
    parser.add_argument("--members", type=int, default=16_500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as-of", type=date.fromisoformat, default=date(2026, 6, 30))
    parser.add_argument("--family", choices=sorted(FAMILIES), default="cooperative")
    parser.add_argument("--set", nargs="+", default=[], metavar="DIAL=VALUE", help="move dials of the family")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        settings = with_dials(FAMILIES[chosen.family], chosen.set)
    except UsageError as error:
        parser.error(str(error))
    summary = write_demo(chosen.home, members=chosen.members, seed=chosen.seed, as_of=chosen.as_of, settings=settings)
    for name, count in summary.row_counts.items():
        log.info("%-16s %12s", name, f"{count:,}")
    log.info("%s", summary)


if __name__ == "__main__":
    main()
