"""Loans and their repayment schedules, in whole cents.

Schedules are French (level) amortisation with the rounding on the last instalment, so that the principal of a
schedule always sums to the principal of the loan. All schedules live in one flat set of arrays; a loan knows where
its own begins and ends. A restructuring writes a new schedule at the tail and moves the loan's two marks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.lab.people import People

PRODUCTS = ("consumer", "microcredit", "housing", "commercial")
CONSUMER, MICROCREDIT, HOUSING, COMMERCIAL = range(4)
COLLATERALS = ("none", "guarantor", "mortgage", "pledge")
PRODUCT_LOGIT = np.array([0.0, -0.12, 0.45, -0.05])

NOT_OPEN, OPEN, CLOSED, WRITTEN_OFF = range(4)

_TERMS = (
    (np.array([12, 18, 24, 36, 48, 60]), np.array([0.16, 0.14, 0.24, 0.26, 0.13, 0.07])),
    (np.array([6, 12, 18, 24, 36]), np.array([0.10, 0.28, 0.24, 0.26, 0.12])),
    (np.array([120, 180]), np.array([0.5, 0.5])),
    (np.array([12, 24, 36, 48]), np.array([0.25, 0.30, 0.30, 0.15])),
)
_RATES = ((0.156, 0.012), (0.215, 0.02), (0.098, 0.008), (0.112, 0.012))
#: Nothing older than this many days before the first simulated week: the history an institution hands over is finite.
_OLDEST_DAYS = 730
_INSTALMENTS_AT_ONCE = 1 << 20


@dataclass
class Book:
    """Loans (one entry each, ordered by member) and the flat schedule (one entry per instalment). Money in cents."""

    member: np.ndarray
    product: np.ndarray
    collateral: np.ndarray
    guarantor: np.ndarray
    principal: np.ndarray
    annual_rate: np.ndarray
    term_months: np.ndarray
    disbursed_day: np.ndarray
    first: np.ndarray
    last: np.ndarray  # one past the final instalment
    due_day: np.ndarray
    principal_due: np.ndarray
    interest_due: np.ndarray
    fees_due: np.ndarray
    cumulative_due: np.ndarray
    cumulative_principal: np.ndarray
    used: int

    @property
    def count(self) -> int:
        """Number of loans."""
        return len(self.member)

    def total_due(self, at: np.ndarray) -> np.ndarray:
        """All that one instalment asks for."""
        return self.principal_due[at] + self.interest_due[at] + self.fees_due[at]


def month_days_after(day: np.ndarray, months: np.ndarray) -> np.ndarray:
    """The same day of the month ``months`` later; the last day of a shorter month when there is no such day.

    >>> month_days_after(np.array([30]), np.array([1])).tolist()  # 1970-01-31 -> 1970-02-28
    [58]
    """
    stamp = day.astype("datetime64[D]")
    month = stamp.astype("datetime64[M]")
    in_month = (stamp - month.astype("datetime64[D]")).astype(np.int64)
    target = month + months.astype("timedelta64[M]")
    start = target.astype("datetime64[D]").astype(np.int64)
    length = (target + np.timedelta64(1, "M")).astype("datetime64[D]").astype(np.int64) - start
    return start + np.minimum(in_month, length - 1)


def amortise(
    principal: np.ndarray, monthly_rate: np.ndarray, term: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal, interest and opening balance of every instalment, flat and in loan order.

    The level payment is rounded to the cent, interest is rounded on the balance, and the last instalment takes
    whatever principal is left: sums are exact by construction.
    """
    count = len(principal)
    start = np.concatenate([[0], np.cumsum(term)])
    flat_principal = np.zeros(start[-1], np.int64)
    flat_interest = np.zeros(start[-1], np.int64)
    flat_balance = np.zeros(start[-1], np.int64)
    level = np.round(principal * monthly_rate / (1 - (1 + monthly_rate) ** -term)).astype(np.int64)
    balance = principal.astype(np.int64).copy()
    order = np.argsort(-term, kind="stable")
    sorted_term = term[order]
    for k in range(int(term.max()) if count else 0):
        rows = order[: np.searchsorted(-sorted_term, -k, side="left")]  # loans with a longer term than k
        interest = np.round(balance[rows] * monthly_rate[rows]).astype(np.int64)
        repaid = np.where(term[rows] == k + 1, balance[rows], np.minimum(level[rows] - interest, balance[rows]))
        at = start[rows] + k
        flat_principal[at], flat_interest[at], flat_balance[at] = repaid, interest, balance[rows]
        balance[rows] -= repaid
    return flat_principal, flat_interest, flat_balance


