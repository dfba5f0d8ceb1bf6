"""The tables of the decision: one row per member, per member and channel, per capacity, and the figures of the run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.arms import LADDER
from puntual.decision.capacity import MONEY_UNITS, Capacity
from puntual.decision.explain import reasons, why_not
from puntual.decision.plan import Plan
from puntual.decision.policies import PolicySet, Told, as_json
from puntual.decision.scores import Scores
from puntual.errors import RuleError

DECISION_COLUMNS = (
    "as_of_date",
    "customer_id",
    "loan_id",
    "action",
    "eligible",
    "blocked_by",
    "window_start",
    "window_end",
    "collector_id",
    "rank",
    "arrears_amount",
    "past_due_days",
    "default_probability",
    "expected_gain_amount",
    "provision_avoided_amount",
    "fee_amount",
    "chargeable_fee_amount",
    "contact_cost_amount",
    "value_amount",
    "propensity",
    "is_exploration",
    "reason_codes",
    "experiment_id",
    "arm_code",
    "duties",
)
DETAIL_COLUMNS = (
    "as_of_date",
    "customer_id",
    "loan_id",
    "channel_code",
    "zone",
    "is_allowed",
    "blocked_by",
    "sources",
    "rule_numbers",
    "earliest_permitted_at",
    "is_never",
    "gain_amount",
    "provision_avoided_amount",
    "fee_amount",
    "chargeable_fee_amount",
    "cost_amount",
    "net_amount",
    "reach_probability",
    "is_supported",
    "price_amount",
    "greedy_action",
    "explore_probability",
    "is_chosen",
    "contact_point_id",
    "stay_amount",
    "hours_amount",
    "meets_duty",
)
PRICE_COLUMNS = (
    "as_of_date",
    "capacity_name",
    "channels",
    "zone",
    "team",
    "capacity_count",
    "used_count",
    "price_amount",
)

Floats = npt.NDArray[np.float64]


def decision_rows(
    people: pd.DataFrame,
    verdicts: pd.DataFrame,
    plan: Plan,
    scores: Scores,
    channels: list[str],
    assigned: pd.DataFrame,
    default_risk: pd.DataFrame | None,
    as_of: date,
) -> pd.DataFrame:
    """One row per member, by customer_id: :data:`DECISION_COLUMNS` but ``duties``, known once all is decided."""
    size, width = len(people), len(channels)
    chosen = plan.choice >= 0
    at = np.arange(size) * width + np.maximum(plan.choice, 0)
    missing_time = np.datetime64("NaT")
    start = verdicts["window_start"].to_numpy()[at] if size else np.zeros(0, dtype="datetime64[us]")
    end = verdicts["window_end"].to_numpy()[at] if size else np.zeros(0, dtype="datetime64[us]")
    action = np.where(chosen, np.array(channels, dtype=object)[plan.choice], "none")
    gain = np.where(chosen, scores.gain[np.arange(size), plan.choice], np.nan)
    risk = _risk_of(people, default_risk)
    worth = np.where(chosen, np.nan_to_num(scores.worth[np.arange(size), plan.choice]), np.nan)
    return pd.DataFrame(
        {
            "as_of_date": pd.Series([as_of] * size, dtype=object),
            "customer_id": people["customer_id"].astype(object),
            "loan_id": people["loan_id"].astype(object),
            "action": pd.Series(action, dtype=object),
            "eligible": np.ones(size, dtype=bool),
            "blocked_by": pd.Series(why_not(verdicts, plan, scores, width), dtype=object),
            "window_start": np.where(chosen, start, missing_time).astype("datetime64[us]"),
            "window_end": np.where(chosen, end, missing_time).astype("datetime64[us]"),
            "collector_id": assigned["collector_id"],
            "rank": _rank(people, action, assigned["collector_id"], worth, plan),
            "arrears_amount": people["arrears_amount"].astype("float64"),
            "past_due_days": people["past_due_days"].astype("int64"),
            "default_probability": risk["default_probability"],
            "expected_gain_amount": gain,
            "provision_avoided_amount": np.where(chosen, scores.provision[np.arange(size), plan.choice], np.nan),
            "fee_amount": np.where(chosen, scores.fee[np.arange(size), plan.choice], np.nan),
            "chargeable_fee_amount": np.where(chosen, scores.chargeable_fee[np.arange(size), plan.choice], np.nan),
            "contact_cost_amount": np.where(chosen, scores.cost[plan.choice], 0.0),
            "value_amount": np.where(chosen & scores.is_model, scores.worth[np.arange(size), plan.choice], np.nan),
            "propensity": plan.propensity,
            "is_exploration": plan.exploration.is_explored,
            "reason_codes": pd.Series(
                reasons(people, plan, scores, channels, assigned, risk["reason_codes"]), dtype=object
            ),
            "experiment_id": pd.Series(plan.arms.experiment_id, dtype=object),
            "arm_code": pd.Series(plan.arms.arm_code, dtype=object),
        },
        columns=[name for name in DECISION_COLUMNS if name != "duties"],
    )


def _risk_of(people: pd.DataFrame, default_risk: pd.DataFrame | None) -> pd.DataFrame:
    """Default probability and reason codes of each member's worst loan; of the main one if loans have no owner."""
    if default_risk is None:
        return pd.DataFrame({"default_probability": np.nan, "reason_codes": "[]"}, index=people.index)
    if default_risk["loan_id"].duplicated().any():
        raise RuleError("The default risk has a loan twice; give the rows of one as-of date only.")
    key = "customer_id" if "customer_id" in default_risk.columns else "loan_id"
    worst_first = default_risk.sort_values(["default_probability", "loan_id"], ascending=[False, True])
    found = worst_first.drop_duplicates(key).set_index(key).reindex(people[key])
    return pd.DataFrame(
        {
            "default_probability": found["default_probability"].to_numpy(dtype=float),
            "reason_codes": found["reason_codes"].fillna("[]").to_numpy(dtype=object),
        },
        index=people.index,
    )


