"""KPIs of the portfolio on a book small enough to be computed by head; every figure has its arithmetic beside it.

One branch per question, so that the grain ``branch`` shows each case alone. The date is 30 June 2026.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.dbt.book import AS_OF, Book
from tests.dbt.kpi_books import NO_TESTS, WITH_TESTS, Warehouse, ask_history, build_duckdb

MAY_31, JUNE_28, JUNE_29 = date(2026, 5, 31), date(2026, 6, 28), date(2026, 6, 29)


def lend(
    book: Book, loan_id: str, branch: str, dues: list[tuple[date, str]], *, interest: str = "0.00", **loan: Any
) -> None:
    """A loan of the branch with instalments of (due date, principal); its member has the loan's name."""
    member = loan.pop("customer_id", f"C-{loan_id}")
    if member not in {row["customer_id"] for row in book.tables.get("customers", [])}:
        book.customer(member, branch_id=branch)
    given = {"product": "consumer", "disbursed_on": date(2025, 1, 2)} | loan
    book.loan(loan_id, member, given.pop("disbursed_on"), branch_id=branch, **given,
              principal=sum((Decimal(principal) for _, principal in dues), Decimal(0)))  # fmt: skip
    book.schedule(loan_id, [(due_on, principal, interest, "0.00") for due_on, principal in dues])


def late(days: int) -> date:
    """The due date that is ``days`` past due on the run's date."""
    return AS_OF - timedelta(days=days)


NEXT = date(2026, 7, 31)


def golden_book() -> Book:
    book = Book()
    ask_history(book, months=3)
    # Q1, quality: four loans. 400 current; 300 of which 100 are 20 days past due; 200 of which 50 are 75 and 50 are 45
    # days past due; 100 wholly 200 days past due, written in interest of 10.
    lend(book, "q1-current", "Q1", [(NEXT, "400.00")])
    lend(book, "q1-20", "Q1", [(late(20), "100.00"), (NEXT, "200.00")])
    lend(book, "q1-75", "Q1", [(late(75), "50.00"), (late(45), "50.00"), (NEXT, "100.00")])
    lend(book, "q1-200", "Q1", [(late(200), "100.00")], interest="10.00")
    # Q2, boundaries: one loan on each side of every threshold, 100 each; and a restructured one that is current.
    for days in (0, 1, 2, 30, 31, 60, 61, 90, 91, 180, 181):
        lend(book, f"q2-{days:03d}", "Q2", [(late(days), "100.00")])
    lend(book, "q2-restructured", "Q2", [(NEXT, "100.00")], restructured_on=date(2026, 3, 1))
    # Q3, a partly paid instalment: 100 principal 70 days past due, 30 of it paid, and 100 due next month.
    lend(book, "q3-part", "Q3", [(late(70), "100.00"), (NEXT, "100.00")])
    book.pay("q3-part", late(10), "30.00")
    # Q4, nothing outstanding: paid off, so that every ratio has a zero denominator.
    lend(book, "q4-paid", "Q4", [(date(2026, 6, 10), "100.00")], status="closed", closed_on=date(2026, 6, 10))
    book.pay("q4-paid", date(2026, 6, 10), "100.00")
    # Q5, rating: one loan of 1 000 per line, 50 days past due; and one of a product without a line.
    for product in ("consumer", "microcredit", "housing", "commercial", None):
        lend(book, f"q5-{product}", "Q5", [(late(50), "1000.00")], product=product)
    # Q6, write-offs: 1 000 current; 200 written off on 15 June after 40 had been paid, 10 recovered on 20 June and 4 of
    # that taken back on the 25th; 300 written off in 2025, of which 30 come in on 5 June.
    lend(book, "q6-current", "Q6", [(NEXT, "1000.00")])
    lend(book, "q6-june", "Q6", [(date(2025, 3, 1), "200.00")], status="written_off", written_off_on=date(2026, 6, 15))
    book.pay("q6-june", date(2026, 4, 1), "40.00")
    book.pay("q6-june", date(2026, 6, 20), "10.00")
    book.pay("q6-june", date(2026, 6, 25), "4.00", reverses_payment_id="other")
    lend(book, "q6-2025", "Q6", [(date(2025, 3, 1), "300.00")], status="written_off", written_off_on=date(2025, 12, 1))
    book.pay("q6-2025", date(2026, 6, 5), "30.00")
    # Q9, what belongs to before the write-off: 200 written off on 15 June, 40 paid in April and taken back on 25 June, 5 paid
    # on the very day and taken back on the 26th, 10 recovered on the 20th.
    lend(book, "q9-june", "Q9", [(date(2025, 3, 1), "200.00")], status="written_off", written_off_on=date(2026, 6, 15))
    earlier = book.pay("q9-june", date(2026, 4, 1), "40.00")
    same_day = book.pay("q9-june", date(2026, 6, 15), "5.00")
    book.pay("q9-june", date(2026, 6, 20), "10.00")
    book.pay("q9-june", date(2026, 6, 25), "40.00", reverses_payment_id=earlier)
    book.pay("q9-june", date(2026, 6, 26), "5.00", reverses_payment_id=same_day)
    # Q7, concentration: 101 members owe 1 each, and one owes 99 with two loans (66 and 33).
    for number in range(101):
        lend(book, f"q7-{number:03d}", "Q7", [(late(5), "1.00")])
    for number, amount in enumerate(("66.00", "33.00")):
        lend(book, f"q7-large-{number}", "Q7", [(late(5), amount)], customer_id="C-q7-large")
    # Q8, expected loss: mortgage 1 000 at 0.1, no collateral 500 at 0.2.
    lend(book, "q8-house", "Q8", [(NEXT, "1000.00")], collateral="mortgage", product="housing")
    lend(book, "q8-plain", "Q8", [(NEXT, "500.00")], collateral="none")
    book.tables["ml.default_risk_scores"] = [
        {"as_of_date": AS_OF, "loan_id": loan_id, "default_probability": probability, "_load_id": 1}
        for loan_id, probability in (("q8-house", 0.1), ("q8-plain", 0.2))
    ]
    for branch, province in (("Q1", "Azuay"), ("Q2", "Azuay"), ("Q3", "Loja")):
        book.add("branches", branch_id=branch, name=branch, province=province)
    return book