def make_book(people: People, rng: np.random.Generator, *, first_day: int, as_of_day: int) -> Book:
    """Draw every loan that the history touches: one to three per member, alive at some time after ``first_day``."""
    n = people.count
    loans_each = 1 + (rng.random(n) < 0.19) + (rng.random(n) < 0.025)
    member = np.repeat(np.arange(n), loans_each)
    count = len(member)
    self_employed = np.isin(people.occupation[member], [1, 2, 3, 4])
    u = rng.random(count)
    product = np.where(
        u < 0.07, HOUSING, np.where(u < 0.12, COMMERCIAL, np.where(self_employed & (u < 0.62), MICROCREDIT, CONSUMER))
    )
    term = np.zeros(count, np.int64)
    rate = np.zeros(count)
    for code, (terms, shares) in enumerate(_TERMS):
        rows = np.flatnonzero(product == code)
        term[rows] = rng.choice(terms, len(rows), p=shares)
        mean, spread = _RATES[code]
        rate[rows] = np.round(rng.normal(mean, spread, len(rows)), 4)
    rate = np.clip(rate, 0.055, 0.285)

    life_days = (term * 30.4).astype(np.int64)
    earliest = first_day - np.minimum(life_days - 31, _OLDEST_DAYS)
    latest = as_of_day - 20
    # a slowly growing book: a little more weight on recent disbursements
    disbursed = (earliest + (latest - earliest) * rng.random(count) ** 0.85).astype(np.int64)

    monthly = rate / 12
    burden = np.clip(rng.gamma(4.0, 0.06, count), 0.05, 0.62) * np.where(product == HOUSING, 1.25, 1.0)
    payment = people.income_cents[member] * burden
    principal = payment * (1 - (1 + monthly) ** -term) / monthly
    floor = np.where(product == HOUSING, 900_000, 20_000)
    principal = (np.round(np.clip(principal, floor, 9_000_000) / 1000) * 1000).astype(np.int64)

    flat_principal, flat_interest, flat_balance = amortise(principal, monthly, term)
    start = np.concatenate([[0], np.cumsum(term)])
    used = int(start[-1])
    size = used + int(used * 0.06) + 2000
    loan_of = np.repeat(np.arange(count, dtype=np.int32), term)
    insured = np.isin(product, [CONSUMER, MICROCREDIT])
    due_day, fees_due = np.zeros(size, np.int32), np.zeros(size, np.int32)
    for begin in range(0, used, _INSTALMENTS_AT_ONCE):
        row = np.arange(begin, min(begin + _INSTALMENTS_AT_ONCE, used))
        loan = loan_of[row]
        due_day[row] = month_days_after(disbursed[loan], row - start[loan] + 1)
        fees_due[row] = np.where(insured[loan], np.round(flat_balance[row] * 0.0006), 0)
    del flat_balance

    def room(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, np.zeros(size - used, values.dtype)])

    def since_first(values: np.ndarray) -> np.ndarray:
        """Running sums that begin anew with every loan."""
        running = np.cumsum(values)
        running -= np.concatenate([[0], running])[start[:-1]][loan_of]
        return running

    principal_due, interest_due = room(flat_principal), room(flat_interest)
    del flat_principal, flat_interest
    cumulative_due = room(since_first(principal_due[:used] + interest_due[:used] + fees_due[:used]))
    cumulative_principal = room(since_first(principal_due[:used]))

    collateral = np.where(
        product == HOUSING,
        2,
        np.where(rng.random(count) < 0.30, 1, np.where((product == COMMERCIAL) & (rng.random(count) < 0.3), 3, 0)),
    )
    guarantor = np.where(collateral == 1, rng.integers(0, n, count), -1)
    guarantor = np.where(guarantor == member, -1, guarantor)
    collateral = np.where((collateral == 1) & (guarantor < 0), 0, collateral)

    return Book(
        member=member,
        product=product,
        collateral=collateral,
        guarantor=guarantor,
        principal=principal,
        annual_rate=rate,
        term_months=term,
        disbursed_day=disbursed,
        first=start[:-1].copy(),
        last=start[1:].copy(),
        due_day=due_day,
        principal_due=principal_due,
        interest_due=interest_due,
        fees_due=fees_due,
        cumulative_due=cumulative_due,
        cumulative_principal=cumulative_principal,
        used=used,
    )