def _rank(people: pd.DataFrame, action: npt.NDArray, collector: pd.Series, worth: Floats, plan: Plan) -> pd.Series:
    """Place in the collector's list, or in the channel's for messages: greatest net value first, then customer_id.

    On a day on which arms change something values of two plans are not of one measure. Each plan's contacts are ordered
    by themselves then, and the lists of a plan laid into one another evenly: whatever part of a list is worked, each
    plan has its part of that.
    """
    owner = collector.where(collector.notna(), "channel " + pd.Series(action, index=people.index).astype(str))
    order = pd.DataFrame({"owner": owner.astype(str), "worth": -worth, "customer_id": people["customer_id"]})
    listed = order[action != "none"].sort_values(["owner", "worth", "customer_id"])
    if plan.arms.is_changed:
        own = pd.Series(np.where(plan.minimums.must, 0, plan.arms.plan), index=people.index)
        of_plan = listed.groupby(["owner", own.reindex(listed.index)])["worth"]
        place = (of_plan.cumcount() + 0.5) / of_plan.transform("size")
        listed = listed.assign(place=place).sort_values(["owner", "place", "customer_id"])
    rank = pd.Series(pd.NA, index=people.index, dtype="Int64")
    rank.loc[listed.index] = listed.groupby("owner").cumcount().to_numpy() + 1
    return rank


