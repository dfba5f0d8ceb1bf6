"""How good was the day's choice? Its value by the truth, beside the best possible and beside simple rules.

Everything is compared on equal terms: the same members, the same permitted member-and-channel pairs, the same
capacities, at most one contact per member. Values are the true expected extra payments of the chosen contacts,
gross, and net of what the contacts cost.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linprog
from scipy.sparse import csr_array, vstack

from models.metrics import auc, brier, ece
from puntual.decision.capacity import CROSSING
from puntual.errors import ModelError, PuntualError, UsageError

#: The order in which a rule by amount fills the channels: the strongest first.
LADDER = ("visit", "call", "whatsapp", "sms", "ivr", "email")
#: Made by people with a daily capacity, the others are sent; a visit is made in the collector's own zone.
TEAM_CHANNELS = ("call", "visit")
ZONED_CHANNEL = "visit"
#: Columns of text that the widest table takes; a narrower terminal wraps its lines instead of losing digits.
_PRINTED_WIDTH = 124


@dataclass(frozen=True)
class Capacity:
    """How many contacts the named channels can take together on the day.

    Calls and visits are made by people: several such capacities over one channel are alternatives (another team), and a
    ``zone`` binds the visits of a team, not its calls. A message channel may have one capacity, or none: no limit.
    """

    name: str
    channels: tuple[str, ...]
    zone: str | None
    count: int


@dataclass(frozen=True)
class Pairs:
    """The permitted member-and-channel pairs, with what the truth says they bring. One entry per pair.

    A cell is a channel, for visits a channel in a zone. Every pair lies in one cell; ``serves`` says which capacities
    can take which cell (capacities x cells). A cell of a team channel that no capacity serves has no room; a message
    cell that no capacity serves is without limit.
    """

    customer_id: np.ndarray
    channel: np.ndarray
    member: np.ndarray  # position of the customer
    member_count: int
    gain: np.ndarray
    cost: np.ndarray
    arrears: np.ndarray
    cell: np.ndarray
    is_bound: np.ndarray  # per cell
    serves: np.ndarray
    limits: np.ndarray

    @property
    def net(self) -> np.ndarray:
        """Gain less cost."""
        return self.gain - self.cost


def capacities_from_prices(prices: pd.DataFrame) -> list[Capacity]:
    """Capacities out of a published ``prices`` frame: capacity name, channels as a JSON list, zone, capacity_count.

    Limits, bands of hours and budgets that cross them are left out: the contest knows the room of channels alone.
    """
    name = "capacity_name" if "capacity_name" in prices.columns else "capacity"
    found = []
    for row in prices.to_dict("records"):
        if str(row.get(name, "")).startswith(CROSSING):
            continue
        channels = row["channels"]
        listed = json.loads(channels) if isinstance(channels, str) else list(channels)
        zone = None if pd.isna(row["zone"]) else str(row["zone"])
        found.append(Capacity(str(row.get(name, "")), tuple(listed), zone, int(row["capacity_count"])))
    return found


def gains_by_member(truth: pd.DataFrame) -> pd.DataFrame:
    """True gain of every channel and arrears per member: sums over the member's loans. Index customer_id."""
    gains = [column for column in truth.columns if column.startswith("gain_")]
    return truth.groupby("customer_id", sort=True)[[*gains, "arrears"]].sum()


def make_pairs(
    details: pd.DataFrame,
    truth: pd.DataFrame,
    capacities: Sequence[Capacity],
    costs: Mapping[str, float] | None = None,
) -> Pairs:
    """The permitted pairs of ``details`` joined to the truth per loan (or per member).

    ``details`` has customer_id, channel_code, is_allowed and zone, and cost_amount unless ``costs`` gives the cost
    per channel. A member or channel that the truth does not know has gain 0.
    """
    allowed = details[details["is_allowed"].astype(bool)]
    allowed = allowed.sort_values(["customer_id", "channel_code"], kind="stable", ignore_index=True)
    members = gains_by_member(truth)
    customer = allowed["customer_id"].to_numpy(object)
    channel = allowed["channel_code"].to_numpy(object)
    names, member = np.unique(customer.astype(str), return_inverse=True)
    known = members.reindex(customer)
    gain = np.zeros(len(allowed))
    for code in np.unique(channel.astype(str)):
        if f"gain_{code}" in known.columns:
            here = channel == code
            gain[here] = known[f"gain_{code}"].to_numpy()[here]
    if costs is not None:
        cost = np.array([float(costs[code]) for code in channel])
    else:
        cost = allowed["cost_amount"].to_numpy(float)
    cell, is_bound, serves = _cells(allowed, channel, capacities)
    return Pairs(
        customer_id=customer,
        channel=channel,
        member=member,
        member_count=len(names),
        gain=np.nan_to_num(gain),
        cost=cost,
        arrears=np.nan_to_num(known["arrears"].to_numpy(float)),
        cell=cell,
        is_bound=is_bound,
        serves=serves,
        limits=np.array([capacity.count for capacity in capacities], float),
    )


