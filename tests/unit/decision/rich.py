"""A world made for a policy set: for every rule, members who stand just inside and just outside of what it forbids."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pandas as pd

from puntual.decision.facts import ContactFacts
from puntual.decision.policies import PolicySet
from puntual.decision.rule_kinds import CHANNELS
from tests.unit.decision import worlds

ZONES = {
    "EC": "America/Guayaquil",
    "MX": "America/Mexico_City",
    "CO": "America/Bogota",
    "CL": "America/Santiago",
    "PE": "America/Lima",
    "US": "America/New_York",
}


@dataclass
class Rich:
    """The world under construction; :func:`rich_world` fills it."""

    country: str
    as_of: date
    people: list[dict[str, Any]] = field(default_factory=list)
    through: list[dict[str, Any]] = field(default_factory=list)
    past: list[dict[str, Any]] = field(default_factory=list)
    promised: list[dict[str, Any]] = field(default_factory=list)
    paid: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def zone(self) -> str:
        return ZONES[self.country]

    def moment(self, days_ago: int, hour: int = 10, minute: int = 0) -> pd.Timestamp:
        day = self.as_of - timedelta(days=days_ago)
        return worlds.at(f"{day} {hour:02d}:{minute:02d}", self.zone)

    def person(self, points: bool = True, **facts: Any) -> str:
        name = f"m{len(self.people):04d}"
        own = {
            "customer_id": name,
            "timezone": self.zone,
            "loan_id": f"L{name}",
            "birth_date": pd.Timestamp("1980-01-01"),
        }
        self.people.append({"past_due_days": 30, "party_code": "debtor"} | own | facts)
        if points:
            kinds = {"mobile": True, "email": False, "address": False, "landline": False}
            for kind, has_whatsapp in kinds.items():
                self.point(name, kind, has_whatsapp=has_whatsapp)
        return name

    def point(self, name: str, kind: str, **facts: Any) -> None:
        row = {
            "contact_point_id": f"p{len(self.through):05d}",
            "customer_id": name,
            "kind_code": kind,
            "place_code": None,
            "party_code": None,
        }
        self.through.append(row | facts)

    def event(self, name: str, days_ago: int, channel: str, outcome: str = "no_answer", **facts: Any) -> None:
        row = {"customer_id": name, "occurred_at": self.moment(days_ago, minute=len(self.past) % 50)}
        debt = {"loan_id": f"L{name}"}
        self.past.append(row | debt | {"channel_code": channel, "outcome_code": outcome} | facts)

    def frames(self) -> dict[str, pd.DataFrame]:
        """The positional arguments of ``evaluate``."""
        people = worlds.customers(*self.people)
        for column in ("loan_id", "birth_date", "past_due_days", "party_code"):
            people[column] = [row[column] for row in self.people]
        through = worlds.points(*self.through)
        for column in ("place_code", "party_code"):
            through[column] = pd.Series([row[column] for row in self.through], dtype=object)
        past = worlds.events(*self.past)
        past["loan_id"] = pd.Series([row["loan_id"] for row in self.past], dtype=object)
        return {
            "customers": people,
            "contact_points": through,
            "interactions": past,
            "promises": worlds.promises(*self.promised),
            "payments": worlds.payments(*self.paid),
        }

    def facts(self) -> ContactFacts:
        columns = ["customer_id", "status_code", "from_date", "to_date"]
        told = ["customer_id", "channel_code", "occurred_at", "text"]
        none = pd.DataFrame(columns=["channel_code", "template_id", "status_code", "quality_code"])
        return ContactFacts(
            statuses=pd.DataFrame(self.statuses, columns=columns),
            texts=pd.DataFrame(self.texts, columns=told),
            templates=none,
        )


def rich_world(policies: PolicySet, as_of: date, only: str | None = None) -> Rich:
    """Members around the edges of every rule of ``policies``, or of the one with the id ``only``."""
    world = Rich(policies.country, as_of)
    world.person()
    for entry in policies.rules:
        if only in {None, entry.rule.id}:
            _around(world, entry.rule)
    # a member who wrote in this morning may be answered; the others need a template, and there is none
    for row in list(world.people):
        world.event(
            row["customer_id"],
            0,
            "whatsapp",
            "replied",
            direction_code="inbound",
            loan_id=None,
            occurred_at=world.moment(0, 7, 5),
        )
    world.person(timezone="Mars/Base")
    world.person()
    silent = world.person()
    world.event(silent, 1, "whatsapp", "replied", direction_code="inbound", occurred_at=world.moment(1, 6, 30))
    late = world.person()
    world.event(late, 1, "whatsapp", "replied", direction_code="inbound", occurred_at=world.moment(1, 7, 45))
    return world


def _around(world: Rich, rule: Any) -> None:
    where = rule.where.province if rule.where and rule.where.province else ("Loja",)
    here = {"province": where[0]}
    if rule.kind == "max_count":
        outcome = "no_answer" if rule.counts == "attempt" else "right_party"
        groups = [rule.channels] if rule.across == "together" else [(channel,) for channel in rule.channels]
        for group in groups:
            for ago in {0, 1, rule.days - 1, rule.days, (world.as_of.weekday()), world.as_of.weekday() + 1}:
                for many in (rule.n - 1, rule.n):
                    for channel in (group[0], group[-1]):
                        name = world.person(**here)
                        for _ in range(many):
                            world.event(name, ago, channel, outcome)
        other = world.person(**here)
        for _ in range(rule.n):
            world.event(other, 0, rule.channels[0], outcome, loan_id="another")
        elsewhere = world.person(province="Elsewhere")
        for _ in range(rule.n):
            world.event(elsewhere, 0, rule.channels[0], outcome)
    elif rule.kind == "min_spacing":
        for channel in rule.channels:
            for ago in range(rule.days + 2):
                world.event(world.person(**here), ago, channel)
    elif rule.kind == "single_channel":
        for ago in (0, world.as_of.weekday(), world.as_of.weekday() + 1):
            for channel in CHANNELS:
                world.event(world.person(**here), ago, channel, "right_party")
    elif rule.kind == "cooloff":
        _around_cooloff(world, rule, here)
    elif rule.kind in {"forbid", "known_status"}:
        codes = [rule.status] if rule.kind == "forbid" else [*rule.statuses, "strange"]
        for code in codes:
            if code is not None:
                world.person(customer_status_code=code, **here)
                world.statuses.append(_dated(world, world.person(**here), code, 3, 0))
                world.statuses.append(_dated(world, world.person(**here), code, 3, -1))
        world.person(**here)
    elif rule.kind == "party":
        for party in ("debtor", "codebtor", "guarantor", "reference"):
            world.person(party_code=party)
            reached = world.person(points=False)
            for kind in ("mobile", "email", "address"):
                world.point(reached, kind, has_whatsapp=kind == "mobile", party_code=party)
    elif rule.kind == "min_age":
        for years in (rule.years - 1, rule.years):
            for shift in (0, 1):
                born = world.as_of.replace(year=world.as_of.year - years) + timedelta(days=shift)
                world.person(birth_date=pd.Timestamp(born))
        world.person(birth_date=pd.NaT)
    elif rule.kind == "past_due_days":
        for days in (rule.min_days - 1, rule.min_days, rule.max_days or 10_000, (rule.max_days or 10_000) + 1):
            world.person(past_due_days=days)
    elif rule.kind == "min_amount":
        for owed in (rule.amount - 0.01, rule.amount, None):
            world.person(collectable_amount=owed)
    elif rule.kind == "require":
        _around_points(world, rule)
    elif rule.kind == "stop_words":
        for word in (*rule.words, "otra cosa"):
            for channel in rule.channels:
                who = world.person()
                told = {"channel_code": channel, "occurred_at": world.moment(3), "text": f" {word.lower()}. "}
                world.texts.append({"customer_id": who} | told)


def _around_cooloff(world: Rich, rule: Any, here: dict[str, Any]) -> None:
    if rule.event == "promise_open":
        for days in range(-4, 4):
            due = pd.Timestamp(world.as_of) + pd.Timedelta(days=days)
            world.promised.append({"customer_id": world.person(**here), "due_date": due})
        return
    for ago in range(rule.days + 2):
        day = pd.Timestamp(world.as_of) - pd.Timedelta(days=ago)
        if rule.event == "payment":
            world.paid.append({"customer_id": world.person(**here), "paid_date": day})
        elif rule.event == "status":
            world.statuses.append(_dated(world, world.person(**here), rule.status, ago, None))
        elif rule.event == "complaint":
            world.event(world.person(**here), ago, "email", "complaint", direction_code="inbound")
        else:
            for channel in rule.event_channels or ("call", "sms"):
                world.event(world.person(**here), ago, channel, "right_party")
            world.event(
                world.person(**here), ago, (rule.event_channels or ("call",))[0], "right_party", loan_id="another"
            )


def _around_points(world: Rich, rule: Any) -> None:
    bad: dict[str, dict[str, Any]] = {
        "valid": {"is_valid": False},
        "consent": {"has_consent": None},
        "consent_not_refused": {"has_consent": False},
        "not_opted_out": {"opted_out_at": world.moment(1)},
        "not_workplace": {"place_code": "work"},
        "place_told": {"place_code": None},
        "own": {"party_code": "guarantor"},
        "contact_point": {},
    }
    for kind in ("mobile", "email", "address", "landline"):
        name = world.person(points=False)
        world.point(name, kind, has_whatsapp=kind == "mobile", **bad[rule.what])
    plain = world.person(points=False)
    world.point(plain, "mobile", has_whatsapp=False, **bad[rule.what])


def _dated(world: Rich, who: str, code: str, begun: int, ended: int | None) -> dict[str, Any]:
    today = pd.Timestamp(world.as_of)
    last = pd.NaT if ended is None else today + pd.Timedelta(days=ended)
    return {"customer_id": who, "status_code": code, "from_date": today - pd.Timedelta(days=begun), "to_date": last}
