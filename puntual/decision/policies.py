"""Contact policies: validated YAML files, put together for one country, day and reading.

A policy is data with an id, a version, a scope and a list of rules of the kinds below. What the files ask for and the
engine cannot see to (wording, telephone settings, duties) stands in ``obligations`` and comes out in
:attr:`PolicySet.not_enforced`: nothing is accepted in silence. How rules are evaluated is in ``rules.py``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from puntual.decision.rule_kinds import (
    CHANNELS,
    WEEKDAYS,
    Channel,
    CooloffRule,
    FeeRule,
    KnownStatusRule,
    MaxCountRule,
    MaxUsersRule,
    MinAgeRule,
    MinAmountRule,
    MinCountByRule,
    MinSpacingRule,
    PartyRule,
    PastDueRule,
    Reading,
    Rule,
    WindowRule,
)
from puntual.errors import RuleError
from puntual.strict import Strict

__all__ = [
    "CHANNELS",
    "WEEKDAYS",
    "Channel",
    "Ladder",
    "Policy",
    "PolicySet",
    "Reading",
    "Told",
    "as_json",
    "load_ladder",
    "load_policies",
]

OTHER_FILES = frozenset({"ladder", "reasons", "owners", "segments", "templates", "escalation", "campaigns"})
"""Files of the same folders that are not policies."""


_NO_END = 10**9


Told = Literal["place", "party", "member_party", "birth_date", "templates"]
"""What a source may tell of contact points and members, or a file of its templates; a rule about it judges once it does
(``reachable.told``)."""


class NotEnforced(Strict):
    """Something a policy asks for that no list can enforce, and why; in Spanish, too, where somebody wrote it.

    ``until_told``: a rule of the policy sees to it as soon as the source tells this.
    """

    id: str
    text: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    text_es: str | None = Field(default=None, min_length=1)
    reason_es: str | None = Field(default=None, min_length=1)
    until_told: Told | None = None

    def published(self) -> dict[str, str]:
        """What a snapshot says of it; a language in which nobody wrote it is left out."""
        return self.model_dump(exclude={"until_told"}, exclude_none=True)


class Obligation(NotEnforced):
    """What a policy file lists as not enforced: its id begins with that of the policy."""

    id: str = Field(pattern=r"^[A-Z0-9][A-Z0-9_-]*/[a-z0-9_]+$")


class Scope(Strict):
    """Where a policy holds: one jurisdiction, one channel, one institution, or everywhere."""

    jurisdiction: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    channel: Channel | None = None
    institution: str | None = None
    everyone: Literal[True] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Scope:
        if sum(part is not None for part in (self.jurisdiction, self.channel, self.institution, self.everyone)) != 1:
            raise ValueError("scope must name exactly one of jurisdiction, channel, institution, everyone")
        return self


class Policy(Strict):
    """One policy file."""

    id: str = Field(pattern=r"^[A-Z0-9][A-Z0-9_-]*$")
    version: int = Field(ge=1)
    title: str
    scope: Scope
    timezone: str
    effective_from: date | None
    effective_to: date | None
    confidence: Literal["primary", "secondary", "memory"]
    sources: tuple[str, ...] = Field(min_length=1)
    rules: tuple[Rule, ...]
    obligations: tuple[Obligation, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        if value not in {"per_person", "institution"}:
            try:
                ZoneInfo(value)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(f"{value!r} is no time zone, nor per_person, nor institution") from error
        return value

    @model_validator(mode="after")
    def _ids_begin_with_the_policy(self) -> Policy:
        for part in (*self.rules, *self.obligations):
            if not part.id.startswith(f"{self.id}/"):
                raise ValueError(f"the id {part.id} must begin with {self.id}/")
        if self.effective_from and self.effective_to and self.effective_to < self.effective_from:
            raise ValueError("effective_to lies before effective_from")
        if self.scope.channel is not None:
            for rule in self.rules:
                if rule.channels != (self.scope.channel,):
                    raise ValueError(f"{rule.id} must keep to the channel of the policy, {self.scope.channel}")
        return self

    def in_force(self, day: date) -> bool:
        """Whether the policy holds on ``day``; both ends included, an open end is always."""
        return (self.effective_from is None or self.effective_from <= day) and (
            self.effective_to is None or day <= self.effective_to
        )


class EnforcedRule(Strict):
    """A rule in force, with what it inherits from its policy; ``last_day`` of the two, None if neither has an end."""

    policy_id: str
    timezone: str
    sources: tuple[str, ...]
    confidence: Literal["primary", "secondary", "memory"]
    last_day: date | None
    rule: Rule


class PolicySet(Strict):
    """The rules in force for one country, day and reading, in a fixed order.

    ``has_jurisdiction`` False: no policy of the country is in force, and every contact is blocked by
    ``no_jurisdiction_id``. ``readings``: the reading that holds for each question of which sources differ.
    ``without_hours``: channels for which no rule of the country in force gives hours to everybody, blocked by
    ``no_hours_id``: a country of which only the fees are known is not known. ``digests`` has the sha256 of each file
    that takes part.
    """

    country: str
    as_of: date
    reading: Reading
    rules: tuple[EnforcedRule, ...]
    not_enforced: tuple[NotEnforced, ...]
    digests: dict[str, str]
    files: tuple[Path, ...]
    has_jurisdiction: bool
    without_hours: tuple[Channel, ...] = ()
    readings: dict[str, Reading] = Field(default_factory=dict)

    @property
    def no_hours_id(self) -> str:
        """Rule id of channels whose hours the law that is in force does not tell."""
        return f"NO-HOURS-{self.country}"

    @property
    def no_jurisdiction_id(self) -> str:
        """Rule id of members of a country whose law is not known."""
        return f"NO-POLICY-{self.country}"

    def of_kind(self, kind: str) -> list[tuple[int, EnforcedRule]]:
        """Rules of one kind with their position in the set."""
        return [(index, entry) for index, entry in enumerate(self.rules) if entry.rule.kind == kind]

    def not_judged(self, told: frozenset[Told]) -> tuple[NotEnforced, ...]:
        """What nobody sees to when the source tells ``told``."""
        return tuple(entry for entry in self.not_enforced if entry.until_told not in told)

    @property
    def fixed_timezone(self) -> str | None:
        """Zone that the country's policy gives to a person whose own is not recorded; None: it gives none."""
        zones = {entry.timezone for entry in self.rules if entry.timezone not in {"per_person", "institution"}}
        return min(zones) if len(zones) == 1 else None


