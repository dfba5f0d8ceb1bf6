"""Time and gap of the decision's parts by size: ``python -m tests.bench_decision --members 20000 100000 1000000``."""

from __future__ import annotations

import argparse
import time

import numpy as np
from rich.console import Console

from puntual.decision.allocate import allocate
from puntual.decision.capacity import Capacity, Cell, budget

CHANNELS = ["call", "ivr", "whatsapp", "sms", "email", "visit", "letter", "web_chat"]
COSTS = dict(zip(CHANNELS, [0.45, 0.04, 0.06, 0.03, 0.004, 4.5, 1.2, 0.45], strict=True))
ZONES = 20


def capacities(members: int) -> list[Capacity]:
    """50 capacities: a pool of callers, visitors and people of both skills by zone, messages alone and together."""
    few = max(1, members // 4000)
    return [
        Capacity("call", (Cell("call"),), members // 25, "pool"),
        *(Capacity(f"visit {zone}", (Cell("visit", f"z{zone}"),), few, "pool") for zone in range(ZONES)),
        *(Capacity(f"both {zone}", (Cell("call"), Cell("visit", f"z{zone}")), few, "pool") for zone in range(ZONES)),
        *(Capacity(name, (Cell(name),), members // 10) for name in CHANNELS if name not in {"call", "visit"}),
        Capacity("chat", (Cell("whatsapp"), Cell("sms")), members // 8),
        Capacity("messages", (Cell("whatsapp"), Cell("sms"), Cell("email")), members // 6),
        Capacity("written", (Cell("letter"), Cell("web_chat")), members // 8),
    ]


def bench_allocation(members: int, console: Console) -> None:
    """The allocation alone, without and with a budget in money that binds."""
    random = np.random.default_rng(5)
    value = random.gamma(0.5, 8.0, (members, len(CHANNELS))) - 1
    allowed = random.random(value.shape) < 0.8
    zones = random.choice([f"z{zone}" for zone in range(ZONES)], members).astype(object)
    offered = capacities(members)
    for name, limits in (("", offered), (" and a budget", [*offered, budget("budget", 0.15 * members, COSTS)])):
        start = time.perf_counter()
        found = allocate(value, allowed, limits, channels=CHANNELS, zones=zones)
        seconds = time.perf_counter() - start
        console.print(
            f"{members:>9,} members, {len(limits)} capacities{name}: {seconds:.1f} s, gap {found.gap:.1e},"
            f" {'proven best' if found.is_optimal else 'within the gap'}"
        )


PARTS = {"allocation": bench_allocation}


def main() -> None:
    """Run the parts that are asked for, one size after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(PARTS), action="append")
    parser.add_argument("--members", type=int, nargs="+", default=[20_000, 100_000])
    chosen = parser.parse_args()
    console = Console()
    for name in chosen.only or sorted(PARTS):
        for members in chosen.members:
            PARTS[name](members, console)


if __name__ == "__main__":
    main()