def built(tmp_path_factory: pytest.TempPathFactory, *arguments: str, **settings: Any) -> Warehouse:
    folder = tmp_path_factory.mktemp("golden")
    return build_duckdb(golden_book(), folder, *(arguments or NO_TESTS), "--vars", json.dumps(settings))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The settings of a new home: over_60_days, EC-P1, average of opening and closing."""
    return built(tmp_path_factory, *WITH_TESTS)


@pytest.fixture(scope="module")
def portfolio_read_otherwise(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Every choice the other way: any_day, EC-P3, opening portfolio, and the due day is past-due day 1."""
    return built(tmp_path_factory, reclassification_reading="any_day", rating_table="EC-P3", writeoff_average="opening",
                 due_day_is_past_due=True)  # fmt: skip


def parts(
    warehouse: Warehouse, code: str, branch: str, *, day: date = AS_OF, period: str = "month", **where: Any
) -> Any:
    """(numerator, denominator) of the one row of a branch."""
    (row,) = warehouse.kpis(
        kpi_code=code, grain_code="branch", branch_id=branch, as_of_date=day, period_code=period, **where
    )
    return row["numerator"], row["denominator"]


# Q1: balances 400 + 300 + 200 + 100 = 1 000.
QUALITY = {
    "K01": (1000, 1),
    "K01_COUNT": (4, 1),
    # Older than 60 days: 50 of q1-75 (its other 50 are 45 days old) and the 100 of q1-200.
    "K02": (150, 1),
    # The rest of these two loans: 200 - 50 = 150, and 100 - 100 = 0.
    "K03": (150, 1),
    "K04": (300, 1),
    "K05": (300, 1000),
    # 300 + 200 + 100 are past due at all, and over 1 day too; over 30 and 60: 200 + 100; over 90 and 180: 100.
    "K08_0": (600, 1000),
    "K08_1": (600, 1000),
    "K08_30": (300, 1000),
    "K08_60": (300, 1000),
    "K08_90": (100, 1000),
    "K08_180": (100, 1000),
    # What is due: 100 + (50 + 50) + (100 + 10 of interest) = 310.
    "K09": (310, 1000),
    "K09_AMOUNT": (310, 1),
    "K10": (100, 1000),
    "K10_COUNT": (1, 4),
    "K10_PAST_DUE_COUNT": (3, 4),
}


