"""The suggested hour: the best one inside the permitted window, and none when none stands out."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from puntual.lists.hours import best_hour, suggested_hours

DAY = pd.Timestamp("2026-06-30")
RATES = pd.Series({hour: 0.4 + 0.01 * ((hour * 7) % 11) for hour in range(6, 22)})


@given(st.integers(0, 24 * 60 - 1), st.integers(0, 24 * 60 - 1))
def test_it_never_leaves_the_window(one: int, other: int) -> None:
    start, end = (DAY + pd.Timedelta(minutes=minutes) for minutes in sorted((one, other)))
    said = best_hour(RATES, start, end)
    if said:
        hour = DAY + pd.Timedelta(hours=int(said[:2]))
        assert start <= hour and hour + pd.Timedelta(hours=1) <= end


def reach(rates: dict[int, float], *, is_enough: bool = True) -> pd.DataFrame:
    rows = [("call", "salaried", 2, hour, rate, is_enough) for hour, rate in rates.items()]
    return pd.DataFrame(rows, columns=["channel_code", "segment", "weekday", "hour", "shrunk_rate", "is_enough"])


def contact(**values: object) -> pd.DataFrame:
    given_values = {
        "channel_code": "call",
        "occupation": "salaried",
        "window_start": pd.Timestamp("2026-06-30 13:00"),  # Tuesday, 08:00 in Quito
        "window_end": pd.Timestamp("2026-06-30 23:00"),  # 18:00
    }
    return pd.DataFrame([{**given_values, **values}])


def suggested(rows: pd.DataFrame, table: pd.DataFrame | None) -> str:
    return suggested_hours(rows, table, pd.Series("America/Guayaquil", index=rows.index)).iloc[0]


def test_the_best_permitted_hour_of_channel_occupation_and_weekday() -> None:
    table = reach({9: 0.40, 12: 0.55, 18: 0.70})
    assert suggested(contact(), table) == "12:00", "18:00 would end after the window"
    assert suggested(contact(window_end=pd.Timestamp("2026-07-01 00:00")), table) == "18:00"
    assert suggested(contact(channel_code="visit"), table) == ""
    assert suggested(contact(occupation=None), table) == ""


def test_no_hour_is_suggested_without_evidence_or_advantage() -> None:
    assert suggested(contact(), None) == ""
    assert suggested(contact(), reach({9: 0.40, 12: 0.55}, is_enough=False)) == ""
    assert suggested(contact(), reach({9: 0.400, 12: 0.405})) == ""
