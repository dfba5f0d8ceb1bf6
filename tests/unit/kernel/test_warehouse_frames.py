"""A frame that goes into a table comes out as it was, on both engines."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puntual.warehouse import Warehouse
from tests.dbt.warehouses import create_database

# What could be mistaken for NULL, for the end of a row, of a cell, or of the data.
HOSTILE = ["", "\\N", "\\.", "NULL", '"', '""', "'", "\\", "\\\\n", "a,b", "a;b", "a\nb", "a\r\nb", "\r", "\t", " x ", "ñandú",
           "漢字", "😀", "\u2028", "NaN", "nan", "0x1", "%s", "{}", "t", "f", "2026-06-30"]  # fmt: skip

TEXTS = st.one_of(
    st.none(), st.sampled_from(HOSTILE), st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
)
TIMES = st.datetimes(pd.Timestamp("1900-01-01").to_pydatetime(), pd.Timestamp("2200-01-01").to_pydatetime())
NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.1, -0.0, 1e-300, 1e300]))


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    count = draw(st.integers(0, 12))

    def several(values: st.SearchStrategy) -> list:
        return draw(st.lists(values, min_size=count, max_size=count))

    return pd.DataFrame(
        {
            "name": pd.Series(several(TEXTS), dtype=object),
            "count": pd.Series(several(st.integers(-(2**63), 2**63 - 1)), dtype="int64"),
            "amount": pd.Series(several(st.one_of(NUMBERS, st.just(float("nan")))), dtype="float64"),
            "as_of_date": pd.Series(pd.to_datetime(several(st.one_of(st.none(), TIMES))), dtype="datetime64[us]"),
            "is_late": pd.Series(several(st.booleans()), dtype=bool),
        }
    )


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def warehouse(request, tmp_path_factory):
    if request.param == "duckdb":
        return Warehouse.open("duckdb:///warehouse/book.duckdb", tmp_path_factory.mktemp("frames"))
    url = create_database(request.getfixturevalue("postgres_url"), "frames")
    return Warehouse.open(url, tmp_path_factory.mktemp("frames"))


def through(warehouse: Warehouse, frame: pd.DataFrame, order: str = "row") -> pd.DataFrame:
    numbered = frame.assign(row=np.arange(len(frame)))
    with warehouse.connection():
        if warehouse.table_exists("frames.book"):
            warehouse.execute("drop table frames.book")
        warehouse.replace_table("frames.book", numbered)
        return warehouse.read_table("frames.book", order_by=[order]).drop(columns="row")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=frames())
def test_a_frame_comes_back_as_it_was(warehouse, frame):
    pd.testing.assert_frame_equal(through(warehouse, frame), frame, check_exact=True)


def test_each_hostile_text_comes_back_and_stays_apart_from_null(warehouse):
    frame = pd.DataFrame({"name": pd.Series([*HOSTILE, None], dtype=object)})
    assert through(warehouse, frame)["name"].tolist() == [*HOSTILE, None]


def test_objects_get_the_type_of_what_they_hold(warehouse):
    frame = pd.DataFrame(
        {
            "day": pd.Series([None, date(2026, 6, 30)], dtype=object),
            "flag": pd.Series([True, None], dtype=object),
            "price": pd.Series([Decimal("1.10"), Decimal("-12345678901.005")], dtype=object),
            "code": pd.Series([7, "x"], dtype=object),
            "never": pd.Series([None, None], dtype=object),
            "partly": pd.Series([1, None], dtype="Int64"),
        }
    )
    back = through(warehouse, frame)
    assert back["day"].tolist() == [pd.NaT, pd.Timestamp("2026-06-30")]
    assert back["flag"].tolist() == [True, None]
    assert back["price"].tolist() == [1.10, -12345678901.005]
    assert back["code"].tolist() == ["7", "x"]
    assert back["never"].tolist() == [None, None]
    assert back["partly"].iloc[0] == 1.0
    assert np.isnan(back["partly"].iloc[1])


def test_decimals_are_exact_in_the_table(warehouse):
    through(warehouse, pd.DataFrame({"price": pd.Series([Decimal("0.10"), Decimal("0.205")], dtype=object)}))
    total = warehouse.read("select cast(sum(price) * 1000 as bigint) as t, count(distinct price) as n from frames.book")
    assert total["t"].tolist() == [305]


def test_a_time_with_a_zone_becomes_utc(warehouse):
    here = timezone(timedelta(hours=-5))
    frame = pd.DataFrame(
        {
            "one": pd.to_datetime(["2026-06-30 20:00:00"]).tz_localize(here),
            "two": pd.Series([datetime(2026, 6, 30, 20, tzinfo=here)], dtype=object),
            "three": pd.Series([datetime(2026, 6, 30, 20, tzinfo=UTC)], dtype=object),
        }
    )
    back = through(warehouse, frame)
    assert back["one"].tolist() == back["two"].tolist() == [pd.Timestamp("2026-07-01 01:00:00")]
    assert back["three"].tolist() == [pd.Timestamp("2026-06-30 20:00:00")]


def test_rows_written_in_a_block_are_read_in_it_and_gone_when_it_fails(warehouse):
    frame = pd.DataFrame({"name": ["a"]})
    with pytest.raises(RuntimeError), warehouse.connection():
        warehouse.replace_table("frames.passing", frame)
        assert len(warehouse.read_table("frames.passing")) == 1
        raise RuntimeError
    assert not warehouse.table_exists("frames.passing")


def test_a_query_that_fails_says_why_and_the_next_one_works(warehouse):
    with pytest.raises(Exception, match="nothere"):
        warehouse.read("select * from frames.nothere")
    with pytest.raises(Exception, match=r"onversion|invalid input"):
        warehouse.read("select cast(name as bigint) as n from (select 'x' as name) as q")
    assert warehouse.read("select 1 as one")["one"].tolist() == [1]


def test_parameters_are_values_whatever_they_hold(warehouse):
    found = warehouse.read("select {} as name, {} as other", ["50%; drop table x --'\"", None])
    assert found["name"].tolist() == ["50%; drop table x --'\""]
    assert found["other"].tolist() == [None]


def test_exported_texts_are_those_of_the_table(warehouse, tmp_path):
    frame = pd.DataFrame({"name": pd.Series([*HOSTILE, None], dtype=object)})
    through(warehouse, frame)
    file = tmp_path / "texts.parquet"
    warehouse.export_parquet("select name from frames.book order by row", file)
    assert pd.read_parquet(file)["name"].astype(object).where(lambda v: v.notna(), None).tolist() == [*HOSTILE, None]