@pytest.mark.parametrize("code", QUALITY)
def test_portfolio_quality(shipped: Warehouse, code: str) -> None:
    assert parts(shipped, code, "Q1") == pytest.approx(QUALITY[code], abs=1e-9)


def test_delinquency_ratio_is_the_quotient_of_its_parts(shipped: Warehouse) -> None:
    (row,) = shipped.kpis(kpi_code="K05", grain_code="branch", branch_id="Q1", as_of_date=AS_OF, period_code="day")
    assert row["value"] == pytest.approx(0.3)


@pytest.mark.long
def test_any_day_moves_every_late_instalment_and_the_rest_of_its_loan(portfolio_read_otherwise: Warehouse) -> None:
    # Due before or on the date: 100 + (50 + 50) + 100 = 300; the rest of these loans: 200 + 100 + 0 = 300.
    assert parts(portfolio_read_otherwise, "K02", "Q1") == (300, 1)
    assert parts(portfolio_read_otherwise, "K03", "Q1") == (300, 1)
    assert parts(portfolio_read_otherwise, "K05", "Q1") == (600, 1000)


@pytest.mark.parametrize(
    ("code", "shipped_loans", "other_loans"),
    [
        # Eleven loans 0, 1, 2, 30, 31, 60, 61, 90, 91, 180, 181 days after their due date, of 100 each, and one of 100 that
        # is current. Shipped: past-due days are these; more than d is strict. Other: one more each (1, 2, 3, 31, …, 182).
        ("K08_0", 10, 11),
        ("K08_1", 9, 10),
        ("K08_30", 7, 8),
        ("K08_60", 5, 6),
        ("K08_90", 3, 4),
        ("K08_180", 1, 2),
        ("K10", 3, 4),
        # The restructured loan besides.
        ("K08_30R", 8, 9),
    ],
)
def test_thresholds_are_strict_and_follow_the_reading_of_the_due_day(
    shipped: Warehouse, portfolio_read_otherwise: Warehouse, code: str, shipped_loans: int, other_loans: int
) -> None:
    assert parts(shipped, code, "Q2") == (100 * shipped_loans, 1200)
    assert parts(portfolio_read_otherwise, code, "Q2") == (100 * other_loans, 1200)


def test_reclassification_threshold_is_strict_too(shipped: Warehouse, portfolio_read_otherwise: Warehouse) -> None:
    # Over 60 days: 61, 90, 91, 180, 181. Any day with the due day counted: all eleven that are due.
    assert parts(shipped, "K04", "Q2") == (500, 1)
    assert parts(portfolio_read_otherwise, "K04", "Q2") == (1100, 1)


def test_payment_in_part_leaves_the_rest_of_the_instalment_overdue(
    shipped: Warehouse, portfolio_read_otherwise: Warehouse
) -> None:
    # 30 of 100 were paid: 70 overdue under either reading, 100 more of the loan do not accrue.
    for warehouse in (shipped, portfolio_read_otherwise):
        assert parts(warehouse, "K02", "Q3") == (70, 1)
        assert parts(warehouse, "K03", "Q3") == (100, 1)
        assert parts(warehouse, "K05", "Q3") == (170, 170)


def test_before_the_payment_the_whole_instalment_was_overdue(shipped: Warehouse) -> None:
    # On 14 June the instalment of 21 April was 54 days old: not reclassified yet. On 21 June, 61 days and 30 paid.
    assert parts(shipped, "K02", "Q3", day=date(2026, 6, 14), period="week") == (0, 1)
    assert parts(shipped, "K02", "Q3", day=date(2026, 6, 21), period="week") == (70, 1)
    assert parts(shipped, "K05", "Q3", day=date(2026, 6, 14), period="week") == (0, 200)


