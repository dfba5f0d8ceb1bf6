"""Seconds and peak memory of training and scoring a model at 100 thousand members and at a million loans.

    python -m tests.bench_models                                          # every model, both sizes
    python -m tests.bench_models --models default_risk --members 800000
    python -m tests.bench_models --home HOME                              # rows of a home that has trained

What the pipeline hands to a model are frames of features and labels. Here they come from a played cooperative of 4,000
members that was run as far as its models; members are then drawn from it, with all their rows, until there are as many as
a larger one has: for learning as many as the plan of a day samples, for scoring all. Building features is not in these
figures (``make bench`` has it), nor is writing scores to the warehouse. Every model and size is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

AS_OF = date(2026, 6, 30)
PLAYED_MEMBERS = 4000


@dataclass
class Clock:
    """Seconds by named part, in the order in which the parts ran: by the wall, and of processors.

    On a machine that does nothing else the first is what a person waits; on a shared one the second still means something.
    """

    wall: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds what the block takes to ``name``."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall
        self.processor[name] = self.processor.get(name, 0.0) + time.process_time() - processor


@dataclass(frozen=True)
class Model:
    """How a model is measured.

    ``key`` names a row of a date. ``read`` gives the frames of a home (``learn``, ``labels``, ``today``), all with
    as_of_date, the key and customer_id; ``sampled`` how many members' rows the plan of a day gives for learning from so
    many dates; ``run`` does what the pipeline does with the grown frames and tells the clock.
    """

    key: str
    read: Callable[[Any], dict[str, pd.DataFrame]]
    sampled: Callable[[Any, int], int]
    run: Callable[[dict[str, pd.DataFrame], Clock, date, Path], dict[str, Any]]


def drawn(
    frames: dict[str, pd.DataFrame], key: str, members: dict[str, int], population: int, seed: int = 7
) -> dict[str, pd.DataFrame]:
    """So many members' rows of every frame, drawn again and again; their identifiers are made their own.

    ``members``: how many by frame, out of a ``population`` some of whom have no row at all; a frame that is not in it
    stays as it is.
    """
    whole = {name: frame for name, frame in frames.items() if name not in members}
    frames = {name: frame for name, frame in frames.items() if name in members}
    everybody = np.sort(pd.unique(pd.concat([frame["customer_id"] for frame in frames.values()]).astype(object)))
    found = {}
    for name, frame in frames.items():
        chosen = np.random.default_rng(seed).choice(max(population, len(everybody)), members[name])
        place = pd.Index(everybody).get_indexer(frame["customer_id"].astype(object))
        order = np.argsort(place, kind="stable")
        count = np.bincount(place, minlength=max(population, len(everybody)))
        first, taken = np.cumsum(count) - count, count[chosen]
        copies = np.repeat(np.arange(len(chosen)), taken)
        within = np.arange(len(copies)) - np.repeat(np.cumsum(taken) - taken, taken)
        grown = frame.iloc[order[first[chosen][copies] + within]].reset_index(drop=True)
        suffix = pd.Series(copies.astype(str), dtype="str")
        for column in sorted({key, "customer_id"}):
            grown[column] = grown[column].astype("str") + "-" + suffix
        found[name] = grown.sort_values(["as_of_date", key], kind="stable", ignore_index=True)
    return found | whole


# --- default risk --------------------------------------------------------------------------------------------------


def _read_default_risk(day: Any) -> dict[str, pd.DataFrame]:
    from models.features import LOAN_FEATURES
    from pipelines.steps.champions import RISK_MODEL, champion
    from pipelines.steps.feature_rows import climate_of, feature_rows

    version = champion(day, RISK_MODEL).willingness_version
    with day.warehouse.connection():
        learn = feature_rows(day, LOAN_FEATURES, "is_risk_training", version)
        today = feature_rows(day, LOAN_FEATURES, "is_score", version)
        labels = day.warehouse.read_table("features.label_loan__default", order_by=["as_of_date", "loan_id"])
        climate = climate_of(day, version)
    members = learn[["as_of_date", "loan_id", "customer_id"]]
    labels = labels.merge(members, on=["as_of_date", "loan_id"])
    return {"learn": learn, "labels": labels, "today": today} | (
        {} if climate is None else {"climate": climate.to_rows()}
    )


def _run_default_risk(frames: dict[str, pd.DataFrame], clock: Clock, as_of: date, folder: Path) -> dict[str, Any]:
    from models.default_risk.score import DefaultRiskModel
    from models.default_risk.train import fit
    from models.registry import ModelRegistry
    from models.willingness.climate import Climate

    labels = frames["labels"].drop(columns="customer_id")
    climate = Climate.of_rows(frames["climate"]) if "climate" in frames else None
    with clock.part("train: both targets, calibrated"):
        fitted = fit(frames["learn"], labels, as_of=as_of, seed=0, climate=climate)
    with clock.part("score everybody"):
        fitted.model.probabilities(frames["today"], climate)
    with clock.part("reasons"):
        scores, _ = fitted.model.predict_with_reasons(frames["today"], climate)
    with clock.part("card, baselines, backtests"):
        model: DefaultRiskModel = fitted.with_card()
    with clock.part("registry"):
        ModelRegistry(folder).register(model.name, model)
    return {"learning rows": len(frames["learn"]), "scored loans": len(scores), "auc": model.card["metrics"]["default"]}


def _sampled_risk(settings: Any, dates: int) -> int:
    return -(-settings.default_risk.training_rows // dates)


# --- contact channel ------------------------------------------------------------------------------------------------


def _read_contact_channel(day: Any) -> dict[str, pd.DataFrame]:
    from models.features import CUSTOMER_FEATURES
    from pipelines.steps.champions import RISK_MODEL, champion
    from pipelines.steps.feature_rows import feature_rows

    # of the risk model: a small cooperative's channel model may not have been promoted
    version = champion(day, RISK_MODEL).willingness_version
    with day.warehouse.connection():
        learn = feature_rows(day, CUSTOMER_FEATURES, "is_channel_training", version)
        today = feature_rows(day, CUSTOMER_FEATURES, "is_score", version)
        labels = day.warehouse.read_table(
            "features.label_customer__contact_response", order_by=["as_of_date", "customer_id"]
        )
    return {"learn": learn, "labels": labels, "today": today}


def _run_contact_channel(frames: dict[str, pd.DataFrame], clock: Clock, as_of: date, folder: Path) -> dict[str, Any]:
    from models.contact_channel.train import ChannelModelOff, learning, with_card
    from models.registry import ModelRegistry

    channels = sorted(set(frames["labels"]["channel_code"]) - {"none"})
    with clock.part("train: rows encoded and binned"):
        given = learning(frames["learn"], frames["labels"], as_of=as_of, channels=channels)
    if isinstance(given, ChannelModelOff):
        sys.exit(f"The channel model is off on these rows: {given.reason}")
    with clock.part("judge: ten learners on held-out weeks, claims"):
        judged = given.judge()
    with clock.part("train: the model in force"):
        model = given.fit(judged)
    with clock.part("score everybody"):
        scores = model.predict(frames["today"], channels)
    with clock.part("card"):
        model = with_card(model, given, judged)
    with clock.part("registry"):
        ModelRegistry(folder).register(model.name, model)
    return {"learning rows": len(frames["learn"]), "scores": len(scores), "learner": model.card["learner"]}


def _sampled_channel(settings: Any, dates: int) -> int:
    return -(-settings.contact_channel.training_rows // dates)


MODELS: dict[str, Model] = {
    "contact_channel": Model("customer_id", _read_contact_channel, _sampled_channel, _run_contact_channel),
    "default_risk": Model("loan_id", _read_default_risk, _sampled_risk, _run_default_risk),
}

# --- running -------------------------------------------------------------------------------------------------------


def play(home: Path) -> Path:
    """A cooperative of 4,000 members, run as far as its models."""
    from models.lab.write import write_demo
    from pipelines.run import run_day
    from puntual.homes import create_home
    from puntual.settings import ChannelSettings

    if not (home / "puntual.yaml").exists():
        summary = write_demo(home, members=PLAYED_MEMBERS, seed=7, as_of=AS_OF)
        place = create_home(
            home,
            name="Cooperativa de medición",
            country="EC",
            timezone="America/Guayaquil",
            currency="USD",
            language="es",
            channels={name: ChannelSettings(**values) for name, values in summary.channels.items()},
        )
        run_day(place, AS_OF, until="models")
    return home


def measure(home: Path, as_of: date, name: str, members: int) -> dict[str, Any]:
    """One model at one size, in this process: seconds by part, peak memory, and what was learnt and scored."""
    import resource
    import tempfile

    from pipelines.day import Day

    model, day = MODELS[name], Day.of(home.resolve(), as_of, "bench")
    frames = model.read(day)
    learning = min(members, model.sampled(day.settings, frames["learn"]["as_of_date"].nunique()))
    sizes = {"learn": learning, "labels": learning, "today": members}
    population = int(day.warehouse.read("select count(*) as members from marts.dim_customers")["members"].iloc[0])
    frames = drawn(frames, model.key, sizes, population)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        found = model.run(frames, clock, as_of, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "model": name,
        "members": members,
        "seconds": clock.wall,
        "processor": clock.processor,
        "peak_mb": peak,
        "found": found,
    }


def main() -> None:
    """Measure the models that are asked for and print a table of each."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_models")
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=sorted(MODELS))
    parser.add_argument("--members", type=int, nargs="+", default=[100_000, 800_000])
    parser.add_argument(
        "--home", type=Path, help="a home that was run on --as-of and trained then; played if not given"
    )
    parser.add_argument("--as-of", type=date.fromisoformat, default=AS_OF)
    parser.add_argument("--measure", action="store_true", help="one model and size, in this process, as JSON")
    given = parser.parse_args()
    from puntual.settings import quiet_environment

    quiet_environment()
    if given.measure:
        result = measure(given.home, given.as_of, given.models[0], given.members[0])
        sys.stdout.write(json.dumps(result, default=str) + "\n")
        return
    home = given.home or play(Path("demo-bench") / "models")
    for name in given.models:
        runs = []
        for members in given.members:
            command = [sys.executable, "-m", "tests.bench_models", "--measure", "--models", name, "--home", str(home)]
            command += ["--members", str(members), "--as-of", given.as_of.isoformat()]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.exit(done.stdout + done.stderr)
            runs.append(json.loads(done.stdout.strip().splitlines()[-1]))
        _print(name, runs)


def _seconds(run: dict[str, Any], part: str) -> str:
    return f"{run['seconds'][part]:.1f} s ({run['processor'][part]:.1f} s of processors)"


def _print(name: str, runs: list[dict[str, Any]]) -> None:
    lines = [f"\n### {name}\n", "| | " + " | ".join(f"{run['members']:,} members" for run in runs) + " |"]
    lines.append("|---|" + "---:|" * len(runs))
    for part in runs[0]["seconds"]:
        lines.append(f"| {part} | " + " | ".join(_seconds(run, part) for run in runs) + " |")
    lines.append("| peak memory | " + " | ".join(f"{run['peak_mb'] / 1000:.1f} GB" for run in runs) + " |")
    for what in runs[0]["found"]:
        lines.append(f"| {what} | " + " | ".join(f"{run['found'][what]}" for run in runs) + " |")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
