"""What is recorded on the way: payments, contacts with their outcomes and promises, opt-outs, wrong numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.lab.laws import sigmoid
from models.lab.settings import CALL, CHANNELS, EMAIL, IVR, MESSAGE_CHANNELS, SMS, VISIT, WHATSAPP
from models.lab.world import World

OUTCOMES = (
    "no_answer",
    "wrong_number",
    "third_party",
    "right_party",
    "promise",
    "refusal",
    "dispute",
    "callback",
    "not_home",
    "sent",
    "delivered",
    "read",
    "replied",
    "failed",
    "opt_out",
    "complaint",
)
O = {name: code for code, name in enumerate(OUTCOMES)}  # noqa: E741
WEB_CHAT = len(CHANNELS)  # inbound only


@dataclass
class Week:
    """What is common to all rows in one step."""

    number: int
    start_day: int
    work_days: np.ndarray  # offsets 1..7 on which people may be contacted
    logged: bool


#: Two years of a large cooperative are tens of millions of rows: each column is as wide as it must be.
_CONTACT_TYPES = {
    "week": np.int16,
    "member": np.int32,
    "loan": np.int32,
    "channel": np.int8,
    "inbound": np.bool_,
    "day": np.int32,
    "second_of_day": np.int32,
    "outcome": np.int8,
    "reached": np.bool_,
    "promise_due": np.int32,
    "promise_cents": np.int64,
    "propensity": np.float64,
    "duration": np.float32,
}


@dataclass
class Records:
    """Everything that happened, column by column; each list holds one array per week."""

    payment_loan: list[np.ndarray] = field(default_factory=list)
    payment_day: list[np.ndarray] = field(default_factory=list)
    payment_cents: list[np.ndarray] = field(default_factory=list)
    payment_collector: list[np.ndarray] = field(default_factory=list)  # 1 when a visiting collector took it
    payment_reverses: list[np.ndarray] = field(default_factory=list)  # position of the payment undone, or -1
    payment_count: int = 0
    contacts: list[dict[str, np.ndarray]] = field(default_factory=list)
    propensities: list[dict[str, np.ndarray]] = field(default_factory=list)
    opt_outs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    bad_numbers: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    weekly: list[dict[str, float]] = field(default_factory=list)

    def contact(self, columns: dict[str, np.ndarray]) -> None:
        """Note contacts, one entry per contact in every column."""
        self.contacts.append({name: columns[name].astype(kind) for name, kind in _CONTACT_TYPES.items()})

    def pay(self, loan: np.ndarray, day: np.ndarray, cents: np.ndarray, by_collector: np.ndarray) -> np.ndarray:
        """Note payments; their running positions come back."""
        position = self.payment_count + np.arange(len(loan))
        self.payment_loan.append(loan.astype(np.int32))
        self.payment_day.append(day.astype(np.int32))
        self.payment_cents.append(cents)
        self.payment_collector.append(by_collector)
        self.payment_reverses.append(np.full(len(loan), -1, np.int32))
        self.payment_count += len(loan)
        return position


def record_contacts(
    world: World,
    records: Records,
    rng: np.random.Generator,
    *,
    week: Week,
    member: np.ndarray,
    loan: np.ndarray,
    channel: np.ndarray,
    day: np.ndarray,
    hour: np.ndarray,
    reached: np.ndarray,
    best_logit: np.ndarray,
    fatigue: np.ndarray,
    owed: np.ndarray,
    propensity: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """Outcomes and promises of the week's contacts; which of them left a promise that falls due after the week."""
    n = len(member)
    people = world.people
    u, v = rng.random(n), rng.random(n)
    works = people.works[member, channel]
    outcome = np.full(n, O["no_answer"])
    keen = sigmoid(-0.1 + 0.6 * best_logit)

    voice = (channel == CALL) | (channel == VISIT)
    promise_share = np.where(channel == CALL, 0.75, 0.62) * keen
    edges = np.stack(
        [promise_share, promise_share + 0.12 * (1 - keen) + 0.02, promise_share + 0.22, promise_share + 0.228]
    )
    spoken = np.where(
        u < edges[0],
        O["promise"],
        np.where(
            u < edges[1],
            O["refusal"],
            np.where(u < edges[2], O["callback"], np.where(u < edges[3], O["dispute"], O["right_party"])),
        ),
    )
    outcome = np.where(voice & reached, spoken, outcome)
    not_reached_call = np.where(
        ~works & (v < 0.55), O["wrong_number"], np.where(v < 0.14, O["third_party"], O["no_answer"])
    )
    outcome = np.where((channel == CALL) & ~reached, not_reached_call, outcome)
    outcome = np.where((channel == VISIT) & ~reached, np.where(v < 0.18, O["third_party"], O["not_home"]), outcome)
    outcome = np.where((channel == IVR) & reached, O["right_party"], outcome)
    outcome = np.where(
        (channel == IVR) & ~reached,
        np.where(~works & (v < 0.5), O["wrong_number"], np.where(v < 0.10, O["third_party"], O["no_answer"])),
        outcome,
    )
    message = np.isin(channel, MESSAGE_CHANNELS)
    hidden_read = (v < world.settings.hidden_read_share) & (channel != WHATSAPP)
    opts_out = message & reached & (rng.random(n) < 0.002 + 0.012 * people.reactant[member])
    promises_by_text = (channel == WHATSAPP) & (u < 0.80 * keen)
    replies = u < np.where(channel == WHATSAPP, 0.80 * keen + 0.12, 0.20)
    outcome = np.where(
        message & reached,
        np.where(
            promises_by_text,
            O["promise"],
            np.where(replies, O["replied"], np.where(hidden_read, O["delivered"], O["read"])),
        ),
        outcome,
    )
    outcome = np.where(opts_out, O["opt_out"], outcome)
    failed = np.where(works, v < 0.015, v < 0.85)
    outcome = np.where(message & ~reached, np.where(failed, O["failed"], O["delivered"]), outcome)
    complains = reached & (rng.random(n) < 0.004 * people.reactant[member] * np.maximum(fatigue - 1.0, 0))
    outcome = np.where(complains, O["complaint"], outcome)

    makes_promise = outcome == O["promise"]
    due = day + 1 + np.minimum(rng.poisson(3.2, n), 9)
    part = rng.random(n) < 0.22
    promised_cents = np.where(part, np.maximum(np.round(owed * 0.5), 100), owed).astype(np.int64)
    minute = hour * 60 + rng.integers(0, 60, n)
    second = rng.integers(0, 60, n)
    duration = np.where(
        (channel == CALL) | (channel == IVR),
        np.where(reached, np.round(np.exp(rng.normal(4.6, 0.6, n))), rng.integers(0, 28, n)),
        np.where(channel == VISIT, np.round(np.exp(rng.normal(6.4, 0.5, n))), np.nan),
    )
    records.contact(
        {
            "week": np.full(n, week.number),
            "member": member,
            "loan": loan,
            "channel": channel,
            "inbound": np.zeros(n, bool),
            "day": day,
            "second_of_day": minute * 60 + second,
            "outcome": outcome,
            "reached": reached,
            "promise_due": np.where(makes_promise, due, -1),
            "promise_cents": np.where(makes_promise, promised_cents, 0),
            "propensity": propensity,
            "duration": duration,
        }
    )
    if opts_out.any():
        gone = np.flatnonzero(opts_out)
        records.opt_outs.append((member[gone], channel[gone], day[gone]))
        known[member[gone], channel[gone]] = False
        # a telephone's opt-out stops every message to that telephone
        phone = gone[channel[gone] != EMAIL]
        known[member[phone], WHATSAPP] = False
        known[member[phone], SMS] = False
        known[member[phone], IVR] = False
    wrong = np.flatnonzero((outcome == O["wrong_number"]) & people.has_mobile[member] & (u < 0.5))
    if len(wrong):
        records.bad_numbers.append((member[wrong], day[wrong]))
        for code in (IVR, WHATSAPP, SMS):
            known[member[wrong], code] = False
        known[member[wrong], CALL] = people.has_landline[member[wrong]]
    return np.flatnonzero(makes_promise & (due > week.start_day + 7))