class _Read(NamedTuple):
    policy: Policy
    digest: str
    file: Path


def _read(file: Path) -> _Read:
    try:
        text = file.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RuleError(f"{file} cannot be read as YAML: {error}") from error
    try:
        policy = Policy.model_validate(content)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            place = ".".join(str(part) for part in problem["loc"])
            what = problem["msg"]
            if problem["type"] == "literal_error":
                what += f", not {problem['input']!r}"
            if problem["type"] == "extra_forbidden":
                what = "unknown key"
            elif problem["type"] == "union_tag_invalid":
                what = (
                    "this kind of rule is not enforced; move it to 'obligations' with a reason, or use one of "
                    f"{problem['ctx']['expected_tags']}"
                )
            problems.append(f"{file}: {place or 'file'}: {what}")
        raise RuleError("\n".join(problems)) from error
    if policy.id != file.stem:
        raise RuleError(f"{file}: the id {policy.id} must be the name of the file")
    return _Read(policy, hashlib.sha256(text.encode("utf-8")).hexdigest(), file)


def _policy_files(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if file.suffix in {".yaml", ".yml"}]
    return sorted(file for file in files if file.stem not in OTHER_FILES)


def load_policies(
    shipped_dir: Path,
    institution_dir: Path | None,
    country: str,
    as_of: date,
    *,
    currency: str = "USD",
    reading: Reading = "strict_default",
    readings: Mapping[str, Reading] | None = None,
) -> PolicySet:
    """Rules in force on ``as_of`` in ``country``: country, channels, statuses and institution together.

    Args:
        shipped_dir: the project's policies.
        institution_dir: the institution's own; may be None or absent. They may only tighten what is shipped.
        country: ISO code of the institution's country.
        as_of: contact day.
        currency: minimum amounts in another currency are not enforced, and listed as such.
        reading: which of two readings holds where sources differ.
        readings: another one for a question (``question`` of rules, the id of the first of them) or for a whole policy,
            by its id; that of the question holds before that of the policy.

    Raises:
        RuleError: a file is not valid, has a kind of rule that the engine does not enforce, repeats an id, or is
            looser than a shipped rule; names the file, or both rules. A key of ``readings`` is no policy and no
            question that has two.
    """
    shipped = [_read(file) for file in _policy_files(shipped_dir)]
    own = []
    if institution_dir is not None and institution_dir.is_dir():
        own = [_read(file) for file in _policy_files(institution_dir)]
    _check_ids_once([read.policy for read in (*shipped, *own)])

    chosen = dict(readings or {})
    _check_readings([read.policy for read in (*shipped, *own)], chosen)

    taking_part = sorted(
        (
            read
            for read in (*shipped, *own)
            if read.policy.in_force(as_of) and read.policy.scope.jurisdiction in {None, country}
        ),
        key=lambda read: read.policy.id,
    )
    shipped_ids = {read.policy.id for read in shipped}
    rules: list[EnforcedRule] = []
    not_enforced: list[NotEnforced] = []
    answered: dict[str, Reading] = {}
    for policy in (read.policy for read in taking_part):
        not_enforced += [NotEnforced(**obligation.model_dump()) for obligation in policy.obligations]
        for rule in policy.rules:
            mine = chosen.get(rule.asks, chosen.get(policy.id, reading))
            if set(rule.readings) != set(get_args(Reading)):
                answered[rule.asks] = mine
            if mine not in rule.readings or not rule.in_force(as_of):
                continue
            if isinstance(rule, MinAmountRule) and rule.currency != currency:
                not_enforced.append(
                    NotEnforced(
                        id=rule.id,
                        text=f"Minimum amount of {rule.amount} {rule.currency}.",
                        reason=f"The institution's money is {currency}; give a minimum in it in the home's policies.",
                        text_es=f"Monto mínimo de {rule.amount} {rule.currency}.",
                        reason_es=f"La moneda de la institución es {currency}; indique un mínimo en ella en las "
                        "políticas de su carpeta.",
                    )
                )
                continue
            if isinstance(rule, MinAgeRule):
                not_enforced.append(
                    NotEnforced(
                        id=rule.id,
                        text=f"Nobody under {rule.years} years is contacted.",
                        reason="No birth date was delivered (customers.birth_date); the rule judges once some are, and "
                        "then blocks those without.",
                        text_es=f"No se contacta a menores de {rule.years} años.",
                        reason_es="No se entregó ninguna fecha de nacimiento (customers.birth_date); la regla se "
                        "aplica en cuanto haya alguna, y entonces bloquea a quienes no la tengan.",
                        until_told="birth_date",
                    )
                )
            sources = rule.sources or policy.sources
            ends = [day for day in (policy.effective_to, rule.effective_to) if day is not None]
            rules.append(
                EnforcedRule(
                    policy_id=policy.id,
                    timezone=policy.timezone,
                    sources=sources,
                    confidence=rule.confidence or policy.confidence,
                    last_day=min(ends, default=None),
                    rule=rule,
                )
            )
    _check_only_tightened(
        [entry.rule for entry in rules if entry.policy_id in shipped_ids],
        [entry.rule for entry in rules if entry.policy_id not in shipped_ids],
    )
    of_country = {read.policy.id for read in taking_part if read.policy.scope.jurisdiction == country}
    with_hours = {
        channel
        for entry in rules
        if entry.policy_id in of_country and isinstance(entry.rule, WindowRule) and entry.rule.where is None
        for channel in entry.rule.channels
    }
    return PolicySet(
        country=country,
        as_of=as_of,
        reading=reading,
        readings=answered,
        rules=tuple(rules),
        not_enforced=tuple(not_enforced),
        digests={read.policy.id: read.digest for read in taking_part},
        files=tuple(read.file for read in taking_part),
        has_jurisdiction=bool(of_country),
        without_hours=tuple(channel for channel in CHANNELS if channel not in with_hours) if of_country else (),
    )


