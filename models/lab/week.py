"""One week of a cooperative: dues come in sight, the habit contacts, people are reached or not, and some pay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.lab.book import CLOSED
from models.lab.contacts import Records, Week, record_contacts, record_inbound
from models.lab.laws import Standing, sigmoid
from models.lab.settings import CALL, CHANNELS, TOLERANCE_CENTS, VISIT, WHATSAPP
from models.lab.state import State, cover, oldest_due_day, owed_cents, show_dues
from models.lab.world import FIRST_HOUR, LAST_HOUR, World, drawn_payment

#: Days between the due date and the payment of somebody who is not behind; equally likely entries.
_PUNCTUALITY = np.array([-2, -1, 0, 0, 0, 0, 1, 1, 2, 3])
NOBODY = -1


@dataclass
class WeekOutcome:
    """Who owed and who paid in a week; positions are loan rows of the state. Amounts in cents."""

    rows: np.ndarray
    oldest: np.ndarray  # due date of the oldest unpaid instalment before the week's payments
    pay_rows: np.ndarray
    pay_day: np.ndarray
    pay_cents: np.ndarray
    pay_position: np.ndarray  # positions in the records; empty when nothing is recorded
    finished: np.ndarray  # of the payers: the loan is paid off


@dataclass
class _Owing:
    """Loan rows that owe, and the members behind them (``group`` leads from the first to the second)."""

    rows: np.ndarray
    owed: np.ndarray
    oldest: np.ndarray
    past_due: np.ndarray
    logit: np.ndarray  # of paying when nobody contacts the member
    group: np.ndarray
    member_row: np.ndarray
    member: np.ndarray
    member_owed: np.ndarray
    stage: np.ndarray
    trouble: np.ndarray
    fatigue: np.ndarray
    main: np.ndarray  # position of the loan that owes most

    @property
    def best_logit(self) -> np.ndarray:
        best = np.full(len(self.member), -30.0)
        np.maximum.at(best, self.group, self.logit)
        return best


@dataclass
class _Contacts:
    """The week's outbound contacts, at most one per member; ``at`` are positions of members who owe."""

    at: np.ndarray
    channel: np.ndarray
    day: np.ndarray
    hour: np.ndarray
    reached: np.ndarray
    choice: np.ndarray  # per member who owes, -1 for nothing
    probability: np.ndarray


def step(
    world: World,
    state: State,
    week: Week,
    rng: np.random.Generator,
    *,
    known: np.ndarray,
    records: Records | None = None,
    everybody: int | None = None,
) -> WeekOutcome:
    """Live one week and move the state to its end.

    With ``everybody`` the habit is set aside: all who owe are contacted through that channel, or left alone with
    ``NOBODY``. That is the experiment which the exact gains of the truth must agree with.
    """
    world.law.receive(state, week.start_day, rng)
    owing = _find_owing(world, state, week)
    contacts = _choose_contacts(world, owing, week, rng, known, everybody)
    outcome, by_visit = _collect(world, state, owing, contacts, week, rng)
    promised = np.zeros(len(state.member), bool)
    if records is None:
        kept = _unrecorded_promises(owing, contacts, rng)
    else:
        taken = by_visit & (rng.random(len(by_visit)) < 0.35)
        outcome.pay_position = records.pay(state.loan[outcome.pay_rows], outcome.pay_day, outcome.pay_cents, taken)
        kept = _record(world, state, owing, contacts, week, rng, known, records)
    promised[owing.member_row[contacts.at[kept]]] = True
    state.promised = promised
    _move_on(world, state, owing.member_row[contacts.at], rng)
    return outcome


