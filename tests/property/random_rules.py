"""Rules of an institution with random parameters, of every kind that judges a member and a channel.

Not drawn are ``max_users`` (a limit of a whole list), ``min_count_by`` (a duty, which blocks nothing) and ``fee`` (a
charge): no member is blocked by them, and they have tests of their own.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any, get_args

import numpy as np
import yaml

from puntual.decision.policies import CHANNELS, WEEKDAYS, PolicySet, load_policies
from puntual.decision.rule_kinds import PointKind, RequireRule
from puntual.errors import RuleError
from tests.unit.decision import worlds

POLICY = "TST"
REQUIREMENTS = get_args(RequireRule.model_fields["what"].annotation)
EVENTS = ("promise_open", "payment", "right_party_contact", "complaint", "status")
STATUSES = ("payment_pending", "scheduled_follow_up", "forbearance", "fraud", "dispute", "hardship")
WHERE = (" wv", "ca", "LOJA", "MANABI ", "Manabí", "SC")
POINTS = get_args(PointKind)
DAYS_OPEN = (["09:00-12:00", "15:00-19:00"], ["10:00-18:30"], ["08:30-09:15", "11:00-13:00", "16:20-17:40"], [])


def load_with_random_rules(
    folder: Path,
    random: np.random.Generator,
    count: int,
    country: str,
    zones: list[str],
    as_of: date,
    reading: str,
    kind: str | None = None,
) -> PolicySet:
    """The shipped policies with ``count`` random rules of an institution, whose file is written to ``folder``.

    ``kind``: of all of them; None draws it too.
    One that is looser than a shipped rule is refused by the loader, as it must be, and drawn again.
    """
    rules = {f"{POLICY}/r{number}": {} for number in range(count)}
    again = list(rules)
    while True:
        rules |= {name: random_rule(random, name, zones, as_of, kind) for name in again}
        _write(folder, list(rules.values()))
        try:
            return load_policies(worlds.POLICIES, folder, country, as_of, reading=reading)
        except RuleError as error:
            again = [name for name in rules if str(error).startswith(f"{name} is looser than ")]
            if not again:
                raise


def _write(folder: Path, rules: list[dict[str, Any]]) -> None:
    policy = {
        "id": POLICY,
        "version": 1,
        "title": "Random rules",
        "scope": {"institution": "random"},
        "timezone": "institution",
        "effective_from": None,
        "effective_to": None,
        "confidence": "memory",
        "sources": ["drawn"],
        "rules": rules,
    }
    (folder / f"{POLICY}.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")


def random_rule(
    random: np.random.Generator, name: str, zones: list[str], as_of: date, kind: str | None = None
) -> dict[str, Any]:
    """One rule as it stands in a file.

    Args:
        random: of all its parameters.
        name: its id.
        zones: time zones for ``where``.
        as_of: contact day; dates of a rule lie around it, so that some rules are not yet or no longer in force.
        kind: None draws it.
    """
    kind = kind or str(random.choice(list(_KEYS)))
    rule: dict[str, Any] = {"id": name, "kind": kind, "channels": _channels(random)}
    if random.random() < 0.4:
        rule["where"] = _where(random, zones)
    if random.random() < 0.1:
        rule["readings"] = [str(random.choice(["strict_default", "alternative_reading"]))]
    if random.random() < 0.2:
        rule["effective_from"] = as_of + timedelta(days=int(random.integers(-3, 2)))
        rule["effective_to"] = rule["effective_from"] + timedelta(days=int(random.integers(0, 9)))
    return rule | _KEYS[kind](random, rule, zones)


def _channels(random: np.random.Generator) -> Any:
    if random.random() < 0.3:
        return "all"
    return [str(channel) for channel in random.choice(CHANNELS, int(random.integers(1, 9)), replace=False)]


def _where(random: np.random.Generator, zones: list[str]) -> dict[str, list[str]]:
    provinces = {"province": [str(name) for name in random.choice(WHERE, 2, replace=False)]}
    zone = {"timezone": [str(random.choice(zones))]}
    return [provinces, zone, provinces | zone][int(random.integers(0, 3))]


def _yes(random: np.random.Generator) -> bool:
    return bool(random.random() < 0.5)


def _window(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    week = {name: DAYS_OPEN[int(random.integers(0, len(DAYS_OPEN)))] for name in WEEKDAYS}
    return {"weekdays": week, "holidays": "blocked" if random.random() < 0.7 else "open"}


def _max_count(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    windows = ["calendar_day", "iso_week", *(f"rolling_days:{days}" for days in (1, 3, 15, 31))]
    return {
        "window": str(random.choice(windows)),
        "n": int(random.integers(1, 4)),
        "across": str(random.choice(["together", "each"])),
        "counts": str(random.choice(["attempt", "effective"])),
        "scope": str(random.choice(["person", "person_debt"])),
    }


def _min_spacing(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    return {"days": int(random.integers(1, 9)), "day_of_event_counts": _yes(random)}


def _single_channel(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    return {"window": "iso_week", "event": "right_party_contact"}


def _cooloff(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    event = str(random.choice(EVENTS))
    keys: dict[str, Any] = {"event": event}
    if event == "promise_open":
        return keys | ({"allow": ["reminder_on_due_minus_1"]} if _yes(random) else {})
    keys |= {"days": int(random.integers(1, 12)), "day_of_event_counts": _yes(random)}
    if event == "right_party_contact":
        if _yes(random):
            keys["event_channels"] = [str(channel) for channel in random.choice(CHANNELS, 3, replace=False)]
        keys["scope"] = str(random.choice(["person", "person_debt"]))
    if event == "status":
        keys["status"] = str(random.choice(STATUSES))
    return keys


def _require(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    what = str(random.choice(REQUIREMENTS))
    if what != "contact_point":
        return {"what": what}
    channels = CHANNELS if rule["channels"] == "all" else rule["channels"]
    kinds = {channel: [str(kind) for kind in random.choice(POINTS, 2, replace=False)] for channel in channels}
    return {"what": what, "point_kinds": kinds}


def _stop_words(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    words = ["gracias", "No puedo  hoy", "BAJA", "no"]
    return {"words": [str(word) for word in random.choice(words, 2, replace=False)]}


def _service_window(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    return {"hours": int(random.integers(1, 100))}


def _forbid(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    if _yes(random):
        return {"status": str(random.choice(STATUSES))}
    # for everybody it would leave nothing to compare
    return {"where": rule.get("where") or _where(random, zones)}


def _known_status(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    known = ["active", *(str(code) for code in random.choice(["hardship", "dispute", "deceased"], 1))]
    return {"statuses": known[: int(random.integers(1, 3))]}


def _party(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    return {"allowed": [["debtor"], ["debtor", "guarantor"], ["guarantor"]][int(random.integers(0, 3))]}


def _min_age(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    return {"years": int(random.integers(18, 40))}


def _past_due_days(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    least = int(random.integers(0, 30))
    return {"min_days": least, "max_days": None if _yes(random) else least + int(random.integers(0, 90))}


def _min_amount(random: np.random.Generator, rule: dict, zones: list[str]) -> dict[str, Any]:
    return {"basis": "collectable_amount", "amount": float(random.integers(6, 60)), "currency": "USD"}


_KEYS = {
    "window": _window,
    "max_count": _max_count,
    "min_spacing": _min_spacing,
    "single_channel": _single_channel,
    "cooloff": _cooloff,
    "require": _require,
    "stop_words": _stop_words,
    "service_window": _service_window,
    "forbid": _forbid,
    "known_status": _known_status,
    "party": _party,
    "min_age": _min_age,
    "past_due_days": _past_due_days,
    "min_amount": _min_amount,
}
KINDS = tuple(_KEYS)
