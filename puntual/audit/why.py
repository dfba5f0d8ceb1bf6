"""Why this member, this channel, this place in the list; or why not. Read off the published log alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from puntual.audit.arms import changes_of
from puntual.audit.chain import AuditLog, Entry
from puntual.audit.digests import sha256
from puntual.audit.log import CAMPAIGN, SECOND, campaign_of, is_held_back, people, person, second_of
from puntual.audit.texts import MISSING, amount, channel_name, figure, known, percent, say
from puntual.audit.weighing import BEST, Verdict, Weighing, surplus
from puntual.decision.capacity import COLLECTOR_CHANNELS
from puntual.decision.change_keys import LADDER
from puntual.errors import UsageError
from puntual.experiments.changes import in_words

_AROUND = 2
_OF_A_LIST = [
    "customer_id", "action", "collector_id", "rank", "expected_gain_amount", "contact_cost_amount", "value_amount",
    "arrears_amount", "past_due_days", SECOND, CAMPAIGN,
]  # fmt: skip
_CENT = 0.005
_SHOWN = 12
"""Characters of a hash that are shown."""


@dataclass(frozen=True)
class ChannelWhy:
    """What was weighed of one channel, as texts."""

    channel_code: str
    channel: str
    is_allowed: bool
    is_chosen: bool
    verdict: str
    gain: str
    provision: str
    fee: str
    cost: str
    net: str
    price: str
    surplus: str
    charge: str


@dataclass(frozen=True)
class Neighbour:
    """One contact of the same list."""

    rank: int
    customer_id: str
    is_this: bool
    net: str
    owed: str
    days: str


@dataclass(frozen=True)
class Why:
    """The explanation of one member's row, in one language; no name, no document, no number of a telephone."""

    customer_id: str
    title: str
    headline: str
    facts: tuple[tuple[str, str], ...]
    reasons: tuple[str, ...]
    channels: tuple[ChannelWhy, ...]
    notes: tuple[str, ...]
    around: tuple[Neighbour, ...]
    versions: tuple[tuple[str, str], ...]


def why(log: AuditLog, entry: Entry, customer_id: str, language: str) -> Why:
    """Explain the row of a member.

    Raises:
        UsageError: the day did not consider that member.
        AuditError: the log was altered.
    """
    file, context = log.log_file(entry), log.context(entry)
    row = person(file, customer_id)
    if row is None:
        raise UsageError(
            say("why", "not_considered", language, customer=customer_id, people=entry.people, date=entry.as_of_date)
        )
    told = _Teller(row, context, language)
    around, place, size = told.around(people(file, _OF_A_LIST))
    rules = context["rules"]
    return Why(
        customer_id=customer_id,
        title=say("why", "title", language, customer=customer_id, date=entry.as_of_date),
        headline=told.headline(),
        facts=told.facts(place, size),
        reasons=told.reasons(),
        channels=tuple(told.channel(one) for one in row["channels"]),
        notes=(
            say("why", "rules_looked_at", language, count=len(rules), country=told.settings["institution"]["country"]),
            told.say(told.of_group("price_note")) if told.is_money else say("what_if", "model_off", language),
        ),
        around=around,
        versions=_versions(entry, row, language),
    )


def _versions(entry: Entry, row: Mapping[str, Any], language: str) -> tuple[tuple[str, str], ...]:
    made = entry.versions
    # those of the row: an arm of an experiment may have a model of its own
    versions = json.loads(row["model_versions"]) if row.get("model_versions") else made["models"]
    models = ", ".join(
        f"{name} {str(version)[:_SHOWN] if version else say('why', 'turned_off', language)}"
        for name, version in versions.items()
    )
    shown = sha256(entry.content())[:_SHOWN] + "…"
    return (
        (
            say("why", "entry", language),
            say("why", "entry_text", language, sequence=entry.sequence, date=entry.as_of_date, hash=shown),
        ),
        (say("why", "inputs", language), made["inputs_sha256"][:_SHOWN] + "…"),
        (say("why", "models", language), models or MISSING),
        (say("why", "rules", language), ", ".join(sorted(made["rules"])) or MISSING),
        (say("why", "settings", language), made["settings_sha256"][:_SHOWN] + "…"),
        (
            say("why", "code", language),
            f"puntual {made['software'].get('puntual', MISSING)}, {made['code_sha256'][:_SHOWN]}…",
        ),
    )


