from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from puntual.clock import last_day_of_month, month_ends

days = st.dates(date(1990, 1, 1), date(2060, 12, 31))


@given(days)
def test_the_day_after_a_month_end_is_a_first(day):
    assert (last_day_of_month(day) + timedelta(days=1)).day == 1
    assert last_day_of_month(day).month == day.month


@given(days, st.integers(0, 1200))
def test_month_ends_are_every_month_end_of_the_span(first, length):
    last = first + timedelta(days=length)
    expected = [first + timedelta(days=n) for n in range(length + 1) if (first + timedelta(days=n + 1)).day == 1]
    assert month_ends(first, last) == expected
