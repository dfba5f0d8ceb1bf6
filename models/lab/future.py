"""A finished world lived on many times: the probability of default under the habits of the past."""

from __future__ import annotations

import numpy as np

from models.lab.book import OPEN
from models.lab.contacts import Week
from models.lab.settings import DEFAULT_DAYS
from models.lab.simulate import History
from models.lab.state import oldest_due_day
from models.lab.week import step


def continue_to_default(
    history: History, *, replications: int, weeks: int, rows_at_once: int = 600_000
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of reaching 90 past-due days within ``weeks`` weeks under the old habit, and one draw of it.

    The finished world is lived on ``replications`` times from its true state. Loans not open, or at 90 days or more
    already, get 0 and False. The draw comes from a life of its own and is not part of the probability.
    """
    world, book = history.world, history.world.book
    state = history.state
    loan_rows = np.flatnonzero(state.status == OPEN)
    days_now = history.last_day + 1 - oldest_due_day(book, state, loan_rows)
    below = days_now < DEFAULT_DAYS
    crossings = np.zeros(len(loan_rows))
    label = np.zeros(len(loan_rows), bool)
    first_week = (history.last_day - history.first_day) // 7
    at_once = max(1, rows_at_once // max(len(loan_rows), 1))
    settings = world.settings
    offsets = np.array([1, 2, 3, 4])
    done = 0
    chunk = 0
    while done < replications + 1:
        lives = min(at_once, replications + 1 - done)
        rng = np.random.default_rng([history.seed, 2, chunk])
        lived = state.copy_rows(loan_rows, lives)
        crossed = np.zeros(len(lived.loan), bool)
        life_of_member = np.repeat(np.arange(lives), len(lived.member) // lives)
        macro = np.full(lives, float(state.macro[0]) - world.macro_level(0.0, first_week - 1))
        for k in range(weeks):
            t = history.last_day + 7 * k
            macro = 0.97 * macro + settings.macro_sd * rng.standard_normal(lives)
            lived.macro = np.asarray(world.macro_level(macro, first_week + k))[life_of_member]
            week = Week(first_week + k, t, offsets, logged=False)
            outcome = step(world, lived, week, rng, known=history.known, records=None)
            rows, oldest = outcome.rows, outcome.oldest
            # a payer counts to the day before paying, everybody to the end of the week with what is left unpaid
            until = np.full(len(lived.loan), t)
            until[outcome.pay_rows] = outcome.pay_day - 1
            crossed[rows] |= oldest + DEFAULT_DAYS <= until[rows]
            still = rows[lived.status[rows] == OPEN]
            crossed[still] |= oldest_due_day(book, lived, still) + DEFAULT_DAYS <= t + 7
        by_life = crossed.reshape(lives, len(loan_rows))
        start = 0
        if done == 0:
            label = by_life[0]
            start = 1
        crossings += by_life[start:].sum(axis=0)
        done += lives
        chunk += 1
    probability = np.zeros(book.count)
    drawn = np.zeros(book.count, bool)
    probability[state.loan[loan_rows]] = np.where(below, crossings / replications, 0.0)
    drawn[state.loan[loan_rows]] = label & below
    return probability, drawn
