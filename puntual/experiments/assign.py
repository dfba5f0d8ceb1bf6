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

from puntual.experiments.registry import Experiment, ExperimentError, Registered
from puntual.paths import SEEDS

Floats = npt.NDArray[np.float64]

EXPOSURE_COLUMNS = ("as_of_date", "experiment_id", "customer_id", "arm_code", "entered_date")
ARM_COLUMNS = ("customer_id", "experiment_id", "arm_code", "policy", "ladder_probability", "hold_out_probability")
_PRECEDENCE = ("hold_out", "ladder", "puntual")


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

    1. A member of several experiments (of different layers) follows the one that asks most: a hold-out before a
       ladder before the product's decision; among equals the first by id. ``experiment_id`` and ``arm_code`` name it.
    2. ``hold_out_probability`` and ``ladder_probability``: over the draws of all of its experiments, which are
       independent, how likely the member was to end in that policy; what is left to 1 is the product's decision.
    """
    by_id: Mapping[str, Experiment] = {one.experiment.id: one.experiment for one in registered}
    if exposures.empty:
        return pd.DataFrame(columns=list(ARM_COLUMNS))
    frame = exposures[["customer_id", "experiment_id", "arm_code"]].copy()
    pairs = list(zip(frame["experiment_id"], frame["arm_code"], strict=True))
    frame["policy"] = [by_id[name].arm(code).policy for name, code in pairs]
    share = {
        name: {policy: sum(arm.share for arm in one.arms if arm.policy == policy) for policy in _PRECEDENCE}
        for name, one in by_id.items()
    }
    frame["not_held"] = [1.0 - share[name]["hold_out"] for name in frame["experiment_id"]]
    frame["product"] = [share[name]["puntual"] for name in frame["experiment_id"]]
    frame["order"] = frame["policy"].map({policy: place for place, policy in enumerate(_PRECEDENCE)})
    chance = frame.groupby("customer_id")[["not_held", "product"]].prod()
    frame = frame.sort_values(["customer_id", "order", "experiment_id"]).drop_duplicates("customer_id")
    mine = chance.reindex(frame["customer_id"])
    return frame.assign(
        hold_out_probability=1.0 - mine["not_held"].to_numpy(),
        ladder_probability=np.clip((mine["not_held"] - mine["product"]).to_numpy(), 0.0, 1.0),
    )[list(ARM_COLUMNS)].reset_index(drop=True)


def _segments() -> dict[str, tuple[float, float]]:
    """Past-due days of each segment, both ends included, as the warehouse's own seed has them."""
    seed = pd.read_csv(SEEDS / "segments.csv").sort_values("segment_rank")
    return {
        str(row.segment_code): (float(row.min_days), np.inf if pd.isna(row.max_days) else float(row.max_days))
        for row in seed.itertuples()
    }
