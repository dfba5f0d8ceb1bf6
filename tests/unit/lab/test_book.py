"""Schedules are exact to the cent, also after a restructuring."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.lab.book import amortise, make_book, month_days_after, rewrite_schedule
from models.lab.people import date_of, day_of, make_people, national_ids
from models.lab.settings import WorldSettings


def test_three_instalments_of_a_small_loan_by_hand():
    # 1 000.00 at 1 % a month for 3 months: payment 340.02
    # interest 10.00, then 1 % of 669.98 = 6.70, then 1 % of 336.66 = 3.37
    principal, interest, balance = amortise(np.array([100_000]), np.array([0.01]), np.array([3]))
    assert interest.tolist() == [1000, 670, 337]
    assert principal.tolist() == [33_002, 33_332, 33_666]
    assert balance.tolist() == [100_000, 66_998, 33_666]


@given(
    st.lists(
        st.tuples(st.integers(10_000, 9_000_000), st.floats(0.001, 0.03), st.integers(1, 180)), min_size=1, max_size=8
    )
)
@settings(max_examples=60, deadline=None)
def test_principal_of_every_schedule_sums_to_the_loan(loans):
    amount, rate, term = (np.array(values) for values in zip(*loans, strict=True))
    principal, interest, _ = amortise(amount, rate, term)
    owner = np.repeat(np.arange(len(amount)), term)
    assert np.bincount(owner, weights=principal).tolist() == amount.tolist()
    assert (principal >= 0).all()
    assert (interest >= 0).all()


@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2025, 11, 15), 3, date(2026, 2, 15)),
        (date(2025, 12, 31), 6, date(2026, 6, 30)),
    ],
)
def test_due_dates_keep_the_day_of_the_month_where_there_is_one(start, months, expected):
    assert date_of(month_days_after(np.array([day_of(start)]), np.array([months]))[0]) == expected


@pytest.fixture(scope="module")
def book_of_sixty():
    rng = np.random.default_rng(5)
    people = make_people(60, rng, as_of=date(2026, 6, 30), weeks=104, settings=WorldSettings())
    end = day_of(date(2026, 6, 30))
    return make_book(people, rng, first_day=end - 729, as_of_day=end)


@pytest.mark.parametrize("part", [0, 1, 2_500])
def test_a_rewritten_schedule_keeps_principal_and_what_was_paid(book_of_sixty, part):
    book = book_of_sixty
    loan = {0: 3, 1: 4, 2_500: 5}[part]
    first, last = int(book.first[loan]), int(book.last[loan])
    covered = first + 2
    already = int(book.cumulative_due[covered - 1])
    fallen_day = int(book.due_day[covered]) + 70
    old_fallen = [k for k in range(covered, last) if book.due_day[k] <= fallen_day]
    unpaid_charges = sum(int(book.interest_due[k] + book.fees_due[k]) for k in old_fallen)
    old_charges_of_part = min(part, int(book.fees_due[covered] + book.interest_due[covered]))
    rewrite_schedule(book, loan, covered=covered, paid=already + part, on_day=fallen_day, new_term=12)

    rows = np.arange(book.first[loan], book.last[loan])
    assert book.principal_due[rows].sum() == book.principal[loan]
    assert len(rows) == 2 + (1 if part else 0) + 12
    assert book.cumulative_due[rows[-13]] == already + part, "what was paid is exactly covered"
    assert (np.diff(book.due_day[rows]) > 0).all()
    # interest and fees that had fallen due are asked for again, on top of the new interest
    new = rows[-12:]
    plain = amortise(np.array([book.principal_due[new].sum()]), np.array([book.annual_rate[loan] / 12]), np.array([12]))
    assert book.interest_due[new].sum() - plain[1].sum() == unpaid_charges - old_charges_of_part


def test_national_ids_carry_their_check_digit():
    # 170000001?: odd places 1,0,0,0,1 doubled 2,0,0,0,2 = 4; even places 7,0,0,0 = 7; 11 -> check digit 9
    assert national_ids(np.array([17]), np.array([1])).tolist() == ["1700000019"]
    # a leading zero stays: 010000002?: 0,0,0,0,2 doubled = 4; 1,0,0,0 = 1; 5 -> 5
    assert national_ids(np.array([1]), np.array([2])).tolist() == ["0100000025"]