def test_zero_denominator_is_null(shipped: Warehouse) -> None:
    # Paid off on 10 June: on the 9th there were 100 outstanding, on the 30th there is no loan and no row.
    assert parts(shipped, "K05", "Q4", day=date(2026, 6, 9), period="day") == (0, 100)
    assert shipped.kpis(kpi_code="K05", grain_code="branch", branch_id="Q4", as_of_date=AS_OF) == []
    # No restructured loan in Q1: 0 of 0.
    (row,) = shipped.kpis(
        kpi_code="K22_PAR30", grain_code="branch", branch_id="Q1", as_of_date=AS_OF, period_code="day"
    )
    assert (row["numerator"], row["denominator"], row["value"]) == (0, 0, None)


def test_restructured_share(shipped: Warehouse) -> None:
    assert parts(shipped, "K22", "Q2") == (100, 1200)
    assert parts(shipped, "K22_AMOUNT", "Q2") == (100, 1)
    assert parts(shipped, "K22_PAR30", "Q2") == (0, 100)
    # It had not been restructured on 28 February, which is not kept; at the end of April it had.
    assert parts(shipped, "K22_AMOUNT", "Q2", day=date(2026, 4, 30)) == (100, 1)


def test_distribution_by_bucket_and_by_band(shipped: Warehouse) -> None:
    def shares(code: str) -> dict[str, float]:
        rows = shipped.kpis(kpi_code=code, grain_code="branch", branch_id="Q2", as_of_date=AS_OF, period_code="day")
        assert {row["denominator"] for row in rows} == {12 if code.endswith("COUNT") else 1200}
        return {row["detail_code"]: row["numerator"] for row in rows}

    # Days 0 and the restructured one; 1 and 2; 30; 31 and 60; 61 and 90; 91; 180; 181.
    expected = {
        "0": 200,
        "1-5": 200,
        "16-30": 100,
        "31-60": 200,
        "61-90": 200,
        "91-120": 100,
        "121-180": 100,
        "181-360": 100,
    }
    assert shares("K11") == expected
    assert shares("K11_COUNT") == {bucket: amount / 100 for bucket, amount in expected.items()}
    assert shares("K11_BAND") == {"0": 200, "1-30": 300, "31-90": 400, "91-180": 200, "181-360": 100}
    assert shares("K11_BAND_COUNT") == {"0": 2, "1-30": 3, "31-90": 4, "91-180": 2, "181-360": 1}


def test_bucket_grain_adds_up_to_the_branch(shipped: Warehouse) -> None:
    rows = shipped.kpis(kpi_code="K01", as_of_date=AS_OF, period_code="month")
    total = sum(row["numerator"] for row in rows if row["grain_code"] == "total")
    for grain in ("branch", "product", "segment", "bucket", "province", "branch_product"):
        assert sum(row["numerator"] for row in rows if row["grain_code"] == grain) == pytest.approx(total), grain


def test_province_is_that_of_the_branch(shipped: Warehouse) -> None:
    found = {row["province"]: row["numerator"] for row in shipped.kpis(kpi_code="K01", grain_code="province",
                                                                     as_of_date=AS_OF, period_code="month")}  # fmt: skip
    # Q1 and Q2; Q3; the branches of which nothing is known.
    assert (found["Azuay"], found["Loja"]) == (1000 + 1200, 170)


# 50 days past due. EC-P1: consumption and microcredit B1 (36 to 50) 6 %, housing A3 (36 to 65) 3 %, commercial B1 (31 to 60) 6 %.
# The loan without a product has no line and no percentage.
def test_required_provision_of_table_one(shipped: Warehouse) -> None:
    assert parts(shipped, "K24", "Q5") == (60 + 60 + 30 + 60, 1)
    assert parts(shipped, "K24_RATE", "Q5") == (210, 4000)
    assert parts(shipped, "K24_RATED", "Q5") == (4000, 5000)
    assert parts(shipped, "K24_RATING", "Q5", detail_code="B1") == (3000, 5000)
    assert parts(shipped, "K24_RATING_PROVISION", "Q5", detail_code="A3") == (30, 1)


