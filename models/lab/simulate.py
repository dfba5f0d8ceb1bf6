"""Two years of a cooperative, week by week.

Week ``w`` starts at the end of day ``T`` and covers the days ``T+1 .. T+7``; the last one ends the day before the as-of
date. Whatever is decided in a week depends only on the state at ``T``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from models.lab.book import CLOSED, NOT_OPEN, OPEN, WRITTEN_OFF, make_book, rewrite_schedule
from models.lab.calendar import working_days
from models.lab.contacts import Records, Week
from models.lab.laws import sigmoid
from models.lab.people import day_of, make_people
from models.lab.settings import WEEKS, WRITE_OFF_DAYS, WorldSettings
from models.lab.state import State, cover, oldest_due_day, show_dues
from models.lab.week import WeekOutcome, step
from models.lab.world import World


@dataclass
class History:
    """A finished simulation: the world, the last state, and what was recorded on the way."""

    world: World
    state: State
    records: Records
    as_of: date
    seed: int
    first_day: int
    last_day: int
    closed_day: np.ndarray
    written_off_day: np.ndarray
    restructured_day: np.ndarray
    known: np.ndarray


def simulate(
    *, members: int, seed: int, as_of: date, settings: WorldSettings | None = None, weeks: int = WEEKS
) -> History:
    """Two years of a cooperative, ending the day before ``as_of``; the same arguments give the same history."""
    settings = settings or WorldSettings()
    rng = np.random.default_rng([seed, 1])
    last_day = day_of(as_of) - 1
    first_day = last_day - 7 * weeks
    people = make_people(members, rng, as_of=as_of, weeks=weeks, settings=settings)
    book = make_book(people, rng, first_day=first_day, as_of_day=day_of(as_of))
    world = World.build(people, book, settings, seed=seed, weeks=weeks)
    records = Records()
    state = _opening_state(world, rng, records, first_day=first_day)
    known = people.known.copy()
    count = book.count
    closed_day = np.full(count, -1)
    written_off_day = np.full(count, -1)
    restructured_day = np.full(count, -1)
    closed_before = state.status == CLOSED
    closed_day[closed_before] = first_day
    disbursed = book.disbursed_day
    work_day = working_days(first_day, last_day)
    macro = 0.0
    pending: list[tuple[np.ndarray, ...]] = []
    for number in range(weeks):
        t = first_day + 7 * number
        opens = np.flatnonzero((state.status == NOT_OPEN) & (disbursed <= t))
        state.status[opens] = OPEN
        macro = 0.97 * macro + settings.macro_sd * float(rng.standard_normal())
        state.macro[:] = world.macro_level(macro, number)
        week = Week(number, t, _contact_offsets(work_day, t), number >= weeks - settings.logged_weeks)
        outcome = step(world, state, week, rng, known=known, records=records)
        done = outcome.pay_rows[outcome.finished]
        closed_day[done] = outcome.pay_day[outcome.finished]
        _early_payoffs(world, state, records, rng, week, outcome.rows, closed_day)
        pending = _reversals(world, state, records, rng, week, outcome, pending, last_day)
        _write_offs(world, state, rng, week, outcome.rows, written_off_day)
        if number % 4 == 3:
            _restructure(world, state, rng, t + 7, restructured_day)
        records.weekly.append(
            {"week": number, "owing": float(len(outcome.rows)), "open": float((state.status == OPEN).sum())}
        )
    show_dues(book, state, last_day + 8)
    return History(
        world=world,
        state=state,
        records=records,
        as_of=as_of,
        seed=seed,
        first_day=first_day,
        last_day=last_day,
        closed_day=closed_day,
        written_off_day=written_off_day,
        restructured_day=restructured_day,
        known=known,
    )


def _contact_offsets(work_day: dict[int, bool], start_day: int) -> np.ndarray:
    """The first four working days of the week after ``start_day``, as offsets; a week without any uses its days 1-4."""
    offsets = [k for k in range(1, 8) if work_day[start_day + k]][:4]
    return np.array(offsets or [1, 2, 3, 4])


def _opening_state(world: World, rng: np.random.Generator, records: Records, *, first_day: int) -> State:
    """The book on the first day: instalments that fell due before were paid more or less on time; some are behind."""
    book, people = world.book, world.people
    count = book.count
    level = people.level[book.member]
    at = np.arange(book.used)
    loan_of = np.repeat(np.arange(count), book.last - book.first)
    due_count = np.bincount(loan_of, weights=book.due_day[at] <= first_day, minlength=count).astype(np.int64)
    is_behind = rng.random(count) < sigmoid(-2.6 - 0.9 * level)
    behind = np.where(is_behind, rng.geometric(0.55, count), 0)
    paid_count = np.maximum(due_count - behind, 0)
    kept = at - book.first[loan_of] < paid_count[loan_of]
    rows = at[kept]
    loans = loan_of[kept]
    late = np.minimum(rng.exponential(2.2 * np.exp(-0.35 * level[loans])), 24).astype(np.int64) - 1
    day = np.minimum(book.due_day[rows] + late, first_day)
    records.pay(loans, np.maximum(day, book.disbursed_day[loans] + 1), book.total_due(rows), np.zeros(len(rows), bool))
    paid = np.where(paid_count > 0, book.cumulative_due[book.first + np.maximum(paid_count - 1, 0)], 0)
    status = np.where(book.disbursed_day <= first_day, OPEN, NOT_OPEN)
    status = np.where(paid_count >= book.last - book.first, CLOSED, status)
    troubled = is_behind[np.searchsorted(book.member, np.arange(people.count))] & (rng.random(people.count) < 0.6)
    trouble = np.where(troubled, 0.6 + rng.exponential(world.settings.trouble_mean_depth, people.count), 0.0)
    return State(
        loan=np.arange(count),
        member_row=book.member.copy(),
        member=np.arange(people.count),
        status=status,
        paid=paid.astype(np.int64),
        covered=book.first + paid_count,
        seen=book.first + due_count,
        trouble=trouble,
        fatigue=np.zeros(people.count),
        promised=np.zeros(people.count, bool),
        macro=np.zeros(people.count),
        cash=world.law.opening_cash(),
    )


def _early_payoffs(
    world: World,
    state: State,
    records: Records,
    rng: np.random.Generator,
    week: Week,
    owing_rows: np.ndarray,
    closed_day: np.ndarray,
) -> None:
    """A few members with nothing due settle the whole loan: outstanding principal, no interest not yet earned."""
    book = world.book
    open_rows = np.flatnonzero(state.status == OPEN)
    chosen = open_rows[rng.random(len(open_rows)) < 0.0007]
    chosen = chosen[~np.isin(chosen, owing_rows)]
    chosen = chosen[state.seen[chosen] > book.first[state.loan[chosen]]]
    last = book.last[state.loan[chosen]]
    seen = state.seen[chosen]
    principal = book.cumulative_principal[last - 1] - book.cumulative_principal[seen - 1]
    cents = principal - (state.paid[chosen] - book.cumulative_due[seen - 1])
    worth = cents > 1000
    chosen, cents = chosen[worth], cents[worth]
    day = week.start_day + rng.integers(1, 8, len(chosen))
    records.pay(state.loan[chosen], day, cents, np.zeros(len(chosen), bool))
    state.paid[chosen] += cents
    state.status[chosen] = CLOSED
    closed_day[chosen] = day


def _reversals(
    world: World,
    state: State,
    records: Records,
    rng: np.random.Generator,
    week: Week,
    outcome: WeekOutcome,
    pending: list[tuple[np.ndarray, ...]],
    last_day: int,
) -> list[tuple[np.ndarray, ...]]:
    """Bounced transfers and wrong entries, undone one to five days later; those still to come are returned."""
    n = len(outcome.pay_rows)
    undone = np.flatnonzero((rng.random(n) < 0.0025) & ~outcome.finished)
    day = outcome.pay_day[undone] + rng.integers(1, 6, len(undone))
    pending = [
        *pending,
        (outcome.pay_rows[undone], day, outcome.pay_cents[undone], outcome.pay_position[undone]),
    ]
    later: list[tuple[np.ndarray, ...]] = []
    for rows, when, cents, position in pending:
        now = (when <= week.start_day + 7) & (state.status[rows] == OPEN)
        wait = (when > week.start_day + 7) & (when <= last_day)
        if wait.any():
            later.append((rows[wait], when[wait], cents[wait], position[wait]))
        if now.any():
            hit = rows[now]
            records.pay(state.loan[hit], when[now], cents[now], np.zeros(len(hit), bool))
            records.payment_reverses[-1] = position[now].astype(np.int32)
            np.subtract.at(state.paid, hit, cents[now])
            cover(world.book, state, hit)
    return later


def _write_offs(
    world: World,
    state: State,
    rng: np.random.Generator,
    week: Week,
    owing_rows: np.ndarray,
    written_off_day: np.ndarray,
) -> None:
    rows = owing_rows[state.status[owing_rows] == OPEN]
    days = week.start_day + 7 - oldest_due_day(world.book, state, rows)
    goes = rows[(days > WRITE_OFF_DAYS) & (rng.random(len(rows)) < 0.05)]
    state.status[goes] = WRITTEN_OFF
    written_off_day[goes] = week.start_day + 7


def _restructure(
    world: World, state: State, rng: np.random.Generator, on_day: int, restructured_day: np.ndarray
) -> None:
    """A few of those two to five months behind get a new schedule for what is left."""
    book = world.book
    rows = np.flatnonzero((state.status == OPEN) & (restructured_day < 0))
    days = on_day - oldest_due_day(book, state, rows)
    rows = rows[(days >= 45) & (days <= 150)]
    chosen = rows[rng.random(len(rows)) < 0.02]
    for row in chosen:
        loan = int(state.loan[row])
        left = int(book.last[loan] - state.covered[row])
        kept = int(state.covered[row] - book.first[loan])
        before = int(book.cumulative_due[state.covered[row] - 1]) if kept else 0
        part = int(state.paid[row]) > before
        rewrite_schedule(
            book, loan, covered=int(state.covered[row]), paid=int(state.paid[row]), on_day=on_day, new_term=left + 6
        )
        position = int(book.first[loan]) + kept + int(part)
        state.covered[row] = state.seen[row] = position
        restructured_day[loan] = on_day