def _with_seconds(everybody: pd.DataFrame) -> pd.DataFrame:
    """``everybody`` with a row for each second contact: lists have them after the first ones."""
    if SECOND not in everybody:
        return everybody
    mine = everybody[everybody[SECOND].notna()]
    second = pd.DataFrame([json.loads(text) for text in mine[SECOND]], index=mine.index)
    return pd.concat([everybody, mine.assign(**{name: second[name] for name in _OF_A_LIST if name in second})])


def _cause(campaign: Mapping[str, Any]) -> str:
    """The code that says best why the message does not go out.

    A template that its platform does not let through stands behind the contact rule of its channel: that rule speaks of
    messages without any approved template, and is not the cause where this one is.
    """
    codes = json.loads(campaign.get("blocked_by") or "[]")  # an entry of before that was logged has none
    first = str(campaign.get("suppressed_by"))
    return next((str(one) for one in codes if str(one).startswith("template_quality/")), first)


def _held_back_keys(code: str) -> tuple[str, ...]:
    """Names under which a code may have a text, the most particular first.

    Codes are campaign/<id>/<template>_not_in_force, campaign/<id>/no_template_for_<step>, campaign/<id>/window,
    template/<id>/missing_<variable>, template_quality/<id>/<status>, budget/<channel>, ... A template may be named
    after anything.
    """
    kind, _, name = code.partition("/")
    last = name.rsplit("/", 1)[-1]
    if last.endswith("_not_in_force"):
        return (kind,)
    return (f"{kind}_{last}", f"{kind}_{last.partition('_')[0]}", kind)