def _cells(
    allowed: pd.DataFrame, channel: np.ndarray, capacities: Sequence[Capacity]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell of every pair, which cells need a capacity, and which capacity serves which cell."""
    zone = allowed["zone"].to_numpy(object) if "zone" in allowed.columns else np.full(len(allowed), None, object)
    place = [
        (str(code), str(where) if code == ZONED_CHANNEL and not pd.isna(where) else "")
        for code, where in zip(channel, zone, strict=True)
    ]
    names = sorted(set(place))
    position = {name: at for at, name in enumerate(names)}
    serves = np.zeros((len(capacities), len(names)), bool)
    for row, capacity in enumerate(capacities):
        for column, (code, where) in enumerate(names):
            here = code != ZONED_CHANNEL or capacity.zone is None or capacity.zone == where
            serves[row, column] = code in capacity.channels and here
    needs_team = np.array([code in TEAM_CHANNELS for code, _ in names], bool)
    return np.array([position[name] for name in place], int), needs_team | serves.any(axis=0), serves


def best_choice(pairs: Pairs, value: np.ndarray) -> tuple[np.ndarray, float]:
    """The pairs of the best plan for ``value`` and its total: a linear programme solved to optimality by HiGHS.

    Members and cells form a flow, so the solution is whole; a split pair would be left out of the plan.

    Raises:
        ModelError: HiGHS found no optimum.
    """
    worth = np.flatnonzero(value > 0)
    if not len(worth):
        return worth, 0.0
    capacity_of_arc, cell_of_arc = np.nonzero(pairs.serves)
    arcs, cells, capacities = len(cell_of_arc), pairs.serves.shape[1], len(pairs.limits)
    columns = np.arange(len(worth))
    ones = np.ones(len(worth))
    _, member = np.unique(pairs.member[worth], return_inverse=True)
    members = int(member.max()) + 1
    one_each = csr_array((ones, (member, columns)), shape=(members, len(worth) + arcs))
    bound = pairs.is_bound[pairs.cell[worth]]
    arc_columns = len(worth) + np.arange(arcs)
    # contacts of a cell are no more than what its capacities give it
    in_cell = csr_array(
        (
            np.concatenate([ones[bound], -np.ones(arcs)]),
            (np.concatenate([pairs.cell[worth][bound], cell_of_arc]), np.concatenate([columns[bound], arc_columns])),
        ),
        shape=(cells, len(worth) + arcs),
    )
    given = csr_array((np.ones(arcs), (capacity_of_arc, arc_columns)), shape=(capacities, len(worth) + arcs))
    limits = np.concatenate([np.ones(members), np.zeros(cells), pairs.limits])
    upper = np.concatenate([ones, np.full(arcs, np.inf)])
    solved = linprog(
        np.concatenate([-value[worth], np.zeros(arcs)]),
        A_ub=vstack([one_each, in_cell, given], format="csr"),
        b_ub=limits,
        bounds=np.stack([np.zeros_like(upper), upper], axis=1),
        method="highs",
    )
    if solved.status != 0:
        raise ModelError(f"the best possible plan was not found by HiGHS: {solved.message}")
    return worth[solved.x[: len(worth)] > 0.5], float(-solved.fun)


def fill_in_order(pairs: Pairs, order: np.ndarray) -> np.ndarray:
    """Take pairs in the given order while their member is free and a capacity has room, the least versatile first."""
    room = pairs.limits.copy()
    taken = np.zeros(pairs.member_count, bool)
    versatile = pairs.serves.sum(axis=1)
    by_cell = [
        rows[np.argsort(versatile[rows], kind="stable")] for rows in (np.flatnonzero(part) for part in pairs.serves.T)
    ]
    plan = []
    for pair in order:
        if taken[pairs.member[pair]]:
            continue
        cell = pairs.cell[pair]
        if pairs.is_bound[cell]:
            free = [row for row in by_cell[cell] if room[row] >= 1]
            if not free:
                continue
            room[free[0]] -= 1
        taken[pairs.member[pair]] = True
        plan.append(pair)
    return np.array(plan, int)


def largest_arrears_first(pairs: Pairs) -> np.ndarray:
    """Fill the strongest channel with the largest arrears, then the next channel with those left, and so on."""
    rank = {code: position for position, code in enumerate(LADDER)}
    step = np.array([rank.get(str(code), len(LADDER)) for code in pairs.channel])
    return fill_in_order(pairs, np.lexsort((pairs.member, -pairs.arrears, step)))


def judge(
    decisions: pd.DataFrame,
    details: pd.DataFrame | None,
    truth: pd.DataFrame,
    capacities: Sequence[Capacity],
    *,
    costs: Mapping[str, float] | None = None,
    response_score: pd.DataFrame | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Value of the chosen contacts and of the rules to beat, one row per chooser.

    Columns: chooser, contact_count, gross_amount, cost_amount, net_amount, share_of_best (net over the best net),
    claimed_amount (what the decisions themselves expect to gain, gross; only for the chosen). Without ``details`` the
    permitted pairs are all channels of the truth for every eligible decision, and ``costs`` must be given.
    ``response_score`` is a long frame customer_id, channel_code, score: a chooser maximises it in place of the gain.

    Raises:
        UsageError: when a chosen contact is not among the permitted pairs.
    """
    if details is None:
        details = _everything_allowed(decisions, truth)
    pairs = make_pairs(details, truth, capacities, costs)
    place = pd.Series(
        np.arange(len(pairs.channel)), index=pd.MultiIndex.from_arrays([pairs.customer_id, pairs.channel])
    )
    chosen = decisions[decisions["action"] != "none"]
    found = place.reindex(
        pd.MultiIndex.from_arrays([chosen["customer_id"].to_numpy(object), chosen["action"].to_numpy(object)])
    )
    if found.isna().any():
        missing = chosen[found.isna().to_numpy()].iloc[0]
        raise UsageError(
            f"{int(found.isna().sum())} chosen contacts are not permitted pairs, the first {missing['customer_id']} by "
            f"{missing['action']}: decisions and details are not of the same run"
        )
    plan = found.to_numpy(int)
    best, _ = best_choice(pairs, pairs.net)
    rng = np.random.default_rng(seed)
    plans: dict[str, np.ndarray] = {"best possible": best, "chosen": plan}
    if "is_exploration" in chosen.columns:
        plans["chosen, without exploration"] = plan[~chosen["is_exploration"].to_numpy(bool)]
    if response_score is not None:
        score = pd.Series(
            response_score["score"].to_numpy(float),
            index=pd.MultiIndex.from_frame(response_score[["customer_id", "channel_code"]]),
        ).reindex(place.index)
        plans["response score"], _ = best_choice(pairs, np.nan_to_num(score.to_numpy(float)))
    plans["largest arrears first"] = largest_arrears_first(pairs)
    plans["random"] = fill_in_order(pairs, rng.permutation(len(pairs.channel)))
    best_net = pairs.net[best].sum()
    rows = []
    for name, chosen_pairs in plans.items():
        net = pairs.net[chosen_pairs].sum()
        rows.append(
            {
                "chooser": name,
                "contact_count": len(chosen_pairs),
                "gross_amount": pairs.gain[chosen_pairs].sum(),
                "cost_amount": pairs.cost[chosen_pairs].sum(),
                "net_amount": net,
                "share_of_best": net / best_net if best_net > 0 else np.nan,
                "claimed_amount": chosen["expected_gain_amount"].astype(float).sum() if name == "chosen" else np.nan,
            }
        )
    return pd.DataFrame(rows)


def judge_default_risk(scores: pd.DataFrame, truth: pd.DataFrame, *, past_due_days: int = 90) -> pd.DataFrame:
    """Default probabilities against the drawn outcome and the true probability, on open loans below the threshold.

    One row for the model, one for the true probability, one for past-due days alone. Columns: score, loan_count, auc,
    brier, ece (ten equal-count bins), mean_probability, default_rate, mean_absolute_error (to the true probability).
    """
    active = truth["active"].astype(bool) if "active" in truth.columns else pd.Series(True, index=truth.index)
    rows = truth[active & (truth["dpd"] < past_due_days)][["loan_id", "dpd", "p_default", "default_label"]]
    joined = rows.merge(scores[["loan_id", "default_probability"]], on="loan_id", how="inner")
    label = joined["default_label"].to_numpy(float)
    exact = joined["p_default"].to_numpy(float)
    given = joined["default_probability"].to_numpy(float)
    lines = []
    for name, probability in (("model", given), ("true probability", exact)):
        lines.append(
            {
                "score": name,
                "loan_count": len(joined),
                "auc": auc(label, probability),
                "brier": brier(label, probability),
                "ece": ece(label, probability),
                "mean_probability": float(probability.mean()),
                "default_rate": float(label.mean()),
                "mean_absolute_error": float(np.abs(probability - exact).mean()),
            }
        )
    lines.append(
        {"score": "past-due days", "loan_count": len(joined), "auc": auc(label, joined["dpd"].to_numpy(float))}
    )
    return pd.DataFrame(lines)


def _everything_allowed(decisions: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    channels = [column.removeprefix("gain_") for column in truth.columns if column.startswith("gain_")]
    people = decisions.loc[decisions["eligible"].astype(bool), ["customer_id"]].drop_duplicates()
    return people.merge(pd.DataFrame({"channel_code": channels}), how="cross").assign(is_allowed=True, zone=None)


def judge_home(home: Path, truth_file: Path | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge the published day of an institution's home: the contacts, and the default risk.

    Raises:
        UsageError: when the home has no published snapshot or the truth is not there.
    """
    current = home / "published" / "current"
    truth_path = truth_file or home / "truth" / "truth.parquet"
    for needed in (current / "decisions.parquet", truth_path):
        if not needed.exists():
            raise UsageError(f"{needed} is not there; run the day on this home first, or give --truth FILE")
    truth = pd.read_parquet(truth_path)
    contacts = judge(
        pd.read_parquet(current / "decisions.parquet"),
        pd.read_parquet(current / "decision_details.parquet"),
        truth,
        capacities_from_prices(pd.read_parquet(current / "prices.parquet")),
    )
    risk = judge_default_risk(pd.read_parquet(current / "default_risk.parquet"), truth)
    return contacts, risk


def main(arguments: Sequence[str] | None = None) -> None:
    """Developer entry: ``python -m models.lab.judge HOME [--truth FILE]``."""
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description="Judge a published day by the truth of its world.")
    parser.add_argument("home", type=Path)
    parser.add_argument("--truth", type=Path, default=None)
    chosen = parser.parse_args(arguments)
    console = Console()
    console.width = max(console.width, _PRINTED_WIDTH)
    titles = ("Contacts chosen, by the truth", "Default risk, by the truth")
    try:
        frames = judge_home(chosen.home, chosen.truth)
    except PuntualError as error:
        console.print(f"[red]{error}[/red]")
        raise SystemExit(error.exit_code) from error
    for title, frame in zip(titles, frames, strict=True):
        table = Table(title=title)
        for position, column in enumerate(frame.columns):
            table.add_column(column.replace("_", " "), justify="left" if position == 0 else "right")
        for row in frame.itertuples(index=False):
            table.add_row(*[_shown(value, column) for value, column in zip(row, frame.columns, strict=True)])
        console.print(table)


def _shown(value: object, column: str) -> str:
    if isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]
    if np.isnan(number):
        return "–"
    if column.endswith("_count"):
        return f"{int(number):,}"
    return f"{number:,.2f}" if column.endswith("_amount") else f"{number:.4f}"


if __name__ == "__main__":
    main()
