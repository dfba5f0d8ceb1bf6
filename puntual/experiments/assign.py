"""Who takes part and in which arm: hashes of names, the same on every day and every machine.

A member enters on the first day on which it is to be decided about, belongs to the population and lies in the
experiment's part of its layer. From then on it stays in its arm until the experiment ends, whatever becomes of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.variants import CHANCE_COLUMNS, plan_code
from puntual.experiments.registry import Arm, Experiment, ExperimentError, Registered
from puntual.paths import SEEDS

Floats = npt.NDArray[np.float64]

EXPOSURE_COLUMNS = ("as_of_date", "experiment_id", "customer_id", "arm_code", "entered_date")
ARM_COLUMNS = ("customer_id", "experiment_id", "arm_code", "policy", "ladder_probability", "hold_out_probability")
_HOLD_OUT, _LADDER, _OTHER_LADDER, _CHANGED, _PRODUCT = range(5)
"""Which arm a member of several experiments follows: the first in this order."""


def draw(salt: str, customer_ids: Sequence[str] | pd.Series) -> Floats:
    """A number in [0, 1) for each member: the first 53 bits of SHA-256 of salt and member.

    Different salts give independent numbers; the same salt and member give the same one for ever.
    """
    numbers = [
        int.from_bytes(hashlib.sha256(f"{salt}|{member}".encode()).digest()[:8], "big") >> 11 for member in customer_ids
    ]
    return np.array(numbers, dtype=np.float64) / float(1 << 53)


def arm_of(experiment: Experiment, customer_ids: Sequence[str] | pd.Series) -> npt.NDArray[np.object_]:
    """Code of each member's arm: arms share out [0, 1) in their written order."""
    edges = np.cumsum([arm.share for arm in experiment.arms])[:-1]
    place = np.searchsorted(edges, draw(f"arm|{experiment.salt}", customer_ids), side="right")
    return np.array([arm.code for arm in experiment.arms], dtype=object)[place]


def in_slot(registered: Registered, customer_ids: Sequence[str] | pd.Series) -> npt.NDArray[np.bool_]:
    """Whether each member lies in the experiment's part of its layer."""
    number = draw(f"layer|{registered.experiment.layer}", customer_ids)
    return (number >= registered.slot_from) & (number < registered.slot_to)


