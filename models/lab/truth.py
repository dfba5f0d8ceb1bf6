"""What only the world knows: exact gains of every channel today, and the probability of default. Never an input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from models.lab.book import OPEN
from models.lab.future import continue_to_default
from models.lab.laws import Standing, sigmoid
from models.lab.settings import CHANNELS, DEFAULT_WEEKS, TOLERANCE_CENTS
from models.lab.simulate import History
from models.lab.state import oldest_due_day, owed_cents
from models.lab.world import expected_payment


def loan_truth(history: History) -> pd.DataFrame:
    """The truth per loan at the start of the as-of date, one row for every loan of the book, in loan order.

    ``dpd`` and ``arrears`` count dues before the as-of date; ``eligible`` is an open loan that owes something by seven
    days after it. ``gain_<channel>`` is the expected extra payment in the seven days from the as-of date on when the
    member is contacted through that channel on it, against no contact in those days; amounts in currency units.
    """
    world, state, book = history.world, history.state, history.world.book
    settings = world.settings
    as_of_day = history.last_day + 1
    count = book.count
    is_open = state.status == OPEN
    oldest = oldest_due_day(book, state, np.arange(count))
    dpd = np.where(is_open, np.maximum(as_of_day - oldest, 0), 0).astype(np.int64)
    owed = owed_cents(book, state)
    arrears = _arrears(history, as_of_day)
    eligible = owed > TOLERANCE_CENTS

    rows = np.flatnonzero(eligible)
    member = state.member_row[rows]
    t = history.last_day
    past_due = np.maximum(t - oldest[rows], 0)
    most_days = np.zeros(world.people.count, np.int64)
    np.maximum.at(most_days, member, past_due)
    stage = world.stage(most_days[member])
    instalment = book.total_due(state.covered[rows])
    remaining = book.cumulative_due[book.last[rows] - 1] - state.paid[rows]
    trouble, fatigue = state.trouble[member], state.fatigue[member]
    first_week = (history.last_day - history.first_day) // 7
    standing = Standing(
        loan=rows,
        member=member,
        week=first_week,
        start_day=t,
        past_due_days=past_due,
        next_due_day=oldest[rows],
        owed=owed[rows],
        instalment=instalment,
        trouble=trouble,
        promised=state.promised[member],
        macro=state.macro[member],
        cash=state.cash[member],
    )
    amount = expected_payment(owed[rows], instalment, remaining) / 100
    # -0.0 is what sums begin with: 0.0 + -0.0 would change a sign
    pay_none = np.full(len(rows), -0.0)
    gains = np.full((len(CHANNELS), len(rows)), -0.0)
    # an income may come in the coming week or not: the truth is the mean over both
    for weight, cash in world.law.cases(member, t, standing.cash, trouble, standing.macro):
        logit = world.pay_logit(replace(standing, cash=cash))
        alone = sigmoid(logit)
        pay_none += weight * alone
        for code in range(len(CHANNELS)):
            channel = np.full(len(rows), code)
            reach = world.reach_probability(member, channel, fatigue, trouble, stage)
            effect = world.effect(member, channel, stage, fatigue, trouble, logit, week=first_week)
            gains[code] += weight * (reach * (sigmoid(logit + effect) - alone) * amount)

    columns: dict[str, np.ndarray] = {
        "eligible": eligible,
        "dpd": dpd,
        "arrears": arrears / 100,
        "collectable": owed / 100,
        "expected_amount": _spread(count, rows, amount),
        "p_pay_none": _spread(count, rows, pay_none),
    }
    columns |= {f"gain_{name}": _spread(count, rows, gains[code]) for code, name in enumerate(CHANNELS)}
    probability, label = continue_to_default(history, replications=settings.default_replications, weeks=DEFAULT_WEEKS)
    columns |= {"p_default": probability, "default_label": label, "active": is_open}
    return pd.DataFrame(columns)


def member_truth(loans: pd.DataFrame, customer_ids: pd.Series) -> pd.DataFrame:
    """The truth per member with at least one loan: sums of amounts and gains, the worst days, any eligible loan."""
    sums = ["arrears", "collectable", "expected_payment_none", *[f"gain_{name}" for name in CHANNELS]]
    frame = loans.assign(customer_id=customer_ids, expected_payment_none=loans["p_pay_none"] * loans["expected_amount"])
    grouped = frame.groupby("customer_id", sort=True)
    members = grouped[sums].sum()
    members.insert(0, "eligible", grouped["eligible"].any())
    members.insert(1, "dpd", grouped["dpd"].max())
    return members.reset_index()


def habit_truth(history: History) -> pd.DataFrame:
    """How the institution would choose by itself on the as-of date: one row per eligible member and channel.

    Columns ``member`` (number in the book), ``channel_code`` and ``probability``; what is missing to 1 is nobody's
    contact. What collectors sense beyond the tables is drawn once for every member.
    """
    world, state, book = history.world, history.state, history.world.book
    owed = owed_cents(book, state)
    rows = np.flatnonzero(owed > TOLERANCE_CENTS)
    members, group = np.unique(state.member_row[rows], return_inverse=True)
    most_days = np.zeros(len(members), np.int64)
    np.maximum.at(most_days, group, np.maximum(history.last_day - oldest_due_day(book, state, rows), 0))
    rng = np.random.default_rng([history.seed, 4])
    probability = world.habit(
        members,
        (history.last_day - history.first_day) // 7,
        world.stage(most_days),
        np.bincount(group, weights=owed[rows], minlength=len(members)),
        state.fatigue[members],
        world.sensed(members, state.trouble[members], rng.standard_normal(len(members))),
        history.known[members],
        logged=True,
    )
    return pd.DataFrame(
        {
            "member": np.repeat(members, len(CHANNELS)),
            "channel_code": np.tile(np.array(CHANNELS, object), len(members)),
            "probability": probability[:, 1:].ravel(),
        }
    )


def _arrears(history: History, as_of_day: int) -> np.ndarray:
    """Cents of dues before the as-of date not covered, per loan; within the tolerance counts as nothing."""
    state, book = history.state, history.world.book
    mark = state.seen.copy()
    first = book.first
    while True:
        back = np.flatnonzero((mark > first) & (book.due_day[np.maximum(mark - 1, 0)] >= as_of_day))
        if not len(back):
            break
        mark[back] -= 1
    due = np.where(mark > first, book.cumulative_due[np.maximum(mark - 1, 0)], 0)
    arrears = np.where(state.status == OPEN, np.maximum(due - state.paid, 0), 0)
    return np.where(arrears <= TOLERANCE_CENTS, 0, arrears)


def _spread(count: int, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    full = np.zeros(count)
    full[rows] = values
    return full
