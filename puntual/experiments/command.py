"""What the commands of experiments read: the home's files, and what a published day says of them."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from puntual.decision.change_keys import FEE, LADDER, MODEL, PROVISION
from puntual.decision.policies import load_ladder
from puntual.errors import UsageError
from puntual.experiments.changes import alike
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


def told_of_check(place: Home, language: Language, today: date) -> list[str]:
    """A line for each arm that changes nothing, for arms that do the same, and for what a day could not honour.

    An A/A test is legitimate, and then it should be one by intention. What holds today and whether there is a channel
    model is read off the published day, and experiments are looked at for the day after it; ``today`` where none is
    published. Those that are over are left out; one that is off or is still to begin is told of its start.

    Raises:
        UsageError: ``puntual.yaml`` is not valid.
        RuleError: the ladder is not valid.
    """
    decision = load_settings(place).decision
    holds: dict[str, Any] = {
        PROVISION: decision.provision_weight,
        FEE: decision.collection_fee_weight,
        MODEL: None,
        LADDER: load_ladder(POLICIES, place.policies).model_dump(mode="json"),
    }
    is_off = False
    if place.current.exists():
        snapshot = Snapshot.current(place.root)
        versions, today = snapshot.manifest.get("model_versions"), snapshot.as_of_date + timedelta(days=1)
        if versions is not None:
            holds[MODEL] = versions.get("contact_channel")
            is_off = not holds[MODEL]
    say, lines = TEXTS[language], []
    for one in load_experiments(place.experiments):
        experiment, kinds = one.experiment, defaultdict(list)
        if today > experiment.end:
            continue
        runs = experiment.holds(today)
        then = say["no_run"] if runs else say["no_run_from"].format(start=max(experiment.start, today))
        for arm in experiment.arms:
            # without a channel model the product is the ladder
            policy = "ladder" if is_off and arm.policy == "puntual" and arm.changes is None else arm.policy
            kinds[policy, alike(arm.changes, holds)].append(arm)
            if arm.changes is None:
                continue
            named = {"name": experiment.id, "arm": arm.code, "then": then}
            lines += [say["same_value"].format(**named, key=key) for key in arm.changes.same_as(holds)]
            version, folder = arm.changes.channel_model, place.models / "contact_channel"
            if version is not None and not (folder / version / "manifest.json").exists():
                lines.append(say["no_model"].format(**named, version=version, folder=folder))
            if is_off and arm.policy == "puntual":
                lines.append(say["model_off"].format(**named, key=next(iter(arm.changes.written()))))
        for same in kinds.values():
            if len(same) < 2:
                continue
            key = "same_arms" if len(same) == len(experiment.arms) else "same_some"
            text = say[key].format(name=experiment.id, arms=", ".join(arm.code for arm in same))
            lines.append(text if len({arm.policy for arm in same}) == 1 else say["same_off"].format(text=text))
        has_plans = any(arm.policy == "ladder" or arm.changes is not None for arm in experiment.arms)
        if decision.daily_budget is not None and has_plans:
            lines.append(say["budget"].format(name=experiment.id))
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