def detail_rows(
    people: pd.DataFrame, verdicts: pd.DataFrame, plan: Plan, scores: Scores, channels: list[str], as_of: date
) -> pd.DataFrame:
    """One row per member and channel: :data:`DETAIL_COLUMNS`."""
    size, width = len(people), len(channels)
    channel = np.tile(np.arange(width), size)

    def each(values: npt.NDArray) -> npt.NDArray:
        return np.repeat(values, width)

    money = np.isfinite(plan.allocation.price_of_choice.reshape(-1)) & scores.is_model
    probability = plan.exploration.probability[:, :width]
    return pd.DataFrame(
        {
            "as_of_date": pd.Series([as_of] * (size * width), dtype=object),
            "customer_id": verdicts["customer_id"],
            "loan_id": each(people["loan_id"].to_numpy(dtype=object)),
            "channel_code": verdicts["channel_code"],
            "zone": each(people["zone"].to_numpy(dtype=object)),
            "is_allowed": verdicts["is_allowed"],
            "blocked_by": verdicts["blocked_by"],
            "sources": verdicts["sources"],
            "rule_numbers": verdicts["numbers"],
            "earliest_permitted_at": verdicts["earliest_permitted_at"],
            "is_never": verdicts["is_never"],
            "gain_amount": scores.gain.reshape(-1),
            "provision_avoided_amount": scores.provision.reshape(-1),
            "fee_amount": scores.fee.reshape(-1),
            "chargeable_fee_amount": scores.chargeable_fee.reshape(-1),
            "cost_amount": scores.cost[channel],
            "net_amount": scores.benefit.reshape(-1) - scores.cost[channel],
            "reach_probability": scores.reach.reshape(-1),
            "is_supported": scores.supported.reshape(-1) & scores.is_model,
            "price_amount": np.where(money, plan.allocation.price_of_choice.reshape(-1), np.nan),
            "greedy_action": each(plan.greedy) == channel,
            "explore_probability": probability.reshape(-1),
            "is_chosen": each(plan.choice) == channel,
            "contact_point_id": verdicts["contact_point_id"],
            "stay_amount": np.where(scores.is_model, plan.stability.stay.reshape(-1), np.nan),
            "hours_amount": np.where(scores.is_model, plan.stability.hours.reshape(-1), np.nan),
            "meets_duty": (plan.minimums.channels & plan.minimums.must[:, None]).reshape(-1),
        },
        columns=list(DETAIL_COLUMNS),
    )


