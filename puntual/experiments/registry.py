"""Experiments as data: validated YAML files of the institution, and what keeps a running one from being bent.

An experiment is a file ``experiments/<id>.yaml`` of the home. Which part of its layer it gets is worked out from all
files together and belongs to its fingerprint: from its first day on nothing of it may change but its end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from puntual.errors import UsageError
from puntual.experiments.changes import KEYS_OF, Changes
from puntual.settings import read_validated
from puntual.strict import Strict, Words

Policy = Literal["puntual", "ladder", "hold_out"]
Metric = Literal["paid_amount", "paid_any"]
Status = Literal["off", "planned", "enrolling", "following", "ended"]

CODE = r"^[a-z0-9][a-z0-9_-]{0,39}$"
_ROUNDING = 1e-9


class ExperimentError(UsageError):
    """An experiment's file is not valid, or it changed after its experiment had begun."""


class Arm(Strict):
    """One of the ways to treat a member: ``policy`` is what it does, ``share`` how many of the members get it.

    ``puntual``: the product's decision. ``ladder``: the written ladder by past-due days. ``hold_out``: no contact.
    ``changes``: what the arm does otherwise than that policy does today; None: nothing.
    """

    code: str = Field(pattern=CODE)
    share: float = Field(gt=0, lt=1)
    policy: Policy
    changes: Changes | None = None

    @model_validator(mode="after")
    def _fitting(self) -> Arm:
        known = KEYS_OF[self.policy]
        strange = [] if self.changes is None else [key for key in self.changes.written() if key not in known]
        if strange:
            may = f"it may change {', '.join(known)}" if known else "it changes nothing"
            raise ValueError(f"changes.{strange[0]} does not go with policy {self.policy}: {may}")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # an arm that changes nothing is written as before there were changes, and so is its fingerprint
        content: dict[str, Any] = handler(self)
        if self.changes is None:
            del content["changes"]
        return content


class Population(Strict):
    """Whom the experiment is about, on the day on which a member enters it; an empty list is no condition.

    Past-due days are those of the member's worst loan, branch and product those of the main loan.
    """

    min_past_due_days: int = Field(default=0, ge=0)
    max_past_due_days: int | None = None
    segments: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    products: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Population:
        if self.max_past_due_days is not None and self.max_past_due_days < self.min_past_due_days:
            raise ValueError("max_past_due_days is less than min_past_due_days")
        return self


class MetricSpec(Strict):
    """What is measured of each member over the ``window_days`` after the day on which it entered.

    ``paid_amount``: money paid, reversals taken off, never below 0. ``paid_any``: 1 if there was any, else 0.
    ``covariate_days`` before entering are the covariate: what the member had paid then.
    """

    name: Metric = "paid_amount"
    window_days: int = Field(default=28, ge=1, le=366)
    covariate_days: int = Field(default=91, ge=1, le=366)


