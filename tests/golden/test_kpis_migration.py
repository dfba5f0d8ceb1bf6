"""K12 to K19 and the lists' KPIs on ten loans and one list, with the arithmetic beside each figure.

Each loan lends 300 in three instalments of 115 (100 principal, 10 interest, 5 fees), due on the 10th. Unless said
otherwise it was lent on 10 March 2026 and is due in April, May and June; the run's date is 30 June 2026.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.dbt.book import AS_OF, Book, months_later, three_dues, utc
from tests.dbt.warehouses import MODELS_ONLY, duckdb_environment, load_duckdb, run_dbt

pytestmark = pytest.mark.long

Parts = tuple[float | None, float]
APRIL, MAY, JUNE = date(2026, 4, 30), date(2026, 5, 31), date(2026, 6, 30)


def ten_loans() -> Book:
    book = Book()

    def loan(name: str, first: date = date(2026, 4, 10), **values: Any) -> str:
        book.customer(f"C{name}")
        book.loan(f"L{name}", f"C{name}", months_later(first, -1), **values)
        book.schedule(f"L{name}", three_dues(first))
        return f"L{name}"

    loan("1")  # pays nothing
    book.pay(loan("2"), date(2026, 4, 10), "115")  # then nothing
    three = loan("3")
    for day in (date(2026, 4, 10), date(2026, 5, 25), date(2026, 6, 10)):
        book.pay(three, day, "115")  # May's instalment 15 days late: past due from 11 to 24 May
    four = loan("4")
    for day in (date(2026, 4, 20), date(2026, 5, 10)):
        book.pay(four, day, "115")  # past due from 11 to 19 April, and from 11 June on
    book.pay(four, date(2026, 6, 30), "0.50")
    book.pay(loan("5", status="closed", closed_on=date(2026, 5, 15)), date(2026, 5, 15), "345")
    loan("6", status="written_off", written_off_on=date(2026, 6, 5))
    loan("7", restructured_on=date(2026, 5, 20))
    book.pay(loan("8"), date(2026, 5, 8), "115")  # current for three days, past due again from 11 May on
    nine = loan("9", date(2026, 1, 10))
    book.pay(nine, date(2026, 2, 1), "115")
    book.pay(nine, date(2026, 3, 20), "230")  # February's was 38 days late
    book.contact("C8", date(2026, 4, 20), "call", "no_answer")
    book.contact("C4", date(2026, 4, 15), "sms", "replied")
    book.add("collectors", collector_id="G1", full_name="Gestor", kind="internal", channels="call", daily_capacity=9)
    # The list of 30 June: calls to 1, 2 and 8 in this order, a message to 4, nobody may contact 7.
    book.contact("C2", JUNE, "call", "right_party", hour=10, collector_id="G1")
    book.contact("C1", JUNE, "call", "no_answer", hour=11, collector_id="G1")
    book.contact("C8", JUNE, "sms", "delivered", hour=9)
    book.ask(AS_OF, "is_score", "is_month_end")
    for day in (date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31), APRIL, MAY):
        book.ask(day, "is_month_end")
    book.ask(date(2026, 6, 28), "is_week_end")
    book.ask(date(2026, 6, 21), "is_week_end")
    return book


def add_list(file: Path) -> None:
    window = (utc(JUNE, 8), utc(JUNE, 10, 30))
    rows = [("C1", "call", "G1", 1), ("C2", "call", "G1", 2), ("C8", "call", "G1", 3), ("C4", "sms", None, 1)]
    chosen = [(*row, *window, row[0] == "C4") for row in rows] + [("C7", "none", None, None, None, None, False)]
    with duckdb.connect(str(file)) as connection:
        for customer, action, collector, rank, start, end, drawn in chosen:
            connection.execute(
                "insert into decisions.decisions (as_of_date, customer_id, loan_id, action, eligible, collector_id, rank,"
                " window_start, window_end, arrears_amount, past_due_days, expected_gain_amount, contact_cost_amount,"
                " is_exploration) values (?, ?, ?, ?, true, ?, ?, ?, ?, 115, 20, 2.5, 0.45, ?)",
                [JUNE, customer, f"L{customer[1:]}", action, collector, rank, start, end, drawn],
            )
            for channel in ("call", "sms"):
                connection.execute(
                    "insert into decisions.details (as_of_date, customer_id, channel_code, is_allowed) values (?, ?, ?, ?)",
                    [JUNE, customer, channel, action != "none"],
                )


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Callable[..., Parts]]:
    """Builds the ten loans under some settings; the result reads one figure of the long table as its two parts."""
    folder = tmp_path_factory.mktemp("ten_loans")

    def made(**settings: Any) -> Callable[..., Parts]:
        file = folder / f"{len(list(folder.glob('*.duckdb')))}.duckdb"
        load_duckdb(ten_loans(), file)
        add_list(file)
        run_dbt(
            [*MODELS_ONLY, "--select", "+fct_kpi", "--vars", json.dumps(settings)], duckdb_environment(file), folder
        )
        with duckdb.connect(str(file), read_only=True) as connection:
            found = connection.execute(
                "select kpi_code, as_of_date, period_code, grain_code, coalesce(bucket_code, collector_id, channel_code, segment_code),"
                " detail_code, numerator, denominator from kpis.fct_kpi"
            ).fetchall()
        figures = {row[:6]: row[6:] for row in found}

        def figure(
            code: str,
            day: date,
            detail: str | None = None,
            *,
            period: str = "month",
            grain: str = "total",
            key: str | None = None,
        ) -> Parts:
            return figures[(code, day, period, grain, key, detail)]

        return figure

    return made


@pytest.fixture(scope="module")
def kpi(build: Callable[..., Callable[..., Parts]]) -> Callable[..., Parts]:
    return build()


def test_k12_every_state_of_a_bucket(kpi: Callable[..., Parts]) -> None:
    # 31 May, 31-60 days: loans 1, 6 and 7 with 300 each. On 30 June 1 and 7 are 81 days late, 6 is written off.
    assert kpi("K12", JUNE, "31-60>61-90") == (600, 900)
    assert kpi("K12", JUNE, "31-60>written_off") == (300, 900)
    assert kpi("K12_COUNT", JUNE, "31-60>61-90") == (2, 3)
    # All of them are of the segment 31 to 90 days.
    assert kpi("K12", JUNE, "31-60>61-90", grain="segment", key="middle") == (600, 900)
    # 30 April, 16-30 days: 1, 5, 6, 7, 8 with 300 each; 5 is closed, 8 paid April's and owes May's since 20 days.
    assert kpi("K12", MAY, "16-30>31-60") == (900, 1500)
    assert kpi("K12", MAY, "16-30>paid_off") == (300, 1500)
    assert kpi("K12", MAY, "16-30>16-30") == (300, 1500)
    # 31 May, current: 3 and 4 with 100 each (9 owes nothing); 4 is 20 days late on 30 June.
    assert kpi("K12", JUNE, "0>16-30") == (100, 200)
    assert kpi("K12_COUNT", JUNE, "0>16-30") == (1, 3)


def test_k12_of_a_week_compares_two_sundays(kpi: Callable[..., Parts]) -> None:
    # 21 June, 31-60 days: 2 and 8 are 42 days late, on the 28th 49. 1 and 7 are 72 and 79 days late: 61-90 both times.
    assert kpi("K12", date(2026, 6, 28), "31-60>31-60", period="week") == (400, 400)
    assert kpi("K12", date(2026, 6, 28), "61-90>61-90", period="week") == (600, 600)


def test_k13_next_worse_and_any_worse(kpi: Callable[..., Parts]) -> None:
    # Opening 31 May: 1, 6, 7: 300; 2, 8: 200; 3, 4: 100 = 1500. To the next bucket: 2 and 8 (16-30 to 31-60) 400 and
    # 1 and 7 (31-60 to 61-90) 600. To any worse: also 4 (0 to 16-30, three buckets) 100 and the write-off 300.
    assert kpi("K13", JUNE) == (1000, 1500)
    assert kpi("K13_ANY_WORSE", JUNE) == (1400, 1500)
    # Early: 2 and 8 with 200 each, both 31-60 a month later.
    assert kpi("K13", JUNE, grain="segment", key="early") == (400, 400)
    assert kpi("K13", JUNE, grain="bucket", key="31-60") == (600, 900)
    assert kpi("K13_ANY_WORSE_COUNT", JUNE, grain="bucket", key="31-60") == (3, 3)


def test_k14_cured_and_stays(kpi: Callable[..., Parts]) -> None:
    # Past due on 1 May: 1, 5, 6, 7, 8. Within 30 days 5 is paid off and 8 current for three days.
    assert kpi("K14_LOOSE", MAY) == (2, 5)
    # The same cohort, judged on 30 June: 30 days to cure and 30 to stay. 8 did not stay.
    assert kpi("K14_STRICT", JUNE) == (1, 5)
    # Past due on 31 May: 1, 2, 6, 7, 8; nobody is current by 30 June, and a write-off is no cure.
    assert kpi("K14_LOOSE", JUNE) == (0, 5)
    # On 1 May all five were 21 days late.
    assert kpi("K14_LOOSE", MAY, grain="bucket", key="16-30") == (2, 5)
    assert kpi("K14_LOOSE", MAY, grain="segment", key="early") == (2, 5)


@pytest.mark.slow
def test_k14_without_a_stay_is_the_loose_reading(build: Callable[..., Callable[..., Parts]]) -> None:
    figure = build(cure_stay_days=0, default_past_due_days=30, first_payment_days=20, redefault_days=120)
    assert figure("K14_STRICT", MAY) == figure("K14_LOOSE", MAY) == (2, 5)
    # K18 with 30 days. Lent in March: 8 x 300. 31 days late in May: 1, 5, 6, 7; in June (10 May + 31): 2 and 8 too.
    assert figure("K18", MAY, "2026-03|2") == (1200, 2400)
    assert figure("K18", JUNE, "2026-03|3") == (1800, 2400)
    assert figure("K18_COUNT", JUNE, "2026-03|3") == (6, 8)
    # K19 after 20 days, 30 April: 1, 5, 6, 7 and 8 (paid on 8 May) have not paid; 4 paid on the 20th.
    assert figure("K19", APRIL) == (5, 8)
    # K16 after 120 days: only the first cure of 9, of 1 February, is that old (1 June).
    assert figure("K16", JUNE) == (1, 1)


def test_k15_without_a_human_attempt(kpi: Callable[..., Parts]) -> None:
    # Past due since 11 April, judged on 11 May: 1, 4, 5, 6, 7, 8. Cured by then: 4 (an SMS is no person) and 8, who had
    # been called without an answer: no self-cure by attempts, one by contacts.
    assert kpi("K15", MAY) == (1, 6)
    assert kpi("K15_NO_CONTACT", MAY) == (2, 6)
    # Since 11 May, judged on 10 June: 2, 3, 8; 3 cured on the 25th.
    assert kpi("K15", JUNE) == (1, 3)


def test_k16_late_again_within_90_days(kpi: Callable[..., Parts]) -> None:
    # 9 cured on 1 February and was 30 days late on 12 March: judged on 2 May. Its cure of 20 March, judged on 18 June,
    # lasted. The cures of April and May are not old enough, and the paid-off loan cannot come back.
    assert kpi("K16", MAY) == (1, 1)
    # Due on 10 January and cured on 1 February, after 21 days.
    assert kpi("K16", MAY, grain="segment", key="early") == (1, 1)
    assert kpi("K16", JUNE) == (0, 1)


def test_k17_by_hand(kpi: Callable[..., Parts]) -> None:
    # Days to cure, + = censored: 9, 14, 19+, 21, 27, 34, 37, 39+ (restructured), 50+, 50+, 55+ (written off), 80+.
    # S(9) = 11/12; S(14) = 10/12; S(21) = 10/12 x 8/9; S(27) x 7/8; S(34) x 6/7; S(37) x 5/6 = 50/108 <= 0.5.
    assert kpi("K17_SURVIVAL", JUNE, "9")[0] == pytest.approx(11 / 12)
    assert kpi("K17_SURVIVAL", JUNE, "21")[0] == pytest.approx(10 / 12 * 8 / 9)
    assert kpi("K17_SURVIVAL", JUNE, "37")[0] == pytest.approx(50 / 108)
    assert kpi("K17", JUNE) == (37, 1)
    # On 30 April: 9 and 21, 37 cured; open since 11 April (19 days): 1, 5, 6, 7, 8. S(9) = 7/8, S(21) = 7/8 x 1/2.
    assert kpi("K17", APRIL) == (21, 1)


@pytest.mark.long
def test_the_due_day_may_be_past_due_itself(build: Callable[..., Callable[..., Parts]]) -> None:
    figure = build(due_day_is_past_due=True)
    # Every spell begins a day earlier, on the due date itself; whoever pays that day is in time. 37 becomes 38.
    assert figure("K17", JUNE) == (38, 1)
    # Instalments are unpaid at the end of the same days.
    assert figure("K19", MAY) == (4, 8)
    # 31 May: 1, 6, 7 are 52 days late instead of 51; 30 June: 82.
    assert figure("K12", JUNE, "31-60>61-90") == (600, 900)


def test_k18_stands_at_the_end_of_its_month(kpi: Callable[..., Parts]) -> None:
    # 10 April + 91 days is 10 July: nobody has been more than 90 days late by 30 June.
    assert kpi("K18", JUNE, "2026-03|3") == (0, 2400)
    assert kpi("K18", APRIL, "2026-03|1") == (0, 2400)
    assert kpi("K18", JUNE, "2025-12|6") == (0, 300)


def test_k19_first_instalments(kpi: Callable[..., Parts]) -> None:
    # 10 April + 30 = 10 May: 1, 5 (pays on the 15th), 6 and 7 have not paid the first; 8 did on the 8th.
    assert kpi("K19", MAY) == (4, 8)
    # 17 April: 1, 4 (pays on the 20th), 5, 6, 7, 8.
    assert kpi("K19_FPD7", APRIL) == (6, 8)
    # 9's third instalment was 30 days due on 9 April: only its second was unpaid after 30 days.
    assert kpi("K19_2_OF_3", APRIL) == (0, 1)


def test_lists_and_their_completion(kpi: Callable[..., Parts]) -> None:
    # Issued: 1, 2, 8 (calls), 4 (SMS). Called: 2 at 10 and 1 at 11. 8 got an SMS instead, 4 paid without a message.
    assert kpi("K54", JUNE) == (2, 4)
    assert kpi("K54_OTHER_CHANNEL", JUNE) == (1, 4)
    assert kpi("K54_PAID", JUNE) == (1, 4)
    assert kpi("K54_NOT_WORKED", JUNE) == (0, 4)
    assert kpi("K54", JUNE, grain="collector", key="G1", period="week") == (2, 3)
    # 2 stands behind 1 and was called before it; 8 was reached out to through another channel. Attempted: 1, 2, 8.
    assert kpi("K55_OUT_OF_ORDER", JUNE) == (1, 2)
    assert kpi("K55", JUNE) == (2, 3)
    # The window ends at 10:30: inside are 2 (reached) and 8 (not), outside is 1.
    assert kpi("K50", JUNE) == (1, 2)
    assert kpi("K50_OUTSIDE", JUNE) == (0, 1)
    # Of five eligible members one was drawn and one is blocked in every channel.
    assert kpi("K93", JUNE) == (1, 5)
    assert kpi("K93_CONTACTS", JUNE) == (1, 4)
    assert kpi("K56_BLOCKED_MEMBERS", JUNE) == (1, 5)
