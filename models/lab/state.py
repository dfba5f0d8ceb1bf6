"""Where every loan and member stands at the end of a day, and the marks that move along the schedules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.lab.book import OPEN, Book
from models.lab.settings import TOLERANCE_CENTS


@dataclass
class State:
    """Where everything stands at the end of a day. Loan rows and member rows may repeat a book several times over."""

    loan: np.ndarray  # loan row -> loan of the book
    member_row: np.ndarray  # loan row -> member row, never decreasing
    member: np.ndarray  # member row -> member
    status: np.ndarray
    paid: np.ndarray
    covered: np.ndarray  # flat position of the oldest instalment not fully paid
    seen: np.ndarray  # flat position after the last instalment in sight
    trouble: np.ndarray
    fatigue: np.ndarray
    promised: np.ndarray
    macro: np.ndarray  # per member row
    cash: np.ndarray  # cents in the purse of a member row; 0 where the law knows no purse

    def copy_rows(self, loan_rows: np.ndarray, replications: int) -> State:
        """The chosen loans (and their members) repeated ``replications`` times, each copy on its own."""
        members, row_of = np.unique(self.member_row[loan_rows], return_inverse=True)
        offset = np.repeat(np.arange(replications) * len(members), len(loan_rows))

        def loans(values: np.ndarray) -> np.ndarray:
            return np.tile(values[loan_rows], replications)

        def people(values: np.ndarray) -> np.ndarray:
            return np.tile(values[members], replications)

        return State(
            loan=loans(self.loan),
            member_row=np.tile(row_of, replications) + offset,
            member=people(self.member),
            status=loans(self.status),
            paid=loans(self.paid),
            covered=loans(self.covered),
            seen=loans(self.seen),
            trouble=people(self.trouble),
            fatigue=people(self.fatigue),
            promised=people(self.promised),
            macro=people(self.macro),
            cash=people(self.cash),
        )


def show_dues(book: Book, state: State, horizon_day: int) -> None:
    """Move every open loan's mark past the instalments that fall due by ``horizon_day``."""
    rows = np.flatnonzero(state.status == OPEN)
    last = book.last[state.loan]
    while len(rows):
        rows = rows[state.seen[rows] < last[rows]]
        rows = rows[book.due_day[state.seen[rows]] <= horizon_day]
        state.seen[rows] += 1


def cover(book: Book, state: State, rows: np.ndarray) -> None:
    """Move the marks of the oldest unpaid instalment after ``paid`` changed, forward and, after a reversal, back."""
    last = book.last[state.loan[rows]]
    first = book.first[state.loan[rows]]
    active = np.arange(len(rows))
    while len(active):
        at = state.covered[rows[active]]
        inside = at < last[active]
        active, at = active[inside], at[inside]
        done = book.cumulative_due[at] <= state.paid[rows[active]] + TOLERANCE_CENTS
        active = active[done]
        state.covered[rows[active]] += 1
    active = np.arange(len(rows))
    while len(active):
        at = state.covered[rows[active]]
        inside = at > first[active]
        active, at = active[inside], at[inside]
        undone = book.cumulative_due[at - 1] > state.paid[rows[active]] + TOLERANCE_CENTS
        active = active[undone]
        state.covered[rows[active]] -= 1


def owed_cents(book: Book, state: State) -> np.ndarray:
    """What every open loan owes in dues that are in sight, in cents; 0 for the others."""
    first = book.first[state.loan]
    any_seen = (state.seen > first) & (state.status == OPEN)
    due = np.where(any_seen, book.cumulative_due[np.maximum(state.seen - 1, 0)], 0)
    return np.where(any_seen, np.maximum(due - state.paid, 0), 0)


def oldest_due_day(book: Book, state: State, rows: np.ndarray) -> np.ndarray:
    """Due date of the oldest instalment not fully paid; far in the future when there is none."""
    at = state.covered[rows]
    inside = at < book.last[state.loan[rows]]
    return np.where(inside, book.due_day[np.minimum(at, len(book.due_day) - 1)], 10**7)