class Experiment(Strict):
    """One experiment file.

    Members enter from ``start`` until ``window_days`` before ``end``, so that everyone's window lies within; arms hold
    until ``end``, both days included.
    """

    id: str = Field(pattern=CODE)
    title: Words
    enabled: bool = True
    unit: Literal["member"] = "member"
    layer: str = Field(default="main", pattern=CODE)
    traffic: float = Field(default=1.0, gt=0, le=1)
    salt: str = Field(min_length=1)
    arms: tuple[Arm, ...]
    control: str
    population: Population = Population()
    start: date
    end: date
    metric: MetricSpec = MetricSpec()
    minimum_days: int = Field(default=28, ge=1)
    alpha: float = Field(default=0.05, gt=0, le=0.2)
    expected_members: int = Field(default=2000, ge=100)

    @model_validator(mode="after")
    def _sound(self) -> Experiment:
        codes = [arm.code for arm in self.arms]
        if len(codes) < 2:
            raise ValueError("an experiment needs two arms at least")
        if len(set(codes)) != len(codes):
            raise ValueError("two arms have the same code")
        total = sum(arm.share for arm in self.arms)
        if abs(total - 1.0) > _ROUNDING:
            raise ValueError(f"the shares of the arms must sum to 1, not {total:g}")
        if self.control not in codes:
            raise ValueError(f"control {self.control!r} is none of the arms {', '.join(codes)}")
        if self.end < self.start:
            raise ValueError(f"end {self.end} is before start {self.start}")
        return self

    @property
    def last_entry(self) -> date:
        """The last day on which a member may enter."""
        return self.end - timedelta(days=self.metric.window_days)

    def arm(self, code: str) -> Arm:
        """The arm of that code."""
        return next(arm for arm in self.arms if arm.code == code)

    @property
    def changed_arms(self) -> tuple[Arm, ...]:
        """The arms that change something."""
        return tuple(arm for arm in self.arms if arm.changes is not None)

    def holds(self, day: date) -> bool:
        """Whether its arms hold on ``day``."""
        return self.enabled and self.start <= day <= self.end

    def status(self, day: date) -> Status:
        """Where it stands: off, planned, enrolling, following (nobody new enters, arms hold) or ended."""
        if not self.enabled:
            return "off"
        if day < self.start:
            return "planned"
        if day > self.end:
            return "ended"
        return "enrolling" if day <= self.last_entry else "following"