def _check_readings(policies: list[Policy], readings: Mapping[str, Reading]) -> None:
    """Raise if a key is no policy and no question of which the sources differ, or a reading is none."""
    known = {policy.id for policy in policies}
    every = set(get_args(Reading))
    asked = {rule.asks for policy in policies for rule in policy.rules if set(rule.readings) != every}
    for key, reading in readings.items():
        if key not in known | asked:
            raise RuleError(
                f"decision.readings: {key} is no policy and no question with two readings. Questions: "
                f"{', '.join(sorted(asked))}. Policies: {', '.join(sorted(known))}."
            )
        if reading not in every:
            raise RuleError(f"decision.readings: {key}: {reading!r} is none of {', '.join(get_args(Reading))}.")


def _check_ids_once(policies: Iterable[Policy]) -> None:
    seen: set[str] = set()
    for policy in policies:
        for name in (policy.id, *(part.id for part in (*policy.rules, *policy.obligations))):
            if name in seen:
                raise RuleError(f"The id {name} stands twice in the policies; rename the institution's one.")
            seen.add(name)


def _check_only_tightened(shipped: list[Any], own: list[Any]) -> None:
    """Raise if a rule of the institution allows what a shipped rule of the same kind does not.

    Rules add up, so a looser one would change nothing; it is refused because its author believes that it does.
    """
    for mine in own:
        for theirs in shipped:
            if type(mine) is not type(theirs) or not set(mine.channels) & set(theirs.channels):
                continue
            if theirs.where not in {None, mine.where}:
                continue
            problem = _looser(mine, theirs)
            if problem:
                raise RuleError(
                    f"{mine.id} is looser than {theirs.id}: {problem}. An institution may only tighten; "
                    f"change or remove {mine.id}."
                )


