"""The set-based engine against hand-computed cases and against the slow one, to the cent and the day."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.dbt.book import AS_OF, Book, full_book
from tests.dbt.reference import Loan, Rules, loans_of, local_day, newest, promise_status
from tests.dbt.warehouses import Built


@pytest.fixture(scope="module")
def loans(book: Book) -> dict[str, Loan]:
    return loans_of(book)


# 115 = 100 principal + 10 interest + 5 fees fell due on 10 April, 10 May and 10 June 2026; the date is 30 June 2026, so the
# oldest due dates lie 81, 51 and 20 days back.
BY_HAND: dict[str, dict[str, Any]] = {
    "no-payment": {"past_due_days": 81, "arrears_amount": "345.00", "arrears_principal_amount": "300.00", "outstanding_principal_amount": "300.00"},
    "paid-on-due-date": {"past_due_days": 51, "arrears_amount": "230.00", "outstanding_principal_amount": "200.00", "bucket_code": "31-60"},
    # 3.00 of the 5.00 fees.
    "partial-fees": {"past_due_days": 81, "arrears_amount": "342.00", "arrears_principal_amount": "300.00"},
    # 5.00 fees and 4.50 of the 10.00 interest.
    "partial-interest": {"past_due_days": 81, "arrears_amount": "335.50", "arrears_principal_amount": "300.00"},
    # 5.00 fees, 10.00 interest, 45.25 principal.
    "partial-principal": {"past_due_days": 81, "arrears_amount": "284.75", "arrears_principal_amount": "254.75", "outstanding_principal_amount": "254.75"},
    # The cent is forgiven for the days, not for the money.
    "cent-short": {"past_due_days": 51, "arrears_amount": "230.01", "outstanding_principal_amount": "200.01", "covered_installment_count": 1},
    "two-cents-short": {"past_due_days": 81, "arrears_amount": "230.02", "covered_installment_count": 0},
    # 200.00 = 115.00 + 5.00 + 10.00 + 70.00 principal of the second.
    "prepaid": {"past_due_days": 51, "arrears_amount": "145.00", "outstanding_principal_amount": "130.00"},
    "overpaid": {"past_due_days": 0, "arrears_amount": "0.00", "overpaid_amount": "55.00", "outstanding_principal_amount": "0.00", "covered_installment_count": 3},
    "reversed": {"past_due_days": 81, "arrears_amount": "345.00", "paid_amount": "0.00"},
    "reversed-and-paid-again": {"past_due_days": 20, "arrears_amount": "115.00", "paid_amount": "230.00"},
    "due-today": {"past_due_days": 0, "arrears_amount": "0.00", "due_next_window_amount": "115.00", "collectable_amount": "115.00"},
    "due-at-window-end": {"due_next_window_amount": "51.00"},
    "due-after-window": {"due_next_window_amount": "0.00", "collectable_amount": "0.00"},
    # The payment of the day after is not known yet.
    "paid-after-the-run": {"past_due_days": 81, "paid_amount": "0.00"},
    # Number 2 asks for 100.00, number 1 for nothing.
    "nothing-due": {"past_due_days": 51, "covered_installment_count": 1, "past_due_installment_count": 1},
    "no-schedule": {"past_due_days": 0, "arrears_amount": "0.00", "outstanding_principal_amount": "300.00"},
    "no-schedule-paid": {"outstanding_principal_amount": "180.00"},
    "closed-at-a-discount": {"loan_status_code": "closed", "arrears_amount": "0.00", "outstanding_principal_amount": "0.00", "past_due_days": 0},
    "closed-without-date": {"loan_status_code": "closed"},
    "written-off": {"loan_status_code": "written_off", "past_due_days": 505, "arrears_amount": "1200.00"},
    "written-off-without-date": {"loan_status_code": "written_off"},
    # Two of 88.00 on 10 May and 10 June.
    "rewritten-schedule": {"past_due_days": 51, "arrears_amount": "176.00", "outstanding_principal_amount": "160.00"},
    "corrected-payment": {"past_due_days": 51, "paid_amount": "115.00"},
    "disbursed-today": {"past_due_days": 0, "outstanding_principal_amount": "300.00", "collectable_amount": "0.00"},
}  # fmt: skip


@pytest.mark.parametrize("case", BY_HAND)
def test_case_gives_what_was_computed_by_hand(on_duckdb: Built, case: str) -> None:
    row = on_duckdb.row("marts.fct_loan_as_of", loan_id=f"L-{case}", as_of_date=AS_OF)
    expected = {name: Decimal(value) if name.endswith("_amount") else value for name, value in BY_HAND[case].items()}
    assert {name: row[name] for name in expected} == expected


def test_loan_is_not_there_before_it_is_disbursed(on_duckdb: Built) -> None:
    assert on_duckdb.rows("marts.fct_loan_as_of", loan_id="L-disbursed-after-the-run") == []
    assert {row["as_of_date"] for row in on_duckdb.rows("marts.fct_loan_as_of", loan_id="L-disbursed-today")} == {AS_OF}


def test_every_loan_on_every_date_is_as_the_slow_engine_says(
    on_duckdb: Built, loans: dict[str, Loan], book: Book
) -> None:
    expected_keys = {
        (day, loan_id)
        for day, flags in book.spine.items()
        for loan_id, loan in loans.items()
        if flags & {"is_score", "is_month_end", "is_week_end", "is_day"} and loan.row["disbursed_on"] <= day
    }
    assert set(on_duckdb.tables["marts.fct_loan_as_of"]) == expected_keys
    assert len(expected_keys) > 700
    assert differences_to(loans, on_duckdb) == []


def differences_to(loans: dict[str, Loan], built: Built) -> list[str]:
    return [
        f"{loan_id} at {day}: {name} is {row[name]}, not {value}"
        for (day, loan_id), row in built.tables["marts.fct_loan_as_of"].items()
        for name, value in loans[loan_id].state(day).items()
        if row[name] != value
    ]


@pytest.mark.long
def test_settings_change_order_tolerance_and_window(rebuild: Callable[..., Built]) -> None:
    """A tolerance larger than some instalments, money to principal first, a window of three days, and another book."""
    book = full_book(seed=23)
    rules = Rules(tolerance=Decimal("25.00"), order=("principal", "fees", "interest"), window=3)
    settings = {"tolerance_amount": "25.00", "allocation_order": list(rules.order), "response_window_days": 3}
    built = rebuild(book, settings, models=["fct_loan_as_of"])
    assert differences_to(loans_of(book, rules), built) == []


@pytest.mark.long
def test_the_due_day_itself_is_past_due_by_setting(rebuild: Callable[..., Built], book: Book) -> None:
    """Every state, lateness and label in the other reading; the case due-today by hand: 115.00, one day."""
    loans = loans_of(book, Rules(due_day_counts=True))
    built = rebuild(
        book,
        {"due_day_is_past_due": True},
        models=["fct_loan_as_of", "feat_loan__as_of", "label_loan__default"],
    )
    assert differences_to(loans, built) == []
    check_lateness(built, loans)
    check_labels(built, loans)
    row = built.row("marts.fct_loan_as_of", loan_id="L-due-today", as_of_date=AS_OF)
    assert (row["past_due_days"], row["arrears_amount"], row["due_next_window_amount"]) == (1, Decimal(115), 0)
    assert (row["bucket_code"], row["segment_code"], row["collectable_amount"]) == ("1-5", "early", Decimal(115))
    feature = built.row("features.feat_loan__as_of", loan_id="L-due-today", is_score=True)
    assert (feature["past_due_days"], feature["next_due_in_days"]) == (1, 30)


def is_sampled(customer_id: str, below: str) -> bool:
    return hashlib.md5(customer_id.encode()).hexdigest()[:4] < below


def test_training_rows_are_the_active_loans_of_sampled_customers(
    on_duckdb: Built, loans: dict[str, Loan], book: Book
) -> None:
    for table, flag, key in (
        ("features.feat_loan__as_of", "is_risk_training", "loan_id"),
        ("features.feat_customer__as_of", "is_channel_training", "customer_id"),
    ):
        expected = {
            (day, loan.row[key])
            for day, flags in book.spine.items()
            for loan in loans.values()
            if loan.row["disbursed_on"] <= day
            and loan.status(day) == "active"
            and ("is_score" in flags or (flag in flags and is_sampled(loan.row["customer_id"], book.sample_below)))
        }
        assert set(on_duckdb.tables[table]) == expected
        assert any(row[flag] for row in on_duckdb.rows(table))


def test_lateness_is_as_known_on_the_date(on_duckdb: Built, loans: dict[str, Loan]) -> None:
    check_lateness(on_duckdb, loans)


def check_lateness(built: Built, loans: dict[str, Loan]) -> None:
    for (day, loan_id), row in built.tables["features.feat_loan__as_of"].items():
        loan = loans[loan_id]
        late = {days: loan.lateness(day, days) for days in (91, 182, 364)}
        where = f"{loan_id} at {day}"
        for days, values in late.items():
            assert row[f"max_late_days_{days}d"] == max(values, default=None), where
        assert row["late_installment_count_364d"] == sum(value > 0 for value in late[364]), where
        assert row["late_over_30_installment_count_364d"] == sum(value > 30 for value in late[364]), where
        assert row["mean_late_days_182d"] == (pytest.approx(sum(late[182]) / len(late[182])) if late[182] else None), (
            where
        )
        on_time = [value == 0 for value in late[364]]
        assert row["on_time_rate_364d"] == (pytest.approx(sum(on_time) / len(on_time)) if on_time else None), where


def test_loan_features_are_as_counted_one_by_one(on_duckdb: Built, loans: dict[str, Loan]) -> None:
    for (day, loan_id), row in on_duckdb.tables["features.feat_loan__as_of"].items():
        loan, state, where = loans[loan_id], loans[loan_id].state(day), f"{loan_id} at {day}"
        for name in (
            "past_due_days",
            "arrears_amount",
            "outstanding_principal_amount",
            "due_next_window_amount",
            "past_due_installment_count",
        ):
            assert row[name] == state[name], where
        due = [d for d in loan.schedule if d["due_on"] <= day]
        installment = Loan.total(due[-1] if due else loan.schedule[0]) if loan.schedule else Decimal(0)
        assert row["installment_amount"] == installment, where
        for days in (28, 91, 364):
            first = day - timedelta(days=days - 1)
            paid = loan.net(first, day)
            fell_due = sum((Loan.total(d) for d in due if d["due_on"] >= first), Decimal(0))
            for name, amount in ((f"paid_{days}d_rate", paid), (f"shortfall_{days}d_rate", fell_due - paid)):
                assert row[name] == (pytest.approx(float(amount) / float(installment)) if installment else None), where
        genuine = [
            local_day(p["paid_at"])
            for p in loan.payments
            if not p.get("reverses_payment_id") and local_day(p["paid_at"]) <= day
        ]
        assert row["days_since_last_payment"] == ((day - max(genuine)).days if genuine else None), where
        assert row["payment_count_91d"] == sum((day - paid_on).days < 91 for paid_on in genuine), where
        open_dues = [
            d
            for position, d in enumerate(loan.schedule)
            if position >= state["covered_installment_count"] and d["due_on"] >= day
        ]
        assert row["next_due_in_days"] == ((open_dues[0]["due_on"] - day).days if open_dues else None), where
        assert row["remaining_installment_count"] == len(loan.schedule) - state["covered_installment_count"], where
        assert row["is_restructured"] == bool(loan.row.get("restructured_on") and loan.row["restructured_on"] <= day), (
            where
        )


def test_default_label_is_what_a_walk_through_the_days_finds(on_duckdb: Built, loans: dict[str, Loan]) -> None:
    outcomes = check_labels(on_duckdb, loans)
    assert len(outcomes) >= 7, "the book should show nearly every kind of label"


def check_labels(built: Built, loans: dict[str, Loan]) -> set[tuple[bool, ...]]:
    """The labels of every training row; returns the kinds that were seen."""
    outcomes = set()
    for (day, loan_id), row in built.tables["features.label_loan__default"].items():
        loan, where = loans[loan_id], f"{loan_id} at {day}"
        assert row["is_below_threshold"] == (loan.past_due_days(day) < 90), where
        assert row["is_below_early"] == (loan.past_due_days(day) < 30), where
        assert row["is_default"] == loan.reaches(90, day, 182), where
        assert row["is_early_default"] == loan.reaches(30, day, 91), where
        assert row["is_matured"] == (day + timedelta(days=182) <= AS_OF), where
        assert row["is_early_matured"] == (day + timedelta(days=91) <= AS_OF), where
        outcomes.add((row["is_below_threshold"], row["is_default"], row["is_matured"]))
    return outcomes


SEGMENTS = [(0, "preventive"), (1, "early"), (31, "middle"), (91, "late"), (181, "chronic")]


def segment(days: int | None) -> str | None:
    return None if days is None else [code for first, code in SEGMENTS if first <= days][-1]


def state_before(loan: Loan, day: date) -> int | None:
    """Past-due days at the end of the day before; none before the disbursement."""
    before = day - timedelta(days=1)
    return None if loan.row["disbursed_on"] > before else loan.past_due_days_at(before)


def test_events_are_told_with_the_state_of_the_day_before(on_duckdb: Built, loans: dict[str, Loan], book: Book) -> None:
    seen = set()
    for row in on_duckdb.rows("marts.fct_loan_as_of"):
        assert row["segment_code"] == segment(row["past_due_days"])
        restructured = loans[row["loan_id"]].row.get("restructured_on")
        assert row["is_restructured"] == (restructured is not None and restructured <= row["as_of_date"])
        assert row["is_month_end"] == ((row["as_of_date"] + timedelta(days=1)).day == 1)
        assert row["is_week_end"] == (row["as_of_date"].isoweekday() == 7)
    for row in on_duckdb.rows("marts.fct_payments"):
        loan = loans[row["loan_id"]]
        days = state_before(loan, row["paid_date"])
        assert (row["past_due_days"], row["segment_code"]) == (days, segment(days)), row["payment_id"]
        assert (row["branch_id"], row["product_code"]) == (loan.row["branch_id"], loan.row["product"])
        seen.add(row["segment_code"])
    members: dict[str, list[Loan]] = {}
    for loan in loans.values():
        members.setdefault(loan.row["customer_id"], []).append(loan)
    branches = {row["customer_id"]: row["branch_id"] for row in newest(book.tables["customers"], "customer_id")}
    for row in on_duckdb.rows("marts.fct_interactions"):
        states = [state_before(loan, row["occurred_date"]) for loan in members.get(row["customer_id"], [])]
        days = max((state for state in states if state is not None), default=None)
        assert (row["past_due_days"], row["segment_code"]) == (days, segment(days)), row["interaction_id"]
        assert (row["branch_id"], row["product_code"]) == (branches[row["customer_id"]], None)
        seen.add(row["segment_code"])
    for row in on_duckdb.rows("marts.fct_promises"):
        assert row["segment_code"] == segment(state_before(loans[row["loan_id"]], row["made_date"]))
        assert row["grace_end_date"] == row["due_date"] + timedelta(days=2)
    assert seen == {None} | {code for _, code in SEGMENTS}


def test_the_day_on_which_a_promise_was_kept(on_duckdb: Built) -> None:
    """The 100.00 of February came on its last day of grace; a reversal of the 6th took the 50.00 of 3 May back."""
    rows = sorted(on_duckdb.rows("marts.fct_promises", loan_id="L-promises"), key=lambda row: row["made_date"])
    kept = [row["kept_date"] for row in rows]
    assert kept == [date(2026, 2, 7), None, None, None, None]
    assert [row["channel_code"] for row in rows] == ["call", None, None, None, None]


def test_promises_end_as_their_payments_say(on_duckdb: Built, loans: dict[str, Loan], book: Book) -> None:
    promises = [row for row in newest(book.tables["promises"], "promise_id") if local_day(row["made_at"]) <= AS_OF]
    assert {row["promise_id"] for row in promises} == {key[0] for key in on_duckdb.tables["marts.fct_promises"]}
    for promise in promises:
        row = on_duckdb.row("marts.fct_promises", promise_id=promise["promise_id"])
        assert (row["promise_status_code"], row["paid_amount"]) == promise_status(
            promise, loans[promise["loan_id"]], AS_OF
        )
    by_hand = sorted(on_duckdb.rows("marts.fct_promises", loan_id="L-promises"), key=lambda row: row["made_date"])
    assert [row["promise_status_code"] for row in by_hand] == ["kept", "partly_kept", "broken", "broken", "open"]
    assert by_hand[0]["collector_id"] == "G1"


def test_promise_features_are_as_known_on_the_date(on_duckdb: Built, loans: dict[str, Loan], book: Book) -> None:
    promises = newest(book.tables["promises"], "promise_id")
    for table, key in (("features.feat_loan__as_of", "loan_id"), ("features.feat_customer__as_of", "customer_id")):
        for (day, owner), row in on_duckdb.tables[table].items():
            known = []
            for promise in promises:
                loan = loans[promise["loan_id"]]
                age = (day - local_day(promise["made_at"])).days
                if loan.row[key] == owner and 0 <= age < 364:
                    known.append((age, promise_status(promise, loan, day)[0]))
            settled = [status == "kept" for _, status in known if status != "open"]
            where = f"{owner} at {day}"
            assert row["promise_count_182d"] == sum(age < 182 for age, _ in known), where
            assert row["broken_promise_count_182d"] == sum(age < 182 and status == "broken" for age, status in known), (
                where
            )
            assert row["kept_promise_rate_364d"] == (pytest.approx(sum(settled) / len(settled)) if settled else None), (
                where
            )
            if "has_open_promise" in row:
                assert row["has_open_promise"] == any(status == "open" for _, status in known), where


def test_arrears_movement_adds_up_and_hands_over(on_duckdb: Built) -> None:
    rows = on_duckdb.rows("reporting.rpt_arrears_movement")
    portfolio = on_duckdb.rows("reporting.rpt_portfolio")
    for row in rows:
        for unit in ("amount", "count"):
            parts = (
                row[f"opening_{unit}"]
                + row[f"new_{unit}"]
                - row[f"cured_{unit}"]
                - row[f"written_off_{unit}"]
                - row[f"closed_{unit}"]
            )
            if unit == "amount":
                parts += row["increased_amount"] - row["reduced_amount"]
            assert parts == row[f"closing_{unit}"]
    for name in ("from_date", "as_of_date"):
        amount = "opening_amount" if name == "from_date" else "closing_amount"
        for day in {row[name] for row in rows}:
            moved = sum(row[amount] for row in rows if row[name] == day)
            assert moved == sum(row["arrears_amount"] for row in portfolio if row["as_of_date"] == day)
    for movement in ("new", "increased", "reduced", "cured", "written_off", "closed"):
        assert sum(row[f"{movement}_count"] for row in rows) > 0, movement


def test_ladder_of_buckets_is_applied_to_every_row(on_duckdb: Built) -> None:
    edges = [
        (0, "0"),
        (1, "1-5"),
        (6, "6-15"),
        (16, "16-30"),
        (31, "31-60"),
        (61, "61-90"),
        (91, "91-120"),
        (121, "121-180"),
        (181, "181-360"),
        (361, "361+"),
    ]
    for row in on_duckdb.rows("marts.fct_loan_as_of"):
        assert row["bucket_code"] == [code for first, code in edges if first <= row["past_due_days"]][-1]


def test_today_is_known_and_tomorrow_is_not(on_duckdb: Built) -> None:
    days: dict[str, set[date]] = {
        "marts.fct_payments": {row["paid_date"] for row in on_duckdb.rows("marts.fct_payments")},
        "marts.fct_interactions": {row["occurred_date"] for row in on_duckdb.rows("marts.fct_interactions")},
        "marts.fct_promises": {row["made_date"] for row in on_duckdb.rows("marts.fct_promises")},
    }
    assert {table: max(values) <= AS_OF for table, values in days.items()} == dict.fromkeys(days, True)
    assert max(days["marts.fct_interactions"]) == AS_OF