@dataclass(frozen=True)
class Registered:
    """An experiment with its place in its layer: it has the members whose layer number is in [slot_from, slot_to)."""

    experiment: Experiment
    slot_from: float
    slot_to: float
    file: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that may not change once it has begun: all but the end."""
        content = self.experiment.model_dump(mode="json", exclude={"end"})
        content |= {"slot": [round(self.slot_from, 9), round(self.slot_to, 9)]}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()


def load_experiments(folder: Path) -> tuple[Registered, ...]:
    """Every experiment of ``folder``, by id, with its place in its layer; none when there is no such folder.

    Raises:
        ExperimentError: a file is not valid (says file, line and key), or a layer has no room for all of its members'
            experiments of one time.
    """
    if not folder.is_dir():
        return ()
    files = sorted(file for file in folder.iterdir() if file.suffix in {".yaml", ".yml"})
    found, problems = [], []
    for file in files:
        try:
            found.append((_read(file), file))
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise ExperimentError("\n".join(problems))
    places = _places([experiment for experiment, _ in found])
    registered = [Registered(experiment, *places[experiment.id], file) for experiment, file in found]
    return tuple(sorted(registered, key=lambda one: one.experiment.id))


def as_decided(registered: Iterable[Registered], logged: pd.DataFrame, day: date) -> tuple[Registered, ...]:
    """The experiments as ``day`` is to be decided: one that was shortened since has the end that it had on the day.

    So a day that is decided again has those who entered on it. A day after the end of the file is of the stopped
    experiment, however it was decided before; an end that is later now holds for a day that is decided again too.

    Args:
        registered: what the files say.
        logged: rows of decisions.experiments of any date: as_of_date, experiment_id, end_date.
        day: the business date.
    """
    of_day = logged[(pd.to_datetime(logged["as_of_date"]).dt.date == day).to_numpy(dtype=bool)]
    held = dict(zip(of_day["experiment_id"], pd.to_datetime(of_day["end_date"]).dt.date, strict=True))

    def then(one: Registered) -> Registered:
        now = one.experiment
        end = held.get(now.id, now.end)
        return one if not day <= now.end < end else replace(one, experiment=now.model_copy(update={"end": end}))

    return tuple(then(one) for one in registered)


def check_unchanged(registered: Iterable[Registered], logged: pd.DataFrame, day: date) -> None:
    """Raise if an experiment of the log is not what it was when it began, or is gone before its end.

    One that is still to last must have room for the window of who enters. One that was stopped need not: its end lies
    before ``day``, or it was decided up to its end already and a day of before is decided again.

    Args:
        registered: what the files say, :func:`as_decided` on the day.
        logged: rows of decisions.experiments of any date: as_of_date, experiment_id, fingerprint, end_date. What an
            experiment was is told by those of dates before ``day``.
        day: the business date.

    Raises:
        ExperimentError: names the experiment and what to do.
    """
    by_id = {one.experiment.id: one for one in registered}
    dates = pd.to_datetime(logged["as_of_date"]).dt.date
    decided = dates.groupby(logged["experiment_id"]).max()
    for one in by_id.values():
        planned, window = one.experiment, one.experiment.metric.window_days
        was_stopped = planned.id in decided and decided[planned.id] >= planned.end
        if planned.last_entry < planned.start and planned.end >= day and not was_stopped:
            raise ExperimentError(
                f"{one.file}: end {planned.end} must be at least metric.window_days ({window}) days after start "
                f"{planned.start}: nobody's window would fit. (To stop it, set end to a day that has passed.)"
            )
    before = logged[(dates < day).to_numpy(dtype=bool)]
    for name, rows in before.sort_values("as_of_date").groupby("experiment_id", sort=True):
        last = rows.iloc[-1]
        begun, end = pd.Timestamp(rows.iloc[0]["as_of_date"]).date(), pd.Timestamp(last["end_date"]).date()
        now = by_id.get(str(name))
        if now is None or not now.experiment.enabled:
            if end >= day:
                raise ExperimentError(
                    f"The experiment {name} was running on {begun} and its file is gone or switched off. Put it "
                    "back; to stop it, set its end to a day that has passed."
                )
            continue
        if now.fingerprint != last["fingerprint"]:
            raise ExperimentError(
                f"{now.file}: the experiment {name} was running on {begun} and has been changed since. Only its "
                "end may change: take the change back, or end it on a day that has passed and begin one with a new "
                "id. (Another experiment that was put before it in its layer changes it too: give that one a layer "
                "of its own, or a later start.)"
            )
        if end < day <= now.experiment.end:
            raise ExperimentError(
                f"{now.file}: the experiment {name} ended on {end} and cannot be taken up again with end "
                f"{now.experiment.end}: its members were out of their arms. Begin another one with a new id."
            )


def log_frame(registered: Iterable[Registered], day: date) -> pd.DataFrame:
    """Rows of decisions.experiments of ``day``: one per experiment that has begun, the ended ones with their end."""
    rows = [
        (day, one.experiment.id, one.fingerprint, one.experiment.end, one.experiment.model_dump_json())
        for one in registered
        if one.experiment.enabled and one.experiment.start <= day
    ]
    return pd.DataFrame(rows, columns=["as_of_date", "experiment_id", "fingerprint", "end_date", "definition"])


def _read(file: Path) -> Experiment:
    experiment, _ = read_validated(file, Experiment, "an experiment, with 'id:' and so on")
    if experiment.id != file.stem:
        raise UsageError(f"{file}: the id {experiment.id} must be the name of the file")
    return experiment


def _places(experiments: Sequence[Experiment]) -> Mapping[str, tuple[float, float]]:
    """A part of its layer for each: in order of start and id the lowest that is free all the time that it lasts.

    Who begins later never moves who began before.
    """
    placed: dict[str, tuple[float, float]] = {}
    done: list[Experiment] = []
    for one in sorted(experiments, key=lambda each: (each.start, each.id)):
        if not one.enabled:
            placed[one.id] = (0.0, one.traffic)
            continue
        rivals = [other for other in done if other.layer == one.layer and one.start <= other.end]
        place = 0.0
        for low, high in sorted(placed[other.id] for other in rivals):
            if place + one.traffic <= low + _ROUNDING:
                break
            place = max(place, high)
        if place + one.traffic > 1.0 + _ROUNDING:
            names = ", ".join(f"{other.id} ({other.traffic:g})" for other in rivals)
            raise ExperimentError(
                f"The layer {one.layer} has no room for {one.id} ({one.traffic:g}): at the same time there "
                f"are {names}, and together they ask for more than 1. Lower a traffic, move a date, or take another "
                "layer."
            )
        placed[one.id] = (place, min(place + one.traffic, 1.0))
        done.append(one)
    return placed