def record_inbound(
    records: Records,
    rng: np.random.Generator,
    *,
    week: Week,
    member: np.ndarray,
    loan: np.ndarray,
    best_logit: np.ndarray,
) -> None:
    """The few members who get in touch themselves; it changes nothing, it only shows what they have in mind."""
    comes = np.flatnonzero(rng.random(len(member)) < 0.006 * sigmoid(0.5 * best_logit))
    n = len(comes)
    if n == 0:
        return
    channel = rng.choice(np.array([CALL, WHATSAPP, WEB_CHAT, EMAIL]), n, p=[0.45, 0.35, 0.12, 0.08])
    u = rng.random(n)
    spoken = np.where(
        u < 0.30, O["callback"], np.where(u < 0.35, O["dispute"], np.where(u < 0.37, O["complaint"], O["right_party"]))
    )
    outcome = np.where(channel == CALL, spoken, np.where(u < 0.04, O["dispute"], O["replied"]))
    records.contact(
        {
            "week": np.full(n, week.number),
            "member": member[comes],
            "loan": loan[comes],
            "channel": channel,
            "inbound": np.ones(n, bool),
            "day": week.start_day + rng.integers(1, 8, n),
            "second_of_day": rng.integers(7 * 3600, 21 * 3600, n),
            "outcome": outcome,
            "reached": np.ones(n, bool),
            "promise_due": np.full(n, -1),
            "promise_cents": np.zeros(n, np.int64),
            "propensity": np.full(n, np.nan),
            "duration": np.where(channel == CALL, rng.integers(40, 420, n), np.nan),
        }
    )