# EC-P3 knows consumption and microcredit alone; 51 days with the due day counted: C1 (46 to 70) 20 %.
def test_required_provision_of_table_three(portfolio_read_otherwise: Warehouse) -> None:
    assert parts(portfolio_read_otherwise, "K24", "Q5") == (200 + 200, 1)
    assert parts(portfolio_read_otherwise, "K24_RATED", "Q5") == (2000, 5000)
    assert parts(portfolio_read_otherwise, "K24_RATING", "Q5", detail_code="C1") == (2000, 5000)


@pytest.mark.long
def test_table_without_percentages_has_no_provision_and_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    warehouse = built(tmp_path_factory, rating_table="EC-P2")
    # Nothing is rated, so there is no rate; categories there are: 50 days are B2 (46 to 60) and, in housing, A3 (31 to 60).
    assert parts(warehouse, "K24_RATED", "Q5") == (0, 5000)
    assert parts(warehouse, "K24_RATING", "Q5", detail_code="B2") == (2000, 5000)
    (state,) = warehouse.query(
        "select status_code, reason_en, warning_en from kpis.kpi_status where kpi_code = 'K24_RATE'"
    )
    assert state[0] == "no_data"
    assert state[1] == "The rating table EC-P2 has no provision percentages."
    assert "confirm it" in state[2]


def test_delinquency_by_line(shipped: Warehouse, portfolio_read_otherwise: Warehouse) -> None:
    # 50 days: nothing is unproductive over 60 days; everything is at any day.
    assert parts(shipped, "K05_LINE", "Q5", detail_code="vivienda") == (0, 1000)
    assert parts(portfolio_read_otherwise, "K05_LINE", "Q5", detail_code="vivienda") == (1000, 1000)


# June: q6-june owed 200 - 40 = 160 when it was written off on the 15th. The portfolio opened with 1 000 + 160 and closed with
# 1 000, because a written-off loan leaves it.
def test_write_off_rate_and_its_denominators(shipped: Warehouse, portfolio_read_otherwise: Warehouse) -> None:
    assert parts(shipped, "K20", "Q6") == (160, (1160 + 1000) / 2)
    assert parts(portfolio_read_otherwise, "K20", "Q6") == (160, 1160)
    assert parts(shipped, "K20_AMOUNT", "Q6") == (160, 1)
    # In the week of the 15th to the 21st it is the same; in the week before there is none.
    assert parts(shipped, "K20", "Q6", day=date(2026, 6, 21), period="week") == (160, (1160 + 1000) / 2)
    assert parts(shipped, "K20", "Q6", day=date(2026, 6, 14), period="week") == (0, 1160)
    assert parts(shipped, "K20", "Q6", day=date(2026, 6, 15), period="day") == (160, (1160 + 1000) / 2)


def test_recovery_of_write_offs(shipped: Warehouse) -> None:
    # June: 30 on the old one and 10 - 4 on the new one; the stock opened with the old one's 300.
    assert parts(shipped, "K21", "Q6") == (36, 300)
    assert parts(shipped, "K21_AMOUNT", "Q6") == (36, 1)
    # The stock closes with 300 - 30 and 160 - 6.
    assert parts(shipped, "K20_STOCK", "Q6") == (270 + 154, 1)
    # In April, 40 came in on a loan that was not written off yet: no recovery.
    assert parts(shipped, "K21_AMOUNT", "Q6", day=MAY_31) == (0, 1)


def test_recovery_is_of_what_came_after_the_write_off(shipped: Warehouse) -> None:
    # 200 - 40 - 5 were written off. Of the money only the 10 is recovered; what was taken back had come before.
    assert parts(shipped, "K20_AMOUNT", "Q9") == (155, 1)
    assert parts(shipped, "K21_AMOUNT", "Q9") == (10, 1)
    assert parts(shipped, "K21_AMOUNT", "Q9", day=date(2026, 6, 15), period="day") == (0, 1)
    assert parts(shipped, "K21_AMOUNT", "Q9", day=date(2026, 6, 26), period="day") == (0, 1)


