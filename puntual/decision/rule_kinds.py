"""The kinds of contact rule: what each says, which keys it has, and what of them is refused.

Every kind here is enforced by ``rules.py`` (or, for duties, fees and limits of a whole list, by the module that its
docstring names) and judged again by ``checker.py``.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from puntual.strict import Strict

CHANNELS = ("call", "ivr", "whatsapp", "sms", "email", "visit", "letter", "web_chat")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Reading = Literal["strict_default", "alternative_reading"]
Channel = Literal["call", "ivr", "whatsapp", "sms", "email", "visit", "letter", "web_chat"]
PointKind = Literal["mobile", "mobile_with_whatsapp", "landline", "email", "address"]
Obligor = Literal["debtor", "codebtor", "guarantor"]
"""Parties who answer for a debt: a rule may let these be contacted, and nobody else."""
OBLIGORS: tuple[Obligor, ...] = get_args(Obligor)
_INTERVAL = re.compile(r"^([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)$")
_MINUTES_A_DAY = 24 * 60


class Where(Strict):
    """Whom a rule concerns: members of these provinces (states), or of these time zones; both if both are given.

    Accents and capitals of a province do not matter. A member whose province or zone is not known is concerned.
    """

    province: tuple[str, ...] | None = Field(default=None, min_length=1)
    timezone: tuple[str, ...] | None = Field(default=None, min_length=1)

    @field_validator("timezone")
    @classmethod
    def _zones_exist(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in value or ():
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(f"{name!r} is no time zone") from error
        return value

    @model_validator(mode="after")
    def _something(self) -> Where:
        if self.province is None and self.timezone is None:
            raise ValueError("where must name provinces or time zones")
        return self


class _Rule(Strict):
    id: str = Field(pattern=r"^[A-Z0-9][A-Z0-9_-]*/[a-z0-9_]+$")
    channels: tuple[Channel, ...]
    readings: tuple[Reading, ...] = Field(default=("strict_default", "alternative_reading"), min_length=1)
    question: str | None = None
    where: Where | None = None
    effective_from: date | None = None
    effective_to: date | None = None
    confidence: Literal["primary", "secondary", "memory"] | None = None
    sources: tuple[str, ...] = ()
    note: str | None = None

    @property
    def asks(self) -> str:
        """The question of which this rule is one answer: its ``question``, else its own id."""
        return self.question or self.id

    @model_validator(mode="after")
    def _dates_in_order(self) -> _Rule:
        if self.effective_from and self.effective_to and self.effective_to < self.effective_from:
            raise ValueError("effective_to lies before effective_from")
        return self

    def in_force(self, day: date) -> bool:
        """Whether the rule itself holds on ``day``, both ends included; its policy has dates of its own."""
        return (self.effective_from is None or self.effective_from <= day) and (
            self.effective_to is None or day <= self.effective_to
        )

    @field_validator("channels", mode="before")
    @classmethod
    def _all_channels(cls, value: Any) -> Any:
        return CHANNELS if value == "all" else value

    @field_validator("channels")
    @classmethod
    def _some_channel(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("must be 'all' or a list of different channels")
        return value


def _minutes(interval: str) -> tuple[int, int]:
    match = _INTERVAL.match(interval)
    if not match:
        raise ValueError(f"{interval!r} is not an interval such as '07:00-20:00'")
    first_hour, first_minute, last_hour, last_minute = map(int, match.groups())
    first, last = first_hour * 60 + first_minute, last_hour * 60 + last_minute
    if not 0 <= first < last <= _MINUTES_A_DAY:
        raise ValueError(f"{interval!r} must begin before it ends, within one day")
    return first, last


class WindowRule(_Rule):
    """Contact is permitted in these local hours only, start included, end excluded; ``holidays`` blocked or open."""

    kind: Literal["window"]
    weekdays: dict[str, tuple[str, ...]]
    holidays: Literal["blocked", "open"]

    @model_validator(mode="after")
    def _whole_week(self) -> WindowRule:
        if set(self.weekdays) != set(WEEKDAYS):
            raise ValueError(f"weekdays must name {', '.join(WEEKDAYS)}; an empty list closes a day")
        for intervals in self.weekdays.values():
            spans = sorted(_minutes(interval) for interval in intervals)
            if any(later[0] < earlier[1] for earlier, later in pairwise(spans)):
                raise ValueError(f"intervals overlap: {intervals}")
        return self

    def spans(self, weekday: int) -> list[tuple[int, int]]:
        """Open minutes since midnight of ``weekday`` (Monday 0), in order."""
        return sorted(_minutes(interval) for interval in self.weekdays[WEEKDAYS[weekday]])


class MaxCountRule(_Rule):
    """At most ``n`` outbound attempts (or right-party contacts: ``effective``) in the window.

    ``together`` counts all of ``channels`` as one, ``each`` every channel alone. ``rolling_days:k`` is the contact day
    and the k - 1 days before it. ``person`` counts whatever debt they were about; ``person_debt`` those about the debt
    of the day's contact, and those that name none.
    """

    kind: Literal["max_count"]
    window: str
    n: int = Field(ge=1)
    across: Literal["together", "each"] = "together"
    counts: Literal["attempt", "effective"] = "attempt"
    scope: Literal["person", "person_debt"] = "person"

    @field_validator("window")
    @classmethod
    def _known_window(cls, value: str) -> str:
        if value in {"calendar_day", "iso_week"}:
            return value
        match = re.match(r"^rolling_days:([1-9]\d{0,3})$", value)
        if not match:
            raise ValueError(f"{value!r} is none of calendar_day, iso_week, rolling_days:<n>")
        return value

    @property
    def days(self) -> int:
        """Length of the window in days; an ISO week counts from its Monday."""
        if self.window == "calendar_day":
            return 1
        return 7 if self.window == "iso_week" else int(self.window.partition(":")[2])


class MinSpacingRule(_Rule):
    """``days`` whole days between two attempts through these channels; or their difference, if the first day counts."""

    kind: Literal["min_spacing"]
    days: int = Field(ge=1)
    day_of_event_counts: bool = False


class SingleChannelRule(_Rule):
    """After the first right-party contact of an ISO week, the rest of that week stays with its channel."""

    kind: Literal["single_channel"]
    window: Literal["iso_week"]
    event: Literal["right_party_contact"]


class CooloffRule(_Rule):
    """No contact for ``days`` whole days after the event; for an open promise until its due day and grace are over.

    Event ``status``: after a dated status of the member (``status``, as in ``payment_pending``) begins, or until it
    ends if that is sooner. ``event_channels``: only conversations through these count. ``person_debt``: only those
    about the debt of the day's contact, and those that name none. ``allow`` lets a reminder through on the day before
    a promise is due, if no other open promise forbids it.
    """

    kind: Literal["cooloff"]
    event: Literal["promise_open", "payment", "right_party_contact", "complaint", "status"]
    days: int | None = Field(default=None, ge=1)
    day_of_event_counts: bool = False
    allow: tuple[Literal["reminder_on_due_minus_1"], ...] = ()
    event_channels: tuple[Channel, ...] | None = Field(default=None, min_length=1)
    scope: Literal["person", "person_debt"] = "person"
    status: str | None = None

    @model_validator(mode="after")
    def _keys_of_its_event(self) -> CooloffRule:
        if (self.days is None) != (self.event == "promise_open"):
            raise ValueError("days is needed, except for promise_open, which lasts until due date plus grace")
        if self.allow and self.event != "promise_open":
            raise ValueError("allow belongs to event: promise_open")
        if (self.event_channels or self.scope != "person") and self.event != "right_party_contact":
            raise ValueError("event_channels and scope belong to event: right_party_contact")
        if (self.status is not None) != (self.event == "status"):
            raise ValueError("status belongs to event: status, and only there")
        return self


class RequireRule(_Rule):
    """What must be known of the contact point that is used. Unknown does not pass, but for these.

    ``consent_not_refused`` and ``not_workplace`` ask what must not be known: a point of which nothing is told passes.
    Who reads the law as closing what is not told adds ``place_told``. ``own``: it reaches the member, as one does of
    which no party is told. A consent counts from the moment when it was given; one whose moment is not told counts
    always, and lifts no opt-out.
    """

    kind: Literal["require"]
    what: Literal[
        "contact_point",
        "valid",
        "not_opted_out",
        "consent",
        "consent_not_refused",
        "not_workplace",
        "place_told",
        "own",
    ]
    point_kinds: dict[Channel, tuple[PointKind, ...]] | None = None

    @model_validator(mode="after")
    def _point_kinds_of_every_channel(self) -> RequireRule:
        if (self.point_kinds is not None) != (self.what == "contact_point"):
            raise ValueError("point_kinds belongs to what: contact_point, and only there")
        if self.point_kinds is not None and set(self.point_kinds) != set(self.channels):
            raise ValueError("point_kinds must name exactly the channels of the rule")
        return self


class StopWordsRule(_Rule):
    """A message that came in through one of ``channels`` and says just one of ``words`` ends that channel.

    Capitals, accents and the punctuation around the word do not matter. A consent given later through the contact point
    that is used lifts it.
    """

    kind: Literal["stop_words"]
    words: tuple[str, ...] = Field(min_length=1)

    @field_validator("words", mode="before")
    @classmethod
    def _words_are_texts(cls, value: Any) -> Any:
        for word in value if isinstance(value, list | tuple) else []:
            if not isinstance(word, str) or not word.strip():
                raise ValueError(f"{word!r} is no word; put quotes around words such as 'NO'")
        return value


class ServiceWindowRule(_Rule):
    """Without an approved template, only within ``hours`` of the member's last message through the channel.

    The contact's hours end when that time is over. Judged when the institution says which templates are approved.
    """

    kind: Literal["service_window"]
    hours: int = Field(ge=1, le=168)


class ForbidRule(_Rule):
    """These channels are closed: to members of ``status``, or to everyone whom the rule concerns if none is given.

    A status of the member's record has no known end; one of the dated statuses ends on its last day; a rule with
    ``effective_to`` (a blackout) on that day.
    """

    kind: Literal["forbid"]
    status: str | None = None
    route: str | None = None


class KnownStatusRule(_Rule):
    """Members whose status is missing or none of these are not contacted; nor those with another dated status."""

    kind: Literal["known_status"]
    statuses: tuple[str, ...] = Field(min_length=1)


class PartyRule(_Rule):
    """Only these parties of the debt are contacted, and only through contact points that reach one of them.

    A member of whom no part is told is a debtor, and a contact point of which none is told reaches the member.
    """

    kind: Literal["party"]
    allowed: tuple[Obligor, ...] = Field(min_length=1)


class MinAgeRule(_Rule):
    """Nobody younger than ``years`` on the contact day, by their date of birth.

    Where the source tells birth dates, one that is not recorded is blocked; where it tells none the rule judges nobody
    (:meth:`puntual.decision.policies.PolicySet.not_judged` says so).
    """

    kind: Literal["min_age"]
    years: int = Field(ge=1, le=120)


class PastDueRule(_Rule):
    """Only members with these past-due days, both ends included (``max_days`` null: no end)."""

    kind: Literal["past_due_days"]
    min_days: int = Field(ge=0)
    max_days: int | None = None

    @model_validator(mode="after")
    def _in_order(self) -> PastDueRule:
        if self.max_days is not None and self.max_days < self.min_days:
            raise ValueError("max_days lies below min_days")
        return self


class MinAmountRule(_Rule):
    """Nobody is contacted for less: what is owed today and falls due in the response window, over all loans."""

    kind: Literal["min_amount"]
    basis: Literal["collectable_amount"]
    amount: float = Field(gt=0)
    currency: str = Field(pattern=r"^[A-Z]{3}$")


class MinCountByRule(_Rule):
    """A duty: at least ``n`` contacts within ``days`` days after a missed due date. See ``duties.py``.

    It gives precedence in the allocation and lifts no limit.
    """

    kind: Literal["min_count_by"]
    event: Literal["missed_due_date"]
    days: int = Field(ge=1)
    n: int = Field(ge=1)
    counts: Literal["attempt", "effective"] = "attempt"
    free_of_charge: bool = False


class MaxUsersRule(_Rule):
    """At most ``n`` different members in any 24 hours through these channels: a limit of the list (``sending.py``)."""

    kind: Literal["max_users"]
    window: Literal["rolling_hours:24"]
    n: int = Field(ge=0)


class FeeRule(_Rule):
    """When a contact may be charged to the member: at most ``n`` a loan and month (``fees.py``). It blocks nothing."""

    kind: Literal["fee"]
    scope: Literal["loan"]
    window: Literal["calendar_month"]
    n: int = Field(ge=0)
    charge_requires: Literal["effective", "attempt"]
    not_before_past_due_days: int = Field(ge=0)
    basis: Literal["installment_with_most_days_past_due"]
    vat_added: bool


Rule = Annotated[
    WindowRule
    | MaxCountRule
    | MinSpacingRule
    | SingleChannelRule
    | CooloffRule
    | RequireRule
    | StopWordsRule
    | ServiceWindowRule
    | ForbidRule
    | KnownStatusRule
    | PartyRule
    | MinAgeRule
    | PastDueRule
    | MinAmountRule
    | MinCountByRule
    | MaxUsersRule
    | FeeRule,
    Field(discriminator="kind"),
]

OF_A_LIST = frozenset({"min_count_by", "max_users", "fee"})
"""Kinds that block no single contact: a duty, a limit of the whole list, and what may be charged."""


def plain(text: object) -> str:
    """A name or a message without accents, capitals, and what is neither letter nor digit around it."""
    if not isinstance(text, str):
        return ""
    letters = [letter for letter in unicodedata.normalize("NFD", text) if unicodedata.category(letter) != "Mn"]
    return " ".join("".join(letters).lower().split()).strip(".,;:!¡?¿'\"()-_* ")
