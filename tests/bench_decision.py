"""Wall time and peak memory of the parts of a decision at growing sizes.

    python -m tests.bench_decision                                           # every part, three sizes
    python -m tests.bench_decision --only rules --members 20000 100000 1000000

Every part and size runs in a process of its own; memory is the peak resident set of that process, and what the part adds
to it beside its inputs. A part is a function of the number of members that builds its inputs and returns the work to be
timed and a line to show: add it to ``PARTS``.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from puntual.decision.capacity import Capacity, Cell, budget
from tests import bench_field

AS_OF = date(2026, 6, 30)
CONTACTS_A_MEMBER = 50
SIZES = (20_000, 100_000, 1_000_000)
ALLOCATION_COSTS = {
    "call": 0.45,
    "ivr": 0.04,
    "whatsapp": 0.06,
    "sms": 0.03,
    "email": 0.004,
    "visit": 4.5,
    "letter": 1.2,
    "web_chat": 0.45,
}

Work = Callable[[], str]
"""What is timed; returns a line about what came out."""


def _pick(random: np.random.Generator, values: list[object], size: int, p: list[float] | None = None) -> pd.Categorical:
    return pd.Categorical.from_codes(random.choice(len(values), size, p=p).astype(np.int8), categories=values)


def rules_world(members: int, seed: int = 7) -> dict[str, pd.DataFrame]:
    """Members with two contact points and fifty contacts of two years each: the arguments of ``evaluate``."""
    random = np.random.default_rng(seed)
    names = [f"c{number:07d}" for number in range(members)]
    people = pd.DataFrame(
        {
            "customer_id": names,
            "customer_status_code": _pick(random, ["active", "hardship", "dispute"], members, [0.95, 0.03, 0.02]),
            "timezone": pd.Series(None, index=range(members), dtype=object),
            "province": _pick(random, ["Loja", "Azuay", "Manabí"], members),
            "collectable_amount": random.gamma(1.5, 80, members).round(2),
            "loan_id": names,
            "past_due_days": random.integers(0, 120, members),
            "birth_date": pd.Timestamp("1980-01-01"),
        }
    )
    owner = pd.Categorical.from_codes(np.repeat(np.arange(members, dtype=np.int32), 2), categories=names)
    kind = pd.Categorical.from_codes(
        np.tile(np.array([0, 1], dtype=np.int8), members), categories=["mobile", "address"]
    )
    points = pd.DataFrame(
        {
            "contact_point_id": np.arange(2 * members).astype(str),
            "customer_id": owner,
            "kind_code": kind,
            "has_whatsapp": random.random(2 * members) < 0.8,
            "is_valid": random.random(2 * members) < 0.97,
            "has_consent": random.random(2 * members) < 0.95,
            "opted_out_at": pd.Series(pd.NaT, index=range(2 * members), dtype="datetime64[us]"),
            "updated_at": pd.Series(pd.NaT, index=range(2 * members), dtype="datetime64[us]"),
        }
    )
    count = members * CONTACTS_A_MEMBER
    minutes = random.integers(0, 730 * 24 * 60, count, dtype=np.int32)
    who = random.integers(0, members, count, dtype=np.int32)
    happened = pd.DataFrame(
        {
            "customer_id": pd.Categorical.from_codes(who, categories=names),
            "occurred_at": np.datetime64(AS_OF, "us") - minutes.astype("timedelta64[m]").astype("timedelta64[us]"),
            "channel_code": _pick(random, ["call", "whatsapp", "sms", "visit", "email", "ivr"], count),
            "direction_code": _pick(random, ["outbound", "inbound"], count, [0.9, 0.1]),
            "outcome_code": _pick(
                random, ["no_answer", "sent", "right_party", "complaint"], count, [0.5, 0.3, 0.19, 0.01]
            ),
        }
    )
    happened["is_right_party"] = happened["outcome_code"].eq("right_party")
    promised = pd.DataFrame(
        {
            "customer_id": random.choice(names, members // 20),
            "due_date": pd.Timestamp(AS_OF) + pd.to_timedelta(random.integers(-10, 10, members // 20), unit="D"),
            "promise_status_code": "open",
        }
    )
    paid = pd.DataFrame(
        {
            "payment_id": np.arange(members // 2),
            "customer_id": random.choice(names, members // 2),
            "paid_date": pd.Timestamp(AS_OF) - pd.to_timedelta(random.integers(0, 60, members // 2), unit="D"),
            "is_reversal": False,
            "reverses_payment_id": None,
        }
    )
    return {
        "customers": people,
        "contact_points": points,
        "interactions": happened,
        "promises": promised,
        "payments": paid,
    }


def rules(members: int) -> Work:
    """The contact rules of Ecuador for every member and eight channels, with fifty past contacts a member."""
    from puntual.decision.holiday_calendar import shipped_holidays
    from puntual.decision.policies import CHANNELS, load_policies
    from puntual.decision.rules import evaluate
    from puntual.paths import POLICIES, SEEDS

    world = rules_world(members)
    policies = load_policies(POLICIES, None, "EC", AS_OF)
    holidays = shipped_holidays(SEEDS, "EC")

    def work() -> str:
        found = evaluate(
            **world,
            policies=policies,
            holidays=holidays,
            as_of=AS_OF,
            timezone="America/Guayaquil",
            channels=list(CHANNELS),
        )
        share = found["is_allowed"].mean()
        return f"{len(found):,} verdicts, {len(world['interactions']):,} contacts, {share:.0%} allowed"

    return work


def _capacities(members: int) -> list[Capacity]:
    """50 capacities: a pool of callers, visitors and people of both skills by zone, messages alone and together."""
    few = max(1, members // 4000)
    zones = [f"z{zone}" for zone in range(20)]
    return [
        Capacity("call", (Cell("call"),), members // 25, "pool"),
        *(Capacity(f"visit {zone}", (Cell("visit", zone),), few, "pool") for zone in zones),
        *(Capacity(f"both {zone}", (Cell("call"), Cell("visit", zone)), few, "pool") for zone in zones),
        *(Capacity(name, (Cell(name),), members // 10) for name in ALLOCATION_COSTS if name not in {"call", "visit"}),
        Capacity("chat", (Cell("whatsapp"), Cell("sms")), members // 8),
        Capacity("messages", (Cell("whatsapp"), Cell("sms"), Cell("email")), members // 6),
        Capacity("written", (Cell("letter"), Cell("web_chat")), members // 8),
    ]


def _allocation(members: int, limits: list[Capacity]) -> Work:
    from puntual.decision.allocate import allocate

    random = np.random.default_rng(5)
    value = random.gamma(0.5, 8.0, (members, len(ALLOCATION_COSTS))) - 1
    allowed = random.random(value.shape) < 0.8
    zones = random.choice([f"z{zone}" for zone in range(20)], members).astype(object)

    def work() -> str:
        found = allocate(value, allowed, limits, channels=list(ALLOCATION_COSTS), zones=zones)
        proof = "proven best" if found.is_optimal else "not proven"
        return f"{len(limits)} capacities, {(found.choice >= 0).sum():,} contacts, gap {found.gap:.1e}, {proof}"

    return work


def allocation(members: int) -> Work:
    """The allocation over eight channels and 50 capacities that are a network."""
    return _allocation(members, _capacities(members))


def allocation_teams(members: int) -> Work:
    """The same 50 capacities with the people of each zone in one of five teams, each at two thirds of what they can."""
    return _allocation(members, _in_teams(_capacities(members), crossing=False))


def allocation_crossing(members: int) -> Work:
    """The same with the shares of two owners across the teams: no network."""
    return _allocation(members, _in_teams(_capacities(members), crossing=True))


def _in_teams(offered: list[Capacity], *, crossing: bool) -> list[Capacity]:
    pools = []
    for number, one in enumerate(one for one in offered if one.kind == "pool"):
        if one.name == "call":
            pools += [replace(one, name=f"call [{team}]", count=one.count // 5) for team in range(5)]
        else:
            pools.append(replace(one, name=f"{one.name} [{number % 5}]"))

    def limit(name: str, mine: list[Capacity], part: float) -> Capacity:
        cells = dict.fromkeys(cell for one in mine for cell in one.cells)
        count = int(part * sum(one.count for one in mine))
        return Capacity(name, tuple(cells), count, pools=tuple(one.name for one in mine))

    limits = [limit(f"team:{team}", [one for one in pools if f"[{team}]" in one.name], 2 / 3) for team in range(5)]
    if crossing:
        limits += [limit(f"share:{half}", pools[half::2], 0.5) for half in range(2)]
    return [*pools, *limits, *(one for one in offered if one.kind != "pool")]


def allocation_budget(members: int) -> Work:
    """The same with a budget in money that binds: no network."""
    return _allocation(members, [*_capacities(members), budget("budget", 0.1 * members, ALLOCATION_COSTS)])


def allocation_bands(members: int) -> Work:
    """The same with four bands of hours of calls and two of WhatsApp among the capacities: 12 actions, 56 capacities.

    Members are permitted most bands and reached differently in each.
    """
    from puntual.decision.allocate import allocate

    random = np.random.default_rng(5)
    bands = {"call": [0.015, 0.02, 0.02, 0.008], "whatsapp": [0.04, 0.03]}
    columns = [(name, band) for name in ALLOCATION_COSTS for band in range(len(bands.get(name, [0])))]
    channel = [list(ALLOCATION_COSTS).index(name) for name, _ in columns]
    names = [f"{name}@{band}" for name, band in columns]
    value = (random.gamma(0.5, 8.0, (members, len(ALLOCATION_COSTS))) - 1)[:, channel]
    value = value + np.maximum(value, 0.0) * random.choice([-0.2, 0.0, 0.1, 0.3], value.shape)
    # bands that are alike for a member are drawn apart, as puntual.decision.bands does
    value = value + 1e-4 * random.random(value.shape)
    allowed = (random.random((members, len(ALLOCATION_COSTS))) < 0.8)[:, channel] & (
        random.random((members, len(columns))) < 0.9
    )
    zones = random.choice([f"z{zone}" for zone in range(20)], members).astype(object)
    limits = [
        replace(
            one,
            cells=tuple(
                Cell(f"{cell.channel}@{band}", cell.zone)
                for cell in one.cells
                for band in range(len(bands.get(cell.channel, [0])))
            ),
        )
        for one in _capacities(members)
    ] + [
        Capacity(f"hours {name} {band}", (Cell(f"{name}@{band}"),), int(part * members))
        for name, parts in bands.items()
        for band, part in enumerate(parts)
    ]

    def work() -> str:
        found = allocate(value, allowed, limits, channels=names, zones=zones, group=np.array(channel))
        proof = "proven best" if found.is_optimal else "not proven"
        chosen = int((found.choice >= 0).sum())
        return f"{len(names)} actions, {len(limits)} capacities, {chosen:,} contacts, gap {found.gap:.1e}, {proof}"

    return work


PARTS: dict[str, Callable[[int], Work]] = {
    "rules": rules,
    "allocation": allocation,
    "allocation_bands": allocation_bands,
    "allocation_teams": allocation_teams,
    "allocation_crossing": allocation_crossing,
    "allocation_budget": allocation_budget,
    "assignment": bench_field.assignment,
    "routes": bench_field.routes,
}


def _measure(part: str, members: int) -> None:
    """Run one part in this process and write what it took as JSON."""
    work = PARTS[part](members)
    before = _peak_mb()
    begun = time.perf_counter()
    line = work()
    seconds = time.perf_counter() - begun
    taken = {"seconds": seconds, "inputs_mb": before, "peak_mb": _peak_mb(), "line": line}
    sys.stdout.write(json.dumps(taken) + "\n")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=sorted(PARTS))
    parser.add_argument("--members", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--measure", choices=sorted(PARTS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        _measure(given.measure, given.members[0])
        return
    head = f"{'part':<18} {'members':>10} {'seconds':>9} {'inputs MB':>10} {'peak MB':>9}  what came out\n"
    sys.stdout.write(head)
    for part in given.only:
        for members in given.members:
            command = [sys.executable, "-m", "tests.bench_decision", "--measure", part, "--members", str(members)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.exit(done.stdout + done.stderr)
            found = json.loads(done.stdout.strip().splitlines()[-1])
            sys.stdout.write(
                f"{part:<18} {members:>10,} {found['seconds']:>9.2f} {found['inputs_mb']:>10,.0f}"
                f" {found['peak_mb']:>9,.0f}  {found['line']}\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
