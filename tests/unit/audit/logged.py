"""A home with days that were really decided and published, without a warehouse: what the tests of the log stand on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from puntual.audit.chain import AuditLog
from puntual.audit.record import Record, keep_inputs
from puntual.decision.decide import DecisionOutcome, decide
from puntual.decision.policies import load_ladder
from puntual.paths import Home
from puntual.publish import publish
from puntual.settings import Institution, Settings
from tests.unit.decision import worlds
from tests.unit.decision.test_decide import COSTS, LIMITS, book

DAY = worlds.TUESDAY
REASONS = {
    code: {"es": f"Motivo {code}.", "en": f"Reason {code}."}
    for code in ("EXPLORATION", "BEST_CHANNEL", "LADDER_STEP", "KNOWS_COLLECTOR", "PROMISE_BROKEN", "LARGE_ARREARS",
                 "DUE_SOON", "NOT_CONTACTED_LATELY", *(f"HIGH_GAIN_{channel.upper()}" for channel in COSTS))
}  # fmt: skip


def settings(**options: Any) -> Settings:
    institution = Institution(name="Coop", country="EC", timezone=worlds.QUITO, currency="USD")
    return Settings(institution=institution, **options)


def arguments(size: int = 40, seed: int = 1, as_of: date = DAY, **changed: Any) -> dict[str, Any]:
    """What a day is decided from."""
    return {
        **book(size, seed),
        "default_risk": None,
        "policies": worlds.policies(as_of=as_of),
        "ladder": load_ladder(worlds.POLICIES),
        "holidays": worlds.calendar(),
        "costs": COSTS,
        "daily_capacity": LIMITS,
        "as_of": as_of,
        "timezone": worlds.QUITO,
        "exploration_share": 0.1,
        "seed": 3,
        **changed,
    }


def run_day(
    home: Home,
    inputs: dict[str, Any],
    *,
    run_id: str = "run",
    keep: Settings | None = None,
    meanwhile: Callable[[str], None] | None = None,
    text: str = "list",
    outcome: DecisionOutcome | None = None,
    campaigns: pd.DataFrame | None = None,
) -> None:
    """Decide (unless ``outcome`` is given) and publish a day as a run does.

    ``meanwhile`` is called with a name before each step of publication.
    """
    tell = meanwhile or (lambda _: None)
    as_of = inputs["as_of"]
    outcome = outcome or decide(**inputs)
    digest = keep_inputs(home, as_of, inputs)
    tell("decided")
    record = Record.of(home, keep or settings(), as_of, run_id)

    def fill(folder: Path) -> dict[str, Any]:
        with record.made_again(folder):
            (folder / "decisions.json").write_text(outcome.decisions.to_json(orient="records", date_format="iso"))
            (folder / "list.csv").write_text(text)
        decided = {name: getattr(outcome, name) for name in ("decisions", "details", "prices", "second_contacts")}
        summary = {**outcome.summary, "inputs_sha256": digest, "rule_versions": inputs["policies"].digests}
        record.gather(
            decided,
            summary,
            {"default_risk": {"version": "v1"}},
            REASONS,
            {"query": pd.DataFrame({"a": [1]})},
            campaigns,
        )
        tell("gathered")
        return {"as_of_date": as_of.isoformat(), "log": record.before(), "model_versions": {}, "rule_versions": {}}

    publish(home, as_of, fill, run_id=run_id, keep=7, together_with=record.committed)


def history(root: Path, days: int = 3, size: int = 40) -> Home:
    """A home with ``days`` logged days, the last of them twice with other inputs."""
    home = Home(root)
    for number in range(days):
        day = DAY + timedelta(days=number)
        run_day(home, arguments(size, seed=number, as_of=day), run_id=f"run{number}")
    run_day(home, arguments(size, seed=days, as_of=DAY + timedelta(days=days - 1)), run_id="again")
    return home


def chain_of(home: Home) -> list[tuple[int, str, int | None]]:
    """Sequence, date and what it replaces of every entry."""
    return [(one.sequence, one.as_of_date.isoformat(), one.replaces) for one in AuditLog(home).entries()]


def content(home: Home) -> dict[str, bytes]:
    """Every file of the log and the archive."""
    return {
        file.relative_to(home.audit).as_posix(): file.read_bytes() for file in home.audit.rglob("*") if file.is_file()
    }
