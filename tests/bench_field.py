"""Assignment and routes at growing sizes: the parts ``assignment`` and ``routes`` of ``tests.bench_decision``.

Per thousand members: about one caller (24 calls a day) and one visitor (25 visits a day), whose days are all full.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd

AS_OF = date(2026, 6, 30)
VISITS_A_DAY = 25
CALLS_A_DAY = 24
ZONES = 20


def _team(members: int) -> pd.DataFrame:
    count = max(members // 1000, 2)
    half = [*(["call"] * count), *(["visit"] * count)]
    return pd.DataFrame(
        {
            "collector_id": [f"G{number:05d}" for number in range(2 * count)],
            "team": [f"team {number % 10}" for number in range(2 * count)],
            "channels": half,
            "zone": [None if what == "call" else f"zone {number % ZONES:02d}" for number, what in enumerate(half)],
            "languages": ["es,qu" if number % 5 == 0 else "es" for number in range(2 * count)],
            "daily_capacity": [CALLS_A_DAY if what == "call" else VISITS_A_DAY for what in half],
            "active_from": pd.NaT,
            "active_to": pd.NaT,
        }
    )


def assignment(members: int) -> Callable[[], str]:
    """Every unit of a full team handed out, a third of the members known to somebody, and how even it came out."""
    from puntual.decision.assign import assign, fairness
    from puntual.decision.capacity import roster

    random = np.random.default_rng(1)
    collectors = _team(members)
    people = roster(collectors, ["call", "visit"], AS_OF)
    units = people.loc[people.index.repeat(people["daily_capacity"])].reset_index(drop=True)
    contacts = pd.DataFrame(
        {
            "customer_id": [f"C{number:08d}" for number in range(len(units))],
            "channel_code": [channels[0] for channels in units["channels"]],
            "zone": units["zone"].where(units["zone"].notna(), None),
            "language_code": np.where(random.random(len(units)) < 0.1, "qu", "es"),
            "net_amount": random.gamma(2.0, 10.0, len(units)),
        }
    )
    known = random.random(len(units)) < 1 / 3
    familiar = pd.Series(
        random.choice(people["collector_id"].to_numpy(dtype=object), int(known.sum())),
        index=contacts.loc[known, "customer_id"],
    )

    def work() -> str:
        found = assign(contacts, people, familiar)
        even = fairness(contacts, people, found)
        least = min(one["value_jain"] for one in even["teams"])
        return f"{len(contacts):,} contacts, {len(people):,} collectors, value even to {least:.2f}"

    return work


def routes(members: int) -> Callable[[], str]:
    """A route of 25 visits for every visitor: towns and farms around 20 centres, half of them with a window."""
    from puntual.decision.routes import StraightLine, WorkingDay, plan_routes

    random = np.random.default_rng(2)
    collectors = max(members // 1000, 2)
    size = collectors * VISITS_A_DAY
    owner = np.repeat(np.arange(collectors), VISITS_A_DAY)
    centre = np.column_stack([random.uniform(-4, 1, ZONES), random.uniform(-80, -78, ZONES)])[owner % ZONES]
    at = centre + random.normal(0, np.where(random.random(size) < 0.7, 0.03, 0.1)[:, None], (size, 2))
    midnight = pd.Timestamp(AS_OF) + pd.Timedelta(hours=5)
    opens = np.where(random.random(size) < 0.5, random.integers(8, 15, size), 7)
    closes = np.where(opens > 7, opens + 4, 20)
    visits = pd.DataFrame(
        {
            "collector_id": [f"G{number:05d}" for number in owner],
            "customer_id": [f"C{number:08d}" for number in range(size)],
            "contact_point_id": [f"K{number:08d}" for number in range(size)],
            "rank": np.tile(np.arange(1, VISITS_A_DAY + 1), collectors),
            "latitude": at[:, 0],
            "longitude": at[:, 1],
            "window_start": (midnight + pd.to_timedelta(opens, unit="h")).astype("datetime64[us]"),
            "window_end": (midnight + pd.to_timedelta(closes, unit="h")).astype("datetime64[us]"),
            "place_problem": pd.Series(None, index=range(size), dtype=object),
            "zone": "zone",
            "town": "town",
        }
    )
    starts = pd.DataFrame(
        {
            "collector_id": [f"G{number:05d}" for number in range(collectors)],
            "start_kind": "branch",
            "start_id": "B1",
            "start_name": "Branch",
            "latitude": centre[::VISITS_A_DAY, 0],
            "longitude": centre[::VISITS_A_DAY, 1],
        }
    )

    def work() -> str:
        begun = time.perf_counter()
        plan = plan_routes(
            visits, starts, as_of=AS_OF, timezone="America/Guayaquil", day=WorkingDay(), travel=StraightLine()
        )
        each = (time.perf_counter() - begun) / collectors
        return (
            f"{collectors:,} routes, {int(plan.stops['is_planned'].sum()):,} of {size:,} visits fit, {each:.2f} s each"
        )

    return work