def _find_owing(world: World, state: State, week: Week) -> _Owing:
    book = world.book
    t = week.start_day
    show_dues(book, state, t + 8)
    all_owed = owed_cents(book, state)
    rows = np.flatnonzero(all_owed > TOLERANCE_CENTS)
    owed = all_owed[rows]
    oldest = oldest_due_day(book, state, rows)
    past_due = np.maximum(t - oldest, 0)
    row_of = state.member_row[rows]
    # the loans of a member stand together
    starts = np.ones(len(rows), bool)
    starts[1:] = row_of[1:] != row_of[:-1]
    begins = np.flatnonzero(starts)
    group = np.cumsum(starts) - 1
    who = row_of[begins]
    if len(rows):
        most_owed = np.maximum.reduceat(owed, begins)
        member_owed, most_days = np.add.reduceat(owed, begins), np.maximum.reduceat(past_due, begins)
    else:
        most_owed = member_owed = most_days = np.zeros(0, np.int64)
    main = np.zeros(len(who), np.int64)
    backwards = np.flatnonzero(owed == most_owed[group])[::-1]
    main[group[backwards]] = backwards
    standing = Standing(
        loan=state.loan[rows],
        member=state.member[row_of],
        week=week.number,
        start_day=t,
        past_due_days=past_due,
        next_due_day=oldest,
        owed=owed,
        instalment=book.total_due(state.covered[rows]),
        trouble=state.trouble[row_of],
        promised=state.promised[row_of],
        macro=state.macro[row_of],
        cash=state.cash[row_of],
    )
    return _Owing(
        rows=rows,
        owed=owed,
        oldest=oldest,
        past_due=past_due,
        logit=world.pay_logit(standing),
        group=group,
        member_row=who,
        member=state.member[who],
        member_owed=member_owed,
        stage=world.stage(most_days),
        trouble=state.trouble[who],
        fatigue=state.fatigue[who],
        main=main,
    )


def _choose_contacts(
    world: World,
    owing: _Owing,
    week: Week,
    rng: np.random.Generator,
    known: np.ndarray,
    everybody: int | None,
) -> _Contacts:
    count = len(owing.member)
    hidden = world.sensed(owing.member, owing.trouble, rng.standard_normal(count))
    probability = world.habit(
        owing.member,
        week.number,
        owing.stage,
        owing.member_owed,
        owing.fatigue,
        hidden,
        known[owing.member],
        logged=week.logged,
    )
    draw = rng.random(count)
    choice = np.minimum((probability.cumsum(axis=1) < draw[:, None]).sum(axis=1), len(CHANNELS)) - 1
    # guards the last rounding: a choice of probability 0 falls back to nothing
    choice = np.where(probability[np.arange(count), choice + 1] > 0, choice, NOBODY)
    if everybody is not None:
        choice = np.full(count, everybody)
    at = np.flatnonzero(choice >= 0)
    channel = choice[at]
    day = week.work_days[rng.integers(0, len(week.work_days), len(at))] + week.start_day
    hour = rng.integers(FIRST_HOUR, LAST_HOUR + 1, len(at))
    reach = world.reach_probability(
        owing.member[at], channel, owing.fatigue[at], owing.trouble[at], owing.stage[at], hour
    )
    return _Contacts(at, channel, day, hour, rng.random(len(at)) < reach, choice, probability)


