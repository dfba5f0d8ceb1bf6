"""The evaluator gives what Power BI would, on a star small enough to add up by hand."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from puntual.powerbi.dax import DaxError, parse
from puntual.powerbi.evaluate import GRAINS, Context, Evaluator, differences, period_of
from puntual.powerbi.model import SemanticModel
from puntual.powerbi.tmdl import Node

STOCK = (
    "VAR LastDate = CALCULATE(MAX('dim_dates'[date]), 'dim_dates'[is_stock_date] = TRUE())\n"
    "RETURN CALCULATE(SUM('kpi_stock'[balance]), 'dim_dates'[date] = LastDate)"
)
FIGURE = (
    'VAR Grain = SWITCH(TRUE(), ISFILTERED(\'dim_branches\'), "branch", "total")\n'
    "RETURN CALCULATE(IF(COUNTROWS('fct_kpi') = 1, MAX('fct_kpi'[value])), 'fct_kpi'[kpi_code] = \"K2\","
    " 'fct_kpi'[period_code] = \"month\", 'fct_kpi'[grain_code] = Grain)"
)
JUNE = Context(date(2026, 6, 1), date(2026, 6, 30))
BY_BRANCH = Context(date(2026, 6, 1), date(2026, 6, 30), GRAINS["branch"])


def model(**altered: str) -> SemanticModel:
    dax = {
        "paid": "SUM('kpi_flow'[paid])",
        "due": "SUM('kpi_flow'[due])",
        "balance": STOCK,
        "K1 share": "DIVIDE([paid], [due])",
        "K2 figure": FIGURE,
    } | altered
    measures = Node("table", "measures", children=tuple(Node("measure", name, text) for name, text in dax.items()))
    ends = [("kpi_flow", "dim_dates", "date_key"), ("kpi_flow", "dim_branches", "branch_key"),
            ("kpi_stock", "dim_dates", "date_key"), ("kpi_stock", "dim_branches", "branch_key"),
            ("fct_kpi", "dim_dates", "date_key"), ("fct_kpi", "dim_branches", "branch_key")]  # fmt: skip
    keys = [
        Node("relationship", f"{fact}{to}", properties=(("fromColumn", f"{fact}.{key}"), ("toColumn", f"{to}.{key}")))
        for fact, to, key in ends
    ]
    return SemanticModel({"tables/measures.tmdl": [measures], "relationships.tmdl": keys})


@pytest.fixture
def query():
    connection = duckdb.connect()
    for sql in (
        "create table dim_dates as select 20260601 + n as date_key, date '2026-06-01' + n::int as date,"
        " n in (9, 29) as is_stock_date from range(30) r(n)",
        "create table dim_branches as select * from (values (1, 'A', 'Azuay'), (2, 'B', 'Azuay'), (-1, '(sin dato)', '(sin dato)')) b(branch_key, branch_id, province)",
        # 10 + 20 + 5 paid of 100 + 0 due: A 30/100, B 5/0, all 35/100
        "create table kpi_flow as select * from (values (20260602, 1, 10, 60), (20260610, 1, 20, 40), (20260611, 2, 5, 0)) f(date_key, branch_key, paid, due)",
        # B has nothing on the last day: its 7 of the 10th must not come back
        "create table kpi_stock as select * from (values (20260610, 1, 100), (20260610, 2, 7), (20260630, 1, 80)) s(date_key, branch_key, balance)",
        "create table fct_kpi as select * from (values"
        " (20260630, -1, date '2026-06-30', 'month', 'K1', 'total', null, null, 0.35::double),"
        " (20260630, 1, date '2026-06-30', 'month', 'K1', 'branch', 'A', null, 0.3::double),"
        " (20260630, 2, date '2026-06-30', 'month', 'K1', 'branch', 'B', null, null),"
        " (20260630, -1, date '2026-06-30', 'month', 'K2', 'total', null, null, 9.0::double),"
        " (20260630, 1, date '2026-06-30', 'month', 'K2', 'branch', 'A', null, 8.0::double))"
        " k(date_key, branch_key, as_of_date, period_code, kpi_code, grain_code, branch_id, detail_code, value)",
    ):
        connection.execute(sql)
    return lambda sql: connection.execute(sql).fetchall()


def test_a_sum_follows_the_relationships(query) -> None:
    evaluator = Evaluator(model(), query)
    assert evaluator.measure("paid", JUNE) == {(): 35}
    assert evaluator.measure("paid", BY_BRANCH) == {("A",): 30, ("B",): 5}
    assert evaluator.measure("paid", Context(date(2026, 6, 10), date(2026, 6, 10))) == {(): 20}


def test_a_ratio_is_of_the_sums_and_blank_over_nothing(query) -> None:
    evaluator = Evaluator(model(), query)
    assert evaluator.measure("K1 share", JUNE) == {(): 0.35}
    assert evaluator.measure("K1 share", BY_BRANCH) == {("A",): 0.3, ("B",): None}


def test_nothing_plus_zero_over_something_is_zero(query) -> None:
    # B has no balance in June and 5 paid: 0 / 5; A has 80 / 30
    evaluator = Evaluator(model(**{"K1 share": "DIVIDE([balance] + 0, [paid])"}), query)
    assert evaluator.measure("K1 share", BY_BRANCH) == {("A",): 80 / 30, ("B",): 0.0}
    evaluator = Evaluator(model(**{"K1 share": "DIVIDE([balance], [paid])"}), query)
    assert evaluator.measure("K1 share", BY_BRANCH) == {("A",): 80 / 30, ("B",): None}


def test_a_stock_is_that_of_the_last_kept_day_for_every_branch(query) -> None:
    evaluator = Evaluator(model(), query)
    assert evaluator.measure("balance", JUNE) == {(): 80}
    assert evaluator.measure("balance", BY_BRANCH) == {("A",): 80}
    assert evaluator.measure("balance", Context(date(2026, 6, 1), date(2026, 6, 20))) == {(): 107}
    assert evaluator.measure("balance", Context(date(2026, 6, 1), date(2026, 6, 5))) in ({}, {(): None})


def test_a_figure_is_read_at_the_grain_that_is_asked(query) -> None:
    evaluator = Evaluator(model(), query)
    assert evaluator.measure("K2 figure", JUNE) == {(): 9.0}
    assert evaluator.measure("K2 figure", BY_BRANCH) == {("A",): 8.0}


def test_an_altered_measure_is_caught(query) -> None:
    codes, grains = {"K1": "K1 share", "K2": "K2 figure"}, {"K1": ("total", "branch"), "K2": ("total", "branch")}
    assert differences(Evaluator(model(), query), codes, grains, periods=("month",)) == []
    for altered in (
        {"K1 share": "DIVIDE([due], [paid])"},
        {"due": "SUM('kpi_flow'[paid])"},
        {"K2 figure": FIGURE.replace("K2", "K1")},
        {"K2 figure": FIGURE.replace('"branch", "total"', '"total", "total"')},
    ):
        found = differences(Evaluator(model(**altered), query), codes, grains, periods=("month",))
        assert found, altered
        assert "the long table" in str(found[0])


def test_a_wrong_relationship_is_caught(query) -> None:
    broken = model()
    ends = broken.files["relationships.tmdl"]
    ends[1] = Node(
        "relationship", "x", properties=(("fromColumn", "kpi_flow.date_key"), ("toColumn", "dim_branches.branch_key"))
    )
    assert differences(Evaluator(broken, query), {"K1": "K1 share"}, {"K1": ("branch",)}, periods=("month",))


def test_periods_end_where_the_long_table_says() -> None:
    assert period_of("day", date(2026, 6, 30)) == (date(2026, 6, 30), date(2026, 6, 30))
    assert period_of("week", date(2026, 6, 30)) == (date(2026, 6, 29), date(2026, 6, 30))  # a Tuesday
    assert period_of("month", date(2026, 6, 30)) == (date(2026, 6, 1), date(2026, 6, 30))


@pytest.mark.parametrize(
    "text", ["SUM('t'[c]", "SUM('t[c])", "[a] [b]", "VAR x = 1", "SUM(t.c)", '"open', "DIVIDE(, 1)"]
)
def test_what_is_no_dax_of_ours_is_refused(text: str) -> None:
    with pytest.raises(DaxError):
        parse(text)


def test_a_function_that_is_not_proved_is_refused(query) -> None:
    with pytest.raises(DaxError, match="AVERAGE"):
        Evaluator(model(paid="AVERAGE('kpi_flow'[paid])"), query).measure("paid", JUNE)