@dataclass(frozen=True)
class _Teller:
    row: Mapping[str, Any]
    context: Mapping[str, Any]
    language: str

    @property
    def settings(self) -> Mapping[str, Any]:
        settings: Mapping[str, Any] = self.context["settings"]
        return settings

    @property
    def currency(self) -> str:
        return str(self.settings["institution"]["currency"])

    @property
    def is_money(self) -> bool:
        """Whether the plan compared money; else it followed the written ladder."""
        return any(one["gain_amount"] is not None for one in self.row["channels"])

    @property
    def is_contact(self) -> bool:
        return self.row["action"] != "none"

    @property
    def weighing(self) -> Weighing:
        """What the row's own figures say."""
        return Weighing.of(self.row)

    def of_group(self, key: str) -> str:
        """The sentence of ``key``, where it has another one for a day whose capacities are shared out among plans."""
        summary = self.context.get("summary", {})
        is_shared = bool(summary.get("changed_arms") or summary.get("ladder_arm_count"))
        return f"{key}_group" if is_shared and known("why", f"{key}_group") else key

    def weighed(self, key: str, verdict: Verdict, **values: object) -> str:
        """The sentence of a verdict with its figures."""
        lead = self.say("under_a_cent") if verdict.lead < _CENT else self.money(verdict.lead)
        return self.say(key, lead=lead, stay=self.money(verdict.stay), **values)

    def say(self, key: str, **values: object) -> str:
        return say("why", key, self.language, **values)

    def money(self, value: Any) -> str:
        return amount(value, self.currency, self.language)

    def name(self, channel: str) -> str:
        return channel_name(channel, self.language)

    def headline(self) -> str:
        """One sentence: contacted how and by what, or why not."""
        row = self.row
        if self.is_contact:
            if is_held_back(row):
                return self.say("head_held", channel=self.name(row["action"]), held=self.held())
            ground = self.weighing.ground()
            return self.weighed(f"head_{ground.code}", ground, channel=self.name(row["action"]).lower())
        codes = json.loads(row["blocked_by"])
        held = [code.split(":")[1] for code in codes if code.startswith("experiment:")]
        if held:
            return self.say("head_hold_out", experiment=held[0])
        if not any(one["is_allowed"] for one in row["channels"]):
            return self.say("head_rules")
        return (
            self.say(self.of_group(codes[0]))
            if codes and known("why", codes[0])
            else self.say("head_other", what=", ".join(codes))
        )

    def held(self) -> str:
        """By which campaign the message was held back, and why."""
        campaign = campaign_of(self.row) or {}
        code = _cause(campaign)
        if any(one["rule"]["id"] == code for one in self.context["rules"]):
            what = self.rule(code)
        else:
            known_as = next((one for one in _held_back_keys(code) if known("held_back", one)), None)
            what = code if known_as is None else f"{say('held_back', known_as, self.language)} ({code})"
        return self.say("held_by", campaign=campaign.get("campaign_id") or MISSING, what=what)

    def campaign(self) -> list[tuple[str, str]]:
        """The campaign and template of the message that was chosen, and whether it goes out."""
        campaign = campaign_of(self.row)
        if campaign is None:
            return []
        template = MISSING
        if campaign["template_id"]:
            template = f"{campaign['template_id']} v{campaign['template_version']}"
        state = self.say("goes_out") if campaign["is_sent"] else self.held()
        return [("campaign", self.say("campaign_text", campaign=campaign["campaign_id"] or MISSING, template=template,
                                      state=state))]  # fmt: skip

    def place(self, place: int, size: int) -> str:
        """The place among the contacts that go out; with the number of the list where some of it are held back."""
        if is_held_back(self.row):
            return self.say("not_listed")
        rank = int(self.row["rank"])
        return self.say("rank_of" if place == rank else "rank_listed", place=place, rank=rank, size=size)

    def facts(self, place: int, size: int) -> tuple[tuple[str, str], ...]:
        """Label and value of what is true of the member and of the draw."""
        row = self.row
        plan = next((one["channel_code"] for one in row["channels"] if one["greedy_action"]), None)
        found = [
            ("owed", self.money(row["arrears_amount"])),
            ("days", figure(row["past_due_days"], self.language, 0)),
            ("risk", percent(row["default_probability"], self.language)),
        ]
        if self.is_contact:
            found += [
                ("list", self.list_name()),
                ("rank", self.place(place, size)),
                ("window", f"{self.moment(row['window_start'])} – {self.moment(row['window_end'], '%H:%M')}"),
                ("gain", self.part(row["expected_gain_amount"])),
                ("provision", self.part(row.get("provision_avoided_amount"), "provision_weight")),
                ("fee", self.part(row.get("fee_amount"), "collection_fee_weight")),
                ("cost", self.money(row["contact_cost_amount"])),
                ("value", self.part(row.get("value_amount"))),
                ("charge", self.charge()),
            ]
            chosen = self.weighing.chosen
            found += [
                (name, self.money(chosen[f"{name}_amount"]))
                for name in ("stay", "hours")
                if chosen.get(f"{name}_amount")
            ]
        found += [*self.second(), *self.campaign()]
        unknown = row["propensity"] is None
        found += [
            ("plan", self.say("nothing") if plan is None else self.name(plan)),
            ("drawn", self.say("drawn_yes" if row["is_exploration"] else "drawn_no")),
            ("propensity", self.say("propensity_unknown") if unknown else percent(row["propensity"], self.language)),
            ("experiment", self.arm()),
        ]
        found += [("duty", self.duty(one)) for one in json.loads(row.get("duties") or "[]")]
        return tuple((self.say(label), value) for label, value in found)

    @property
    def changes(self) -> dict[str, Any]:
        """What the arm of the row changes of the day's settings."""
        return changes_of(self.context.get("summary", {}), self.row)

    def arm(self) -> str:
        """Experiment and arm of the row, and what the arm changes."""
        if not self.row["experiment_id"]:
            return self.say("no_experiment")
        key = "arm" if not self.changes else "arm_ladder" if LADDER in self.changes else "arm_changed"
        changes = in_words(self.changes, self.language)
        return self.say(key, experiment=self.row["experiment_id"], arm=self.row["arm_code"], changes=changes)

    def second(self) -> list[tuple[str, str]]:
        """The second contact of the day: through what and when, its value, and what the rules had to permit."""
        second = second_of(self.row)
        if second is None:
            return []
        hours = f"{self.moment(second['window_start'])} – {self.moment(second['window_end'], '%H:%M')}"
        parts = {
            "gain": "expected_gain_amount",
            "provision": "provision_avoided_amount",
            "fee": "fee_amount",
            "cost": "contact_cost_amount",
        }
        text = {name: self.money(second[column]) for name, column in parts.items()}
        share = percent(self.settings["decision"].get("second_action_share"), self.language)
        channel = self.name(second["action"])
        owner = second["collector_id"] or channel
        place = self.say("second_text", channel=channel, list=owner, rank=second["rank"], hours=hours)
        value = self.say("second_value_text", value=self.money(second["value_amount"]), share=share, **text)
        if self.changes:
            value = self.say("second_value_today", text=value)
        return [
            ("second", place),
            ("second_value", value),
            ("second_rule", self.say(f"second_{second['second_after']}", first=self.name(self.row["action"]))),
        ]

    def duty(self, one: Mapping[str, Any]) -> str:
        """A contact that a rule asks for, by when, and what became of it."""
        return self.say(
            f"duty_{one['state']}", rule=self.rule(one["rule"]), due=one["due_date"] or MISSING, until=one["until"]
        )

    @property
    def own_weights(self) -> dict[str, Any]:
        """Settings of the decision that the arm of the row changes."""
        named = (key.partition("decision.") for key in self.changes)
        return {name: self.changes[prefix + name] for _, prefix, name in named if prefix}

    def part(self, value: Any, weight: str | None = None) -> str:
        """A part of the value of the contact; with the part of it that counts, where a setting says so."""
        if not self.is_money:
            return self.say("none_estimated")
        share = {**self.settings["decision"], **self.own_weights}.get(weight) if weight else None
        return self.money(value) if share is None else self.say(
            "weighed", amount=self.money(value), share=percent(share, self.language)
        )  # fmt: skip

    def charge(self) -> str:
        """What may be charged to the member for the contact, by the rules of fees in force."""
        value = self.row.get("chargeable_fee_amount")
        if value is None or not value > 0:
            return self.say("charge_unknown" if value is None else "charge_none")
        rules = [one["rule"] for one in self.context["rules"] if one["rule"]["kind"] == "fee"]
        rules = [rule for rule in rules if rule["channels"] == "all" or self.row["action"] in rule["channels"]]
        text = self.money(value)
        if any(rule["vat_added"] for rule in rules):
            text = self.say("charge_vat", text=text)
        if any(rule["charge_requires"] == "effective" for rule in rules):
            text = self.say("charge_effective", text=text)
        return self.say("charge_rules", text=text, rules=", ".join(rule["id"] for rule in rules))

    def list_name(self) -> str:
        """The collector's list, or the channel's for messages."""
        return str(self.row["collector_id"]) if self.row["collector_id"] else self.name(self.row["action"])

    def moment(self, value: datetime | str | None, form: str = "%Y-%m-%d %H:%M") -> str:
        """A moment in the institution's zone."""
        if value is None:
            return MISSING
        stamp = pd.Timestamp(value)
        stamp = stamp.tz_localize("UTC") if stamp.tz is None else stamp
        return str(stamp.tz_convert(ZoneInfo(self.settings["institution"]["timezone"])).strftime(form))

    def reasons(self) -> tuple[str, ...]:
        """The sentences that the lists show, as they were on the day; a code that has none is shown as it is."""
        texts = self.context["reason_texts"]
        codes = json.loads(self.row["reason_codes"])
        return tuple(texts[code][self.language] if code in texts else code for code in codes)

    def channel(self, one: Mapping[str, Any]) -> ChannelWhy:
        """What was weighed of one channel."""
        price, net = one["price_amount"], one["net_amount"]
        return ChannelWhy(
            channel_code=one["channel_code"],
            channel=self.name(one["channel_code"]),
            is_allowed=one["is_allowed"],
            is_chosen=one["is_chosen"],
            verdict=" ".join(self.verdict(one)),
            gain=figure(one["gain_amount"], self.language),
            provision=figure(one.get("provision_avoided_amount"), self.language),
            fee=figure(one.get("fee_amount"), self.language),
            cost=figure(one["cost_amount"], self.language),
            net=figure(net, self.language),
            price=figure(price, self.language),
            surplus=figure(surplus(one), self.language),
            charge=figure(one.get("chargeable_fee_amount"), self.language),
        )

    def verdict(self, one: Mapping[str, Any]) -> list[str]:
        """Allowed or blocked and by what; if allowed, why it was or was not the one."""
        if not one["is_allowed"]:
            blocked = [self.say("blocked", rules="; ".join(self.rule(code) for code in json.loads(one["blocked_by"])))]
            if one["is_never"]:
                blocked.append(self.say("never"))
            elif one["earliest_permitted_at"] is not None:
                blocked.append(self.say("from", moment=self.moment(one["earliest_permitted_at"])))
            sources = json.loads(one["sources"] or "[]")
            return [*blocked, *([self.say("source", sources=", ".join(sources))] if sources else [])]
        if one["is_chosen"]:
            if self.row["is_exploration"]:
                part = percent(one["explore_probability"], self.language)
                said = [self.say("chosen_drawn", probability=part)]
            else:
                ground = self.weighing.ground()
                key = f"chosen_{ground.code}"
                said = [self.weighed(key, ground) if ground.code != BEST and known("why", key) else self.say("chosen")]
            if is_held_back(self.row):
                said.append(self.say("chosen_held", held=self.held()))
        else:
            found = self.weighing.of_channel(one)
            said = [self.say("permitted"), *([self.weighed(self.of_group(found.code), found)] if found.code else [])]
        second = second_of(self.row)
        if second is not None and second["action"] == one["channel_code"]:
            said = [self.say("permitted"), self.say("chosen_second")]
            if is_held_back({**second, CAMPAIGN: self.row.get(CAMPAIGN)}):
                said.append(self.say("chosen_held", held=self.held()))
        return said + ([self.say("by_plan")] if one["greedy_action"] and not one["is_chosen"] else [])

    def rule(self, code: str) -> str:
        """A rule in words, with its id."""
        entry = next((one["rule"] for one in self.context["rules"] if one["rule"]["id"] == code), None)
        if entry is None or not known("rule_kinds", entry["kind"]):
            return code if entry is None or not entry.get("note") else f"{entry['note']} ({code})"
        values = {name: entry.get(name) for name in ("n", "days", "hours", "years")}
        if "window" in entry:
            kind, _, days = str(entry["window"]).partition(":")
            values["window"] = say("windows", "rolling" if days else kind, self.language, days=days)
        for name, group in (("event", "events"), ("what", "requirements")):
            if name in entry:
                values[name] = say(group, entry[name], self.language) if known(group, entry[name]) else str(entry[name])
        if entry.get("amount") is not None:
            values["amount"] = self.money(entry["amount"])
        return f"{say('rule_kinds', entry['kind'], self.language, **values)} ({code})"

    def around(self, everybody: pd.DataFrame) -> tuple[tuple[Neighbour, ...], int, int]:
        """The contacts before and after in the same list, the place in it, and how many go out."""
        row, everybody = self.row, _with_seconds(everybody)
        if not self.is_contact or is_held_back(row):
            return (), 0, 0
        if row["action"] in COLLECTOR_CHANNELS and row["collector_id"] is not None:
            mine = everybody[everybody["collector_id"] == row["collector_id"]]
        else:
            mine = everybody[everybody["action"] == row["action"]]
        if CAMPAIGN in mine:
            mine = mine[[not is_held_back(one) for one in mine[["action", CAMPAIGN]].to_dict("records")]]
        mine = mine.sort_values("rank", kind="stable").reset_index(drop=True)
        own = mine.index[(mine["customer_id"] == row["customer_id"]) & (mine["rank"] == row["rank"])]
        at = int(own[0])
        near = mine.iloc[max(at - _AROUND, 0) : at + _AROUND + 1]
        return (
            tuple(
                Neighbour(
                    rank=int(one["rank"]),
                    customer_id=str(one["customer_id"]),
                    is_this=bool(one["customer_id"] == row["customer_id"] and one["rank"] == row["rank"]),
                    # an entry without the value was written before provisions counted
                    net=figure(
                        one.get("value_amount", one["expected_gain_amount"] - one["contact_cost_amount"]), self.language
                    ),
                    owed=self.money(one["arrears_amount"]),
                    days=figure(one["past_due_days"], self.language, 0),
                )
                for one in near.to_dict("records")
            ),
            at + 1,
            len(mine),
        )