def rewrite_schedule(book: Book, loan: int, *, covered: int, paid: int, on_day: int, new_term: int) -> None:
    """Restructure one loan: what was paid stays as it was, what was not is spread over ``new_term`` months.

    ``covered`` is the flat position of the oldest instalment not fully paid. A part payment of it becomes an instalment
    of exactly that amount. Unpaid interest and fees that had fallen due are spread without interest of their own, and
    the principal of the whole schedule still sums to the principal of the loan.

    Raises:
        OverflowError: when the spare room at the tail of the arrays is used up.
    """
    first, last = int(book.first[loan]), int(book.last[loan])
    kept = np.arange(first, covered)
    already = int(book.cumulative_due[covered - 1]) if covered > first else 0
    part = paid - already
    open_rows = np.arange(covered, last)
    principal_left = int(book.principal_due[open_rows].sum())
    fallen = open_rows[book.due_day[open_rows] <= on_day]
    interest_left = int(book.interest_due[fallen].sum() + book.fees_due[fallen].sum())

    part_fees = part_interest = part_principal = 0
    if part > 0:
        part_fees = min(part, int(book.fees_due[covered]))
        part_interest = min(part - part_fees, int(book.interest_due[covered]))
        part_principal = part - part_fees - part_interest
        principal_left -= part_principal
        if book.due_day[covered] <= on_day:
            interest_left -= part_fees + part_interest

    term = np.array([new_term])
    monthly = np.array([book.annual_rate[loan] / 12])
    principal, interest, _ = amortise(np.array([principal_left]), monthly, term)
    carried = np.full(new_term, interest_left // new_term)
    carried[-1] += interest_left - carried.sum()
    due = month_days_after(np.full(new_term, on_day), np.arange(1, new_term + 1))

    middle = 1 if part > 0 else 0
    size = len(kept) + middle + new_term
    begin = book.used
    if begin + size > len(book.due_day):
        raise OverflowError(
            f"no room left for the rewritten schedule of loan {loan}; make_book must reserve more spare room"
        )
    stretch = slice(begin, begin + size)

    def joined(values: np.ndarray, part_value: int, new_values: np.ndarray) -> np.ndarray:
        return np.concatenate([values[kept], np.full(middle, part_value), new_values])

    book.due_day[stretch] = joined(book.due_day, int(book.due_day[covered]), due)
    book.principal_due[stretch] = joined(book.principal_due, part_principal, principal)
    book.interest_due[stretch] = joined(book.interest_due, part_interest, interest + carried)
    book.fees_due[stretch] = joined(book.fees_due, part_fees, np.zeros(new_term, np.int64))
    at = np.arange(begin, begin + size)
    book.cumulative_due[stretch] = np.cumsum(book.total_due(at))
    book.cumulative_principal[stretch] = np.cumsum(book.principal_due[at])
    book.first[loan], book.last[loan] = begin, begin + size
    book.used += size


def loan_logit(book: Book, people: People) -> np.ndarray:
    """The part of a loan's weekly willingness that never changes: level, product, burden, occupation."""
    first_payment = book.total_due(book.first)
    burden = first_payment / people.income_cents[book.member]
    return people.level[book.member] + PRODUCT_LOGIT[book.product] - 1.1 * (burden - 0.22)