def _looser(mine: Any, theirs: Any) -> str | None:
    if isinstance(mine, WindowRule):
        return _looser_window(mine, theirs)
    if isinstance(mine, MaxCountRule):
        same = (mine.window, mine.across, mine.counts) == (theirs.window, theirs.across, theirs.counts)
        same &= theirs.scope in {mine.scope, "person"}
        covers = set(theirs.channels) <= set(mine.channels) or theirs.across == "each"
        if same and covers and mine.n > theirs.n:
            return f"{mine.n} instead of {theirs.n} in {mine.window}"
    if isinstance(mine, MinSpacingRule) and (mine.days - mine.day_of_event_counts) < (
        theirs.days - theirs.day_of_event_counts
    ):
        return f"{mine.days} days instead of {theirs.days}"
    if (
        isinstance(mine, CooloffRule)
        and mine.event == theirs.event
        and mine.days is not None
        and (mine.days - mine.day_of_event_counts) < (theirs.days - theirs.day_of_event_counts)
    ):
        return f"{mine.days} days instead of {theirs.days} after {mine.event}"
    if (
        isinstance(mine, CooloffRule)
        and mine.event == theirs.event == "promise_open"
        and set(mine.allow) > set(theirs.allow)
    ):
        return "it allows a reminder"
    if isinstance(mine, MinAmountRule) and mine.currency == theirs.currency and mine.amount < theirs.amount:
        return f"{mine.amount} instead of {theirs.amount} {mine.currency}"
    if isinstance(mine, KnownStatusRule) and not set(mine.statuses) <= set(theirs.statuses):
        return f"it also knows {sorted(set(mine.statuses) - set(theirs.statuses))}"
    if isinstance(mine, PartyRule) and not set(mine.allowed) <= set(theirs.allowed):
        return f"it also lets {sorted(set(mine.allowed) - set(theirs.allowed))} be contacted"
    if isinstance(mine, MinAgeRule) and mine.years < theirs.years:
        return f"{mine.years} years instead of {theirs.years}"
    if isinstance(mine, PastDueRule):
        ends = [_NO_END if rule.max_days is None else rule.max_days for rule in (mine, theirs)]
        if mine.min_days < theirs.min_days or ends[0] > ends[1]:
            return f"days {mine.min_days} to {mine.max_days} instead of {theirs.min_days} to {theirs.max_days}"
    if isinstance(mine, MaxUsersRule) and mine.n > theirs.n:
        return f"{mine.n} members instead of {theirs.n}"
    if isinstance(mine, MinCountByRule) and (mine.days > theirs.days or mine.n < theirs.n):
        return f"{mine.n} in {mine.days} days instead of {theirs.n} in {theirs.days}"
    if isinstance(mine, FeeRule) and (
        mine.n > theirs.n or mine.not_before_past_due_days < theirs.not_before_past_due_days
    ):
        return f"{mine.n} charges from day {mine.not_before_past_due_days} on"
    return None


def _looser_window(mine: WindowRule, theirs: WindowRule) -> str | None:
    for weekday, name in enumerate(WEEKDAYS):
        allowed = theirs.spans(weekday)
        for first, last in mine.spans(weekday):
            if not any(start <= first and last <= end for start, end in allowed):
                return f"on {name} it opens {mine.weekdays[name]}, the other {theirs.weekdays[name]}"
    if mine.holidays == "open" and theirs.holidays == "blocked":
        return "it opens holidays"
    return None


class LadderStep(Strict):
    """Channels in order for past-due days from ``min_days`` to ``max_days``, both included."""

    min_days: int = Field(ge=0)
    max_days: int | None
    channels: tuple[Channel, ...] = Field(min_length=1)


class Ladder(Strict):
    """The written order of channels by past-due days: used while no channel model is on."""

    id: str
    version: int = Field(ge=1)
    steps: tuple[LadderStep, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_gap(self) -> Ladder:
        if self.steps[0].min_days != 0 or self.steps[-1].max_days is not None:
            raise ValueError("the ladder must start at day 0 and be open at the top")
        for lower, upper in pairwise(self.steps):
            if lower.max_days is None or upper.min_days != lower.max_days + 1:
                raise ValueError(f"gap or overlap between day {lower.min_days} and day {upper.min_days}")
        return self


def load_ladder(shipped_dir: Path, institution_dir: Path | None = None) -> Ladder:
    """The institution's ``ladder.yaml`` if it has one, else the shipped one.

    Raises:
        RuleError: the file is not valid; says where.
    """
    own = institution_dir / "ladder.yaml" if institution_dir is not None else None
    file = own if own is not None and own.exists() else shipped_dir / "ladder.yaml"
    try:
        return Ladder.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise RuleError(f"{file} is not a valid ladder: {error}") from error


def as_json(values: Iterable[str]) -> str:
    """Compact JSON list, the form in which lists of ids and codes are stored."""
    return json.dumps(list(values), ensure_ascii=False, separators=(",", ":"))