def in_population(experiment: Experiment, features: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether each row of feat_customer__as_of belongs to the population on its date.

    Raises:
        ExperimentError: a segment that is not in reference.segments.
    """
    chosen = experiment.population
    days = features["past_due_days"].to_numpy(dtype=float)
    last = np.inf if chosen.max_past_due_days is None else chosen.max_past_due_days
    inside = (days >= chosen.min_past_due_days) & (days <= last)
    if chosen.segments:
        spans = _segments()
        unknown = sorted(set(chosen.segments) - set(spans))
        if unknown:
            raise ExperimentError(
                f"The experiment {experiment.id} names the segments {', '.join(unknown)}; there are {', '.join(spans)}."
            )
        inside &= np.logical_or.reduce([(days >= spans[one][0]) & (days <= spans[one][1]) for one in chosen.segments])
    for names, column in ((chosen.branches, "branch_id"), (chosen.products, "product_code")):
        if names:
            inside &= features[column].isin(names).to_numpy(dtype=bool)
    return inside


def expose(registered: Sequence[Registered], features: pd.DataFrame, entered: pd.DataFrame, day: date) -> pd.DataFrame:
    """Who takes part on ``day``: one row per experiment and eligible member, columns :data:`EXPOSURE_COLUMNS`.

    Args:
        registered: every experiment; only those whose arms hold on ``day`` count.
        features: feat_customer__as_of rows of ``day``.
        entered: experiment_id, customer_id, entered_date of who entered before ``day``.
        day: the business date.
    """
    eligible = features[features["is_eligible"].to_numpy(dtype=bool)].sort_values("customer_id")
    parts = []
    for one in registered:
        experiment = one.experiment
        if not experiment.holds(day):
            continue
        members = eligible["customer_id"].reset_index(drop=True)
        mine = entered[entered["experiment_id"] == experiment.id]
        before = {
            member: pd.Timestamp(when).date()
            for member, when in zip(mine["customer_id"], mine["entered_date"], strict=True)
        }
        is_in = members.isin(list(before)).to_numpy(dtype=bool)
        if day <= experiment.last_entry:
            is_in = is_in | (in_population(experiment, eligible) & in_slot(one, members))
        inside = members[is_in]
        parts.append(
            pd.DataFrame(
                {
                    "as_of_date": pd.Series([day] * len(inside), index=inside.index, dtype=object),
                    "experiment_id": experiment.id,
                    "customer_id": inside,
                    "arm_code": arm_of(experiment, inside),
                    "entered_date": [before.get(member, day) for member in inside],
                },
                columns=list(EXPOSURE_COLUMNS),
            )
        )
    if not parts:
        return pd.DataFrame(columns=list(EXPOSURE_COLUMNS), dtype=object)
    return pd.concat(parts, ignore_index=True).astype(object)


def arms(registered: Sequence[Registered], exposures: pd.DataFrame) -> pd.DataFrame:
    """What the experiments ask of the decision: one row per exposed member, columns :data:`ARM_COLUMNS`.

    1. A member of several experiments (of different layers) follows the one that comes first: a hold-out, today's
       written ladder, another ladder, the product with something changed, the product; among equals the first by id.
       ``experiment_id`` and ``arm_code`` name it.
    2. ``hold_out_probability`` and ``ladder_probability``: over the draws of all of its experiments, which are
       independent, how likely the member was to end in that policy; :func:`chances` has the plans that change
       something, and what is left to 1 is the product's decision.
    """
    by_id: Mapping[str, Experiment] = {one.experiment.id: one.experiment for one in registered}
    if exposures.empty:
        return pd.DataFrame(columns=list(ARM_COLUMNS))
    frame = exposures[["customer_id", "experiment_id", "arm_code"]].copy()
    pairs = list(zip(frame["experiment_id"], frame["arm_code"], strict=True))
    drawn = [by_id[name].arm(code) for name, code in pairs]
    frame["policy"] = [arm.policy for arm in drawn]
    frame["not_held"] = frame["experiment_id"].map({name: _beyond(one, _HOLD_OUT) for name, one in by_id.items()})
    frame["after_ladder"] = frame["experiment_id"].map({name: _beyond(one, _LADDER) for name, one in by_id.items()})
    frame["order"] = [_rank(arm) for arm in drawn]
    chance = frame.groupby("customer_id")[["not_held", "after_ladder"]].prod()
    frame = frame.sort_values(["customer_id", "order", "experiment_id"]).drop_duplicates("customer_id")
    mine = chance.reindex(frame["customer_id"])
    return frame.assign(
        hold_out_probability=1.0 - mine["not_held"].to_numpy(),
        ladder_probability=np.clip((mine["not_held"] - mine["after_ladder"]).to_numpy(), 0.0, 1.0),
    )[list(ARM_COLUMNS)].reset_index(drop=True)


def chances(registered: Sequence[Registered], exposures: pd.DataFrame) -> pd.DataFrame:
    """How likely the draws made each member follow each arm that changes something; columns of ``CHANCE_COLUMNS``.

    A member follows the arm if it was drawn, no arm of another of its experiments comes before it, and none that is
    alike is of an experiment before it by id. Experiments are drawn independently, so these probabilities multiply.
    """
    by_id = {one.experiment.id: one.experiment for one in registered}
    parts = []
    mine = exposures[["customer_id", "experiment_id"]]
    for name, experiment in sorted(by_id.items()):
        inside = mine.loc[mine["experiment_id"] == name, "customer_id"]
        rivals = mine[mine["customer_id"].isin(inside) & (mine["experiment_id"] != name)]
        for arm in experiment.changed_arms:
            rank = _rank(arm)
            leaves = {
                other: _beyond(one, rank if other < name else rank - 1) for other, one in by_id.items() if other != name
            }
            left = rivals["experiment_id"].map(leaves).groupby(rivals["customer_id"]).prod()
            probability = arm.share * left.reindex(inside).fillna(1.0).to_numpy(dtype=float)
            part = pd.DataFrame({"customer_id": inside.to_numpy(dtype=object), "probability": probability})
            parts.append(part.assign(plan_code=plan_code(name, arm.code))[list(CHANCE_COLUMNS)])
    if not parts:
        return pd.DataFrame(columns=list(CHANCE_COLUMNS), dtype=object)
    return pd.concat(parts, ignore_index=True)


def _rank(arm: Arm) -> int:
    if arm.policy == "hold_out":
        return _HOLD_OUT
    if arm.policy == "ladder":
        return _LADDER if arm.changes is None else _OTHER_LADDER
    return _PRODUCT if arm.changes is None else _CHANGED


def _beyond(experiment: Experiment, rank: int) -> float:
    """Probability that the experiment draws an arm that comes after all those of ``rank``."""
    if rank == _HOLD_OUT:
        return 1.0 - sum(arm.share for arm in experiment.arms if _rank(arm) == _HOLD_OUT)
    return sum(arm.share for arm in experiment.arms if _rank(arm) > rank)


def _segments() -> dict[str, tuple[float, float]]:
    """Past-due days of each segment, both ends included, as the warehouse's own seed has them."""
    seed = pd.read_csv(SEEDS / "segments.csv").sort_values("segment_rank")
    return {
        str(row.segment_code): (float(row.min_days), np.inf if pd.isna(row.max_days) else float(row.max_days))
        for row in seed.itertuples()
    }