def _collect(
    world: World, state: State, owing: _Owing, contacts: _Contacts, week: Week, rng: np.random.Generator
) -> tuple[WeekOutcome, np.ndarray]:
    """Who pays how much on which day; the second result marks the payments that a visit brought about."""
    book, t = world.book, week.start_day
    instalment = book.total_due(state.covered[owing.rows])
    channel_reached = np.full(len(owing.member), NOBODY)
    channel_reached[contacts.at] = np.where(contacts.reached, contacts.channel, NOBODY)
    contact_day = np.zeros(len(owing.member), np.int64)
    contact_day[contacts.at] = contacts.day
    lifted = owing.logit.copy()
    moved = np.flatnonzero(channel_reached[owing.group] >= 0)
    g = owing.group[moved]
    lifted[moved] += world.effect(
        owing.member[g],
        channel_reached[g],
        owing.stage[g],
        owing.fatigue[g],
        owing.trouble[g],
        owing.logit[moved],
        week=week.number,
    )
    u = rng.random(len(owing.rows))
    pays = np.flatnonzero(u < sigmoid(lifted))
    paying = owing.rows[pays]
    total = book.cumulative_due[book.last[state.loan[paying]] - 1]
    cents = drawn_payment(
        owing.owed[pays],
        instalment[pays],
        total - state.paid[paying],
        rng.random(len(pays)),
        rng.random(len(pays)),
    )
    shift = _PUNCTUALITY[rng.integers(0, len(_PUNCTUALITY), len(pays))]
    on_time = np.clip(owing.oldest[pays] - t + shift, 1, 7)
    offset = np.where(owing.past_due[pays] <= 0, on_time, rng.integers(1, 8, len(pays)))
    # who would not have paid alone pays on the day of the contact or soon after
    brought = (u[pays] >= sigmoid(owing.logit[pays])) & (channel_reached[owing.group[pays]] >= 0)
    wait = np.minimum(rng.geometric(0.45, len(pays)) - 1, 6)
    after = contact_day[owing.group[pays]] - t + wait
    day = np.where(brought, np.minimum(after, 7), offset) + t

    state.paid[paying] += cents
    world.law.spend(state, state.member_row[paying], cents)
    cover(book, state, paying)
    finished = state.paid[paying] >= total - TOLERANCE_CENTS
    state.status[paying[finished]] = CLOSED
    outcome = WeekOutcome(owing.rows, owing.oldest, paying, day, cents, np.zeros(0, np.int64), finished)
    return outcome, brought & (channel_reached[owing.group[pays]] == VISIT)


def _unrecorded_promises(owing: _Owing, contacts: _Contacts, rng: np.random.Generator) -> np.ndarray:
    """Contacts that left a promise for the coming week, where nothing else about them matters."""
    spoke = contacts.reached & np.isin(contacts.channel, (CALL, WHATSAPP, VISIT))
    keen = sigmoid(-0.1 + 0.6 * owing.best_logit[contacts.at])
    return np.flatnonzero(spoke & (rng.random(len(contacts.at)) < 0.3 * keen))


def _record(
    world: World,
    state: State,
    owing: _Owing,
    contacts: _Contacts,
    week: Week,
    rng: np.random.Generator,
    known: np.ndarray,
    records: Records,
) -> np.ndarray:
    at = contacts.at
    best_logit = owing.best_logit
    taken = contacts.probability[at, contacts.channel + 1]
    kept = record_contacts(
        world,
        records,
        rng,
        week=week,
        member=owing.member[at],
        loan=state.loan[owing.rows[owing.main[at]]],
        channel=contacts.channel,
        day=contacts.day,
        hour=contacts.hour,
        reached=contacts.reached,
        best_logit=best_logit[at],
        fatigue=owing.fatigue[at],
        owed=owing.owed[owing.main[at]],
        propensity=taken if week.logged else np.full(len(at), np.nan),
        known=known,
    )
    if week.logged:
        records.propensities.append(
            {"member": owing.member, "choice": contacts.choice, "probability": contacts.probability}
        )
    record_inbound(
        records,
        rng,
        week=week,
        member=owing.member,
        loan=state.loan[owing.rows[owing.main]],
        best_logit=best_logit,
    )
    return kept


def _move_on(world: World, state: State, contacted_rows: np.ndarray, rng: np.random.Generator) -> None:
    """Fatigue fades and grows with the week's contacts; troubles end and begin."""
    s = world.settings
    state.fatigue *= s.fatigue_decay
    state.fatigue[contacted_rows] += 1.0
    enter_rate, exit_rate = world.law.trouble_rates(state.member)
    leaves = (state.trouble > 0) & (rng.random(len(state.trouble)) < exit_rate)
    enters = (state.trouble == 0) & (rng.random(len(state.trouble)) < enter_rate)
    state.trouble[leaves] = 0.0
    new = np.flatnonzero(enters)
    state.trouble[new] = 0.6 + rng.exponential(s.trouble_mean_depth, len(new))
