"""What the commands of experiments read: the home's files, and what a published day says of them."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pyarrow.parquet as pq

from puntual.errors import UsageError
from puntual.experiments.registry import check_unchanged, load_experiments
from puntual.experiments.report import latest
from puntual.exports.export import snapshot_of
from puntual.paths import Home
from puntual.snapshot import Snapshot

TABLE = "rpt_experiments"


def check(place: Home) -> int:
    """Number of files, all of them valid, and as they were on the published day where they had begun by then.

    Raises:
        ExperimentError: a file is not valid, or changed after its experiment had begun.
    """
    registered = load_experiments(place.experiments)
    if place.current.exists():
        snapshot = Snapshot.current(place.root)
        logged = pd.DataFrame(
            [
                (snapshot.as_of_date, name, entry["fingerprint"], entry["end_date"])
                for name, entry in sorted(snapshot.manifest.get("experiments", {}).items())
            ],
            columns=["as_of_date", "experiment_id", "fingerprint", "end_date"],
        )
        check_unchanged(registered, logged, snapshot.as_of_date + timedelta(days=1))
    return len(registered)


def newest(place: Home, name: str, as_of: date | None) -> tuple[date, pd.DataFrame]:
    """The published day, and its rows of the experiment on the newest measured day: one per arm, the control last.

    Raises:
        UsageError: neither the home nor the published day knows the experiment.
        PublishError: nothing is published, or by a version without experiments.
    """
    snapshot = snapshot_of(place.root, as_of)
    frame = pq.read_table(snapshot.table_path(TABLE)).to_pandas()
    mine = frame[frame["experiment_id"] == name]
    known = {one.experiment.id for one in load_experiments(place.experiments)} | set(frame["experiment_id"])
    if name not in known:
        there = ", ".join(sorted(known)) or "none"
        raise UsageError(f"There is no experiment {name} in {place.experiments}. There are: {there}")
    return snapshot.as_of_date, latest(mine).sort_values(["is_control", "arm_code"]).reset_index(drop=True)
