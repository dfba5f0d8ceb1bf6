"""What the commands of experiments read: the home's files, and what a published day says of them."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from puntual.decision.policies import load_ladder
from puntual.errors import UsageError
from puntual.experiments.changes import FEE, LADDER, MODEL, PROVISION, alike
from puntual.experiments.registry import check_unchanged, load_experiments
from puntual.experiments.report import latest
from puntual.experiments.texts import TEXTS, Language
from puntual.exports.export import snapshot_of
from puntual.paths import POLICIES, Home
from puntual.settings import load_settings
from puntual.snapshot import Snapshot

TABLE = "rpt_experiments"
LOGGED = ["as_of_date", "experiment_id", "fingerprint", "end_date"]


def check(place: Home) -> int:
    """Number of files, all of them valid, and as they were on the published day where they had begun by then.

    Raises:
        ExperimentError: a file is not valid, or changed after its experiment had begun.
    """
    registered = load_experiments(place.experiments)
    if not place.current.exists():
        check_unchanged(registered, pd.DataFrame(columns=LOGGED), date.min)
    else:
        snapshot = Snapshot.current(place.root)
        logged = pd.DataFrame(
            [
                (snapshot.as_of_date, name, entry["fingerprint"], entry["end_date"])
                for name, entry in sorted(snapshot.manifest.get("experiments", {}).items())
            ],
            columns=LOGGED,
        )
        check_unchanged(registered, logged, snapshot.as_of_date + timedelta(days=1))
    return len(registered)


def told_of_check(place: Home, language: Language) -> list[str]:
    """A line for each arm that changes nothing today, for arms that do the same, and for a model that is not there.

    An A/A test is legitimate, and then it should be one by intention. Today's channel model is that of the published
    day, if there is one. Experiments that are switched off are looked at as well.

    Raises:
        UsageError: ``puntual.yaml`` is not valid.
        RuleError: the ladder is not valid.
    """
    decision = load_settings(place).decision
    today: dict[str, Any] = {
        PROVISION: decision.provision_weight,
        FEE: decision.collection_fee_weight,
        MODEL: None,
        LADDER: load_ladder(POLICIES, place.policies).model_dump(mode="json"),
    }
    if place.current.exists():
        today[MODEL] = Snapshot.current(place.root).manifest.get("model_versions", {}).get("contact_channel")
    say, lines = TEXTS[language], []
    for one in load_experiments(place.experiments):
        experiment, kinds = one.experiment, defaultdict(list)
        for arm in experiment.arms:
            kinds[arm.policy, alike(arm.changes, today)].append(arm.code)
            if arm.changes is None:
                continue
            named = {"name": experiment.id, "arm": arm.code}
            lines += [say["same_value"].format(**named, key=key) for key in arm.changes.same_as(today)]
            version, folder = arm.changes.channel_model, place.models / "contact_channel"
            if version is not None and not (folder / version / "manifest.json").exists():
                lines.append(say["no_model"].format(**named, version=version, folder=folder))
        same = [", ".join(codes) for codes in kinds.values() if len(codes) > 1]
        lines += [say["same_arms"].format(name=experiment.id, arms=arms) for arms in same]
    return lines


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