def test_write_offs_by_the_segment_of_the_opening(shipped: Warehouse) -> None:
    def chronic(code: str) -> tuple[float, float]:
        (row,) = shipped.kpis(
            kpi_code=code, grain_code="segment", segment_code="chronic", as_of_date=AS_OF, period_code="month"
        )
        return row["numerator"], row["denominator"]

    # All three written-off loans were due on 1 March 2025: 160 + 155 in June; 36 + 10 came in, over the stock of 300.
    assert chronic("K20_AMOUNT") == (315, 1)
    assert chronic("K21") == (46, 300)


def test_distribution_and_concentration_by_province(shipped: Warehouse) -> None:
    def azuay(code: str, **where: Any) -> tuple[float, float]:
        (row,) = shipped.kpis(
            kpi_code=code, grain_code="province", province="Azuay", as_of_date=AS_OF, period_code="month", **where
        )
        return row["numerator"], row["denominator"]

    # Q1 has 300 twenty days late and Q2 100 thirty days late, of 1 000 + 1 200.
    assert azuay("K11", detail_code="16-30") == (400, 2200)
    # Arrears of 310 in Q1 (100, 100, 110) and 10 x 100 in Q2: the ten largest are 110 + 9 x 100.
    assert azuay("K25_TOP10") == (1010, 1310)
    assert azuay("K25_HHI") == (310**2 + 1000**2, 1310**2)


def test_first_kept_month_has_no_opening_and_no_rate(shipped: Warehouse) -> None:
    months = {
        row["as_of_date"]
        for row in shipped.kpis(kpi_code="K20", grain_code="branch", branch_id="Q6", period_code="month")
    }
    assert months == {MAY_31, AS_OF}


def test_concentration_in_debtors(shipped: Warehouse) -> None:
    # 102 debtors owe 101 + 99 = 200. One per cent of 102, rounded up, are two: 99 + 1. The ten largest: 99 + 9.
    assert parts(shipped, "K25_TOP1", "Q7") == (100, 200)
    assert parts(shipped, "K25_TOP10", "Q7") == (108, 200)


def test_concentration_in_branches(shipped: Warehouse) -> None:
    # Arrears by branch: Q1 310, Q2 1 000 (ten loans), Q3 70, Q5 5 000, Q7 200; written-off loans do not count.
    amounts = (310, 1000, 70, 5000, 200)
    (row,) = shipped.kpis(kpi_code="K25_HHI", grain_code="total", as_of_date=AS_OF, period_code="month")
    assert row["numerator"] == pytest.approx(sum(amount**2 for amount in amounts))
    assert row["denominator"] == pytest.approx(sum(amounts) ** 2)


def test_expected_loss(shipped: Warehouse) -> None:
    # 1 000 · 0.1 · 0.30 + 500 · 0.2 · 0.65 = 30 + 65.
    assert parts(shipped, "K23", "Q8") == pytest.approx((95, 1))
    assert parts(shipped, "K23_RATE", "Q8") == pytest.approx((95, 1500))
    # The day before was not scored.
    assert shipped.kpis(kpi_code="K23", as_of_date=JUNE_29) == []


def test_running_week_ends_at_the_run_and_a_stock_is_that_of_its_last_day(shipped: Warehouse) -> None:
    weeks = sorted({row["as_of_date"] for row in shipped.kpis(kpi_code="K01", grain_code="total", period_code="week")})
    # 30 June 2026 is a Tuesday; thirteen Sundays before it are kept.
    assert weeks[-3:] == [date(2026, 6, 21), JUNE_28, AS_OF]
    assert len(weeks) == 14
    assert parts(shipped, "K01", "Q3", day=JUNE_28, period="week") == (170, 1)
    assert parts(shipped, "K01", "Q3", day=date(2026, 6, 14), period="week") == (200, 1)


def test_status_says_what_is_off_and_what_must_be_confirmed(shipped: Warehouse) -> None:
    rows = {
        row[0]: row[1:]
        for row in shipped.query("select kpi_code, status_code, reason_es, warning_es from kpis.kpi_status")
    }
    assert rows["K06"][0] == "off"
    assert "1499" in rows["K06"][1]
    assert rows["K05"] == ("on", None, None)
    assert rows["K24"][0] == "on"
    assert "EC-P1" in rows["K24"][2]