def price_rows(
    offered: Sequence[Capacity], plan: Plan, scores: Scores, by_team: pd.DataFrame, as_of: date
) -> pd.DataFrame:
    """One row per capacity, of a pool one per team: :data:`PRICE_COLUMNS`; prices are NULL on the ladder.

    Teams of one pool can do the same contacts, so one more of either is worth the same; where the day has several
    teams each is named behind its pool (``collectors:call [north]``). Of a limit on people: what these were given.
    ``by_team``: :func:`puntual.decision.capacity.use_by_team`.
    """
    several = len(by_team["team"].unique()) > 1
    rows = []
    for position, capacity in enumerate(offered):
        unit = MONEY_UNITS if capacity.is_money else 1
        mine = by_team[by_team["pool"] == capacity.name] if capacity.kind == "pool" else by_team.iloc[:0]
        # of a budget: whole units of money, the price that of one more of them
        parts: list[tuple[str | None, int, int]] = [(None, capacity.count // unit, int(plan.used[position]) // unit)]
        if len(mine):
            parts = list(mine[["team", "capacity_count", "used_count"]].itertuples(index=False, name=None))
        if capacity.pools:
            used = int(by_team.loc[by_team["pool"].isin(capacity.pools), "used_count"].sum())
            is_team = capacity.name.startswith("team:")
            parts = [(capacity.name.removeprefix("team:") if is_team else None, capacity.count, used)]
        for team, count, used in parts:
            behind = several and team is not None and capacity.kind == "pool" and f"[{team}]" not in capacity.name
            rows.append(
                {
                    "as_of_date": as_of,
                    "capacity_name": f"{capacity.name} [{team}]" if behind else capacity.name,
                    "channels": as_json(capacity.channels),
                    "zone": capacity.zone,
                    "team": team,
                    "capacity_count": count,
                    "used_count": used,
                    "price_amount": float(plan.allocation.prices[position]) * unit if scores.is_model else np.nan,
                }
            )
    frame = pd.DataFrame(rows, columns=list(PRICE_COLUMNS))
    texts = dict.fromkeys(("capacity_name", "zone", "team", "channels"), object)
    return frame.astype({**texts, "capacity_count": "int64", "used_count": "int64", "price_amount": "float64"})


def summary_of(
    people: pd.DataFrame,
    plan: Plan,
    scores: Scores,
    channels: list[str],
    policies: PolicySet,
    team: pd.DataFrame,
    contacts: int,
    share: float,
    told: frozenset[Told] = frozenset(),
) -> dict[str, Any]:
    """Figures of the run; money is None on the ladder, whose order of precedence has no unit.

    ``planned_value_amount`` (net), ``dual_bound_amount`` and ``gap_rate`` are of the plan over the members who were not
    drawn for exploration nor into another arm, with the capacity left for them; every other figure counts all members.
    ``told``: optional columns of the source that are there, whose rules are enforced.
    """
    picked = np.arange(len(people)), plan.choice
    chosen = plan.choice >= 0
    explored = plan.exploration.is_explored
    gain = np.where(chosen, scores.gain[picked], 0.0) if len(people) else np.zeros(0)
    spent = float(np.where(chosen, scores.cost[plan.choice], 0.0).sum()) if len(people) else 0.0
    by_channel = {channel: int((plan.choice == position).sum()) for position, channel in enumerate(channels)}
    is_model = scores.is_model
    before = plan.stability.before
    kept = (before >= 0) & (plan.choice == before)
    # the head start of what was kept is part of what the plan compared, and no value
    rest = ~explored & ((~plan.arms.is_held & (plan.arms.plan == 0)) | plan.minimums.must) & chosen
    ahead = float(np.where(rest, plan.stability.head_start[picked], 0.0).sum()) if len(people) else 0.0

    def money(value: float) -> float | None:
        return round(float(value), 2) if is_model else None

    return {
        "value_basis": "channel_model" if is_model else "ladder",
        "value_note": None
        if is_model
        else "The channel model is off: channels follow the written ladder by past-due days; gains are not estimated.",
        "eligible_count": len(people),
        "contactable_count": int(plan.allowed.any(axis=1).sum()),
        "contact_count": contacts,
        "contacts_by_channel": by_channel,
        "expected_recovery_amount": money(np.nansum(gain)),
        "provision_avoided_amount": money(np.nansum(np.where(chosen, scores.provision[picked], 0.0))),
        "fee_amount": money(np.nansum(np.where(chosen, scores.fee[picked], 0.0))),
        "expected_cost_amount": round(spent, 2),
        "planned_value_amount": money(plan.allocation.value - ahead),
        "dual_bound_amount": money(plan.allocation.dual_bound - ahead),
        "kept_from_before_count": int(kept.sum()),
        "left_from_before_count": int(((before >= 0) & ~kept).sum()),
        **plan.minimums.summary(),
        "gap_rate": float(plan.allocation.gap) if is_model else None,
        "is_optimal": bool(plan.allocation.is_optimal),
        "exploration_share": share,
        "explored_count": int(explored.sum()),
        "explored_contact_count": int((explored & chosen).sum()),
        "exploration_expected_cost_amount": round(plan.exploration_cost, 2),
        "exploration_max_cost_amount": None if plan.exploration_most is None else round(plan.exploration_most, 2),
        "exploration_overflow_count": int(plan.is_overflow.sum()),
        "propensity_unknown_count": int(np.isnan(plan.propensity).sum()),
        "held_out_count": int(plan.arms.is_held.sum()),
        "ladder_arm_count": int(plan.arms.on_ladder.sum()),
        "collectors_at_work": len(team),
        "rule_readings": dict(sorted(policies.readings.items())),
        "rules_in_force": [entry.rule.id for entry in policies.rules],
        "rules_not_enforced": [entry.published() for entry in policies.not_judged(told)],
        "has_jurisdiction": policies.has_jurisdiction,
    }


def arms_summary(plan: Plan, offered: Sequence[Capacity]) -> dict[str, Any]:
    """What the summary says on a day on which an arm changes something; nothing on any other.

    ``changed_arms``: of each such arm its changes, its members and how many have a contact. ``idle_capacity``: what
    each plan (``product``, ``ladder``: today's, and the arms by their names) left of its part, by the capacity's name,
    before second contacts; in contacts, of a budget in whole units of money. What it used up is left out.
    """
    arms, chosen = plan.arms, plan.choice >= 0
    told: dict[str, Any] = {}
    for place, one in enumerate(arms.plans, start=1):
        if one is not None:
            mine = arms.plan == place
            told[one.code] = {
                "changes": one.changes,
                "member_count": int(mine.sum()),
                "contact_count": int((mine & chosen).sum()),
            }
    if not told:
        return {}
    names = ["product", *(LADDER if one is None else one.code for one in arms.plans)]
    idle = {
        name: {
            capacity.name: units
            for capacity, count in zip(offered, counts, strict=True)
            if (units := int(count) // (MONEY_UNITS if capacity.is_money else 1)) > 0
        }
        for name, counts in zip(names, plan.idle, strict=True)
    }
    return {"changed_arms": told, "idle_capacity": idle}
