"""What the auditors' reports say of cases worked out by hand, and payments against instalments by a slow second way."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.dbt.audit import BALANCE_DAY, LISTED_ON
from tests.dbt.book import AS_OF, Book
from tests.dbt.reference import local_day, newest
from tests.dbt.warehouses import Built

Q = Decimal

# Payments in time against 115.00 on 10 April (1), 10 May (2) and 10 June (3): instalment -> matched, by payment.
MATCHES: dict[str, list[dict[int, str]]] = {
    "paid-on-due-date": [{1: "115.00"}],
    # A cent short: the cent is still open, so the next payment's first cent goes there.
    "cent-short-twice": [{1: "114.99"}, {1: "0.01", 2: "114.99"}],
    # 200.00 = 115.00 + 85.00.
    "prepaid": [{1: "115.00", 2: "85.00"}],
    # 400.00 = 3 x 115.00 + 55.00 that nothing takes.
    "overpaid": [{1: "115.00", 2: "115.00", 3: "115.00"}],
    "reversed": [{1: "115.00"}, {1: "-115.00"}],
    "reversed-and-paid-again": [{1: "115.00"}, {1: "-115.00"}, {1: "115.00", 2: "115.00"}],
    # Taken back before it came: from 0 to -50 and back to 0, where no instalment is.
    "reversal-before-its-payment": [],
    "two-payments-a-day": [{1: "15.00"}, {1: "100.00"}],
    # Nothing is due first, so number 2 takes the money.
    "no-schedule-paid": [],
}


@pytest.mark.parametrize("case", MATCHES)
def test_payments_meet_the_instalments_worked_out_by_hand(on_duckdb: Built, case: str) -> None:
    found: dict[str, dict[int, Decimal]] = defaultdict(dict)
    for row in on_duckdb.rows("marts.fct_payment_matches", loan_id=f"L-{case}"):
        found[row["payment_id"]][row["installment_no"]] = row["matched_amount"]
    payments = sorted(on_duckdb.rows("marts.fct_payments", loan_id=f"L-{case}"), key=lambda row: row["paid_at"])
    in_time = [found[row["payment_id"]] for row in payments if row["payment_id"] in found]
    assert in_time == [{number: Q(amount) for number, amount in part.items()} for part in MATCHES[case]]


def slow_matches(book: Book) -> tuple[dict[tuple[str, int], Decimal], dict[str, Decimal]]:
    """Cent by cent: matched amount by payment and instalment, and what is left by payment; not of reversals before money."""
    dues: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in newest(book.tables["installments"], "loan_id", "installment_no"):
        dues[row["loan_id"]].append(row)
    paid: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in newest(book.tables["payments"], "payment_id"):
        if local_day(row["paid_at"]) <= book.as_of:
            paid[row["loan_id"]].append(row)
    matched: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    left: dict[str, Decimal] = defaultdict(Decimal)
    for loan_id, payments in paid.items():
        slots: list[list[Any]] = []  # instalment, due, filled
        for row in sorted(dues[loan_id], key=lambda row: (row["due_on"], row["installment_no"])):
            due = sum((row[f"{part}_due"] or Q(0) for part in ("principal", "interest", "fees")), Q(0))
            slots.append([row["installment_no"], due, Q(0)])
        over, below = Q(0), Q(0)  # above all dues; below nothing
        for row in sorted(payments, key=lambda row: (row["paid_at"], row.get("reverses_payment_id") is not None, row["payment_id"])):  # fmt: skip
            rest, key = row["amount"], row["payment_id"]
            if row.get("reverses_payment_id") is None:
                back = min(rest, -below)
                below, rest = below + back, rest - back
                left[key] += back
                for slot in slots:
                    part = min(rest, slot[1] - slot[2])
                    slot[2], rest = slot[2] + part, rest - part
                    matched[key, slot[0]] += part
                over, left[key] = over + rest, left[key] + rest
            else:
                part = min(rest, over)
                over, rest, left[key] = over - part, rest - part, left[key] - part
                for slot in reversed(slots):
                    part = min(rest, slot[2])
                    slot[2], rest = slot[2] - part, rest - part
                    matched[key, slot[0]] -= part
                below, left[key] = below - rest, left[key] - rest
    return {key: amount for key, amount in matched.items() if amount}, {key: part for key, part in left.items() if part}


def test_every_payment_of_the_book_is_matched_as_a_slow_second_way_says(on_duckdb: Built, book: Book) -> None:
    matched, left = slow_matches(book)
    known = {row["payment_id"] for row in on_duckdb.rows("marts.fct_payments")}
    matched = {key: amount for key, amount in matched.items() if key[0] in known}
    found = {key: row["matched_amount"] for key, row in on_duckdb.tables["marts.fct_payment_matches"].items()}
    assert len(found) > 500
    assert found == matched
    total: dict[str, Decimal] = defaultdict(Decimal)
    for (payment_id, _), amount in found.items():
        total[payment_id] += amount
    for row in on_duckdb.rows("marts.fct_payments"):
        key = row["payment_id"]
        assert total[key] + left.get(key, Q(0)) == row["payment_amount"], key


def test_unmatched_payments_have_age_and_reason(on_duckdb: Built) -> None:
    def unmatched(payment: str, *names: str) -> tuple[Any, ...]:
        row = on_duckdb.row("reporting.rpt_unmatched_payments", payment_id=payment)
        return tuple(row[name] for name in names)

    (overpaid,) = on_duckdb.rows("reporting.rpt_unmatched_payments", loan_id="L-overpaid")
    # 400.00 of 1 May against 345.00; 1 May to 30 June are 60 days.
    assert (overpaid["unmatched_amount"], overpaid["age_days"], overpaid["reason_code"]) == (Q("55.00"), 60, "overpaid")
    (paid,) = on_duckdb.rows("reporting.rpt_unmatched_payments", loan_id="L-no-schedule-paid")
    assert (paid["unmatched_amount"], paid["reason_code"]) == (Q("120.00"), "no_schedule")
    # Taken back and paid: nothing is left, and nothing is listed.
    assert on_duckdb.rows("reporting.rpt_unmatched_payments", loan_id="L-reversal-before-its-payment") == []
    assert unmatched("BAD-1", "reason_code", "unmatched_amount", "age_days") == ("rejected", Q("-5.00"), 59)
    assert unmatched("BAD-2", "reason_code", "unmatched_amount", "customer_id") == ("loan_unknown", Q("30.00"), None)
    # Neither the day nor the amount is written as the contract writes them.
    assert unmatched("BAD-3", "reason_code", "unmatched_amount", "age_days") == ("rejected", None, None)
    assert unmatched("BAD-4", "reason_code", "loan_id") == ("loan_unknown", None)
    assert on_duckdb.rows("reporting.rpt_unmatched_payments", payment_id="P00000") == []
    # Without a key: a row that two loads delivered is one; two equal rows of one load are two. The newest load names them.
    keyless = sorted(row["payment_id"] for row in on_duckdb.rows("reporting.rpt_unmatched_payments", loan_id="L-closed")
                     if row["reason_code"] == "rejected")  # fmt: skip
    assert keyless == ["load:2/payments.csv:7", "load:2/payments.csv:8"]
    # Refused for a day that nobody can know: listed, without an age.
    assert unmatched("BAD-5", "reason_code", "unmatched_amount", "age_days") == ("rejected", Q("12.00"), None)
    # 3 May at 02:00 UTC is 2 May at 21:00 in Guayaquil; 30 February is no day.
    assert unmatched("BAD-6", "paid_date", "age_days") == (date(2026, 5, 2), 59)
    assert unmatched("BAD-7", "paid_date", "age_days") == (None, None)


def test_life_of_a_promise(on_duckdb: Built) -> None:
    lives = sorted(
        on_duckdb.rows("reporting.rpt_promise_lives", loan_id="L-promises"), key=lambda row: row["made_date"]
    )
    by_month = {row["made_date"].month: row for row in lives}

    def changes(promise: dict[str, Any]) -> list[tuple[date, str, Decimal]]:
        rows = on_duckdb.rows("reporting.rpt_promise_changes", promise_id=promise["promise_id"])
        rows.sort(key=lambda row: row["change_no"])
        return [(row["changed_date"], row["promise_status_code"], row["paid_amount"]) for row in rows]

    kept, partly, broken = by_month[2], by_month[3], by_month[4]
    # Due on 5 February with two days of grace; paid on the 7th.
    assert changes(kept) == [(date(2026, 2, 1), "open", Q("0.00")), (date(2026, 2, 7), "kept", Q("100.00"))]
    assert (kept["kept_date"], kept["broken_date"], kept["follow_up_date"]) == (date(2026, 2, 7), None, None)
    assert (kept["channel_code"], kept["collector_id"]) == ("call", "G1")
    # 40.00 of 100.00 by the last day of grace, 7 March: it lapses on the 8th.
    assert changes(partly) == [(date(2026, 3, 1), "open", Q("0.00")), (date(2026, 3, 8), "partly_kept", Q("40.00"))]
    assert partly["partly_kept_date"] == date(2026, 3, 8)
    # Nothing by 7 April; the first attempt on the member since is the message of 27 June.
    assert broken["broken_date"] == date(2026, 4, 8)
    assert broken["follow_up_date"] == AS_OF - timedelta(days=3)
    assert broken["follow_up_channel_code"] == "whatsapp"
    assert broken["days_to_follow_up"] == (AS_OF - timedelta(days=3) - date(2026, 4, 8)).days
    # 50.00 came on 3 May and were taken back on the 6th, before the grace ended on the 12th: kept, open again, broken.
    assert [(day, state) for day, state, _ in changes(by_month[5])] == [
        (date(2026, 5, 1), "open"), (date(2026, 5, 3), "kept"), (date(2026, 5, 6), "open"), (date(2026, 5, 13), "broken"),
    ]  # fmt: skip
    assert (by_month[5]["kept_date"], by_month[5]["change_count"]) == (None, 4)
    # The grace of the newest ends on the run's date: still open.
    assert by_month[6]["promise_status_code"] == "open"
    assert len(lives) == 5


def test_last_state_of_every_promise_is_the_state_of_the_promise(on_duckdb: Built) -> None:
    last: dict[str, tuple[int, str]] = {}
    for row in on_duckdb.rows("reporting.rpt_promise_changes"):
        last[row["promise_id"]] = max(
            last.get(row["promise_id"], (0, "")), (row["change_no"], row["promise_status_code"])
        )
    promises = on_duckdb.rows("marts.fct_promises")
    assert {row["promise_id"]: row["promise_status_code"] for row in promises} == {
        key: state for key, (_, state) in last.items()
    }


def test_contacts_carry_promise_and_receipts(on_duckdb: Built) -> None:
    contacts = on_duckdb.rows("reporting.rpt_contacts", customer_id="C-promises")
    contacts.sort(key=lambda row: (row["occurred_at"], row["interaction_id"]))
    call, message, failed = contacts
    assert (call["promise_count"], call["promised_amount"], call["promise_due_date"]) == (
        1,
        Q("100.00"),
        date(2026, 2, 5),
    )
    assert call["receipt_count"] == 0
    # Sent, delivered and read twice; the opt-out of the day after the run is not known yet.
    assert message["receipt_count"] == 4
    assert message["read_at"].minute == 2
    assert message["opted_out_at"] is None
    assert (failed["error_code"], failed["sent_at"], failed["receipt_count"]) == ("undeliverable", None, 1)
    assert len(on_duckdb.rows("reporting.rpt_contacts")) == len(on_duckdb.rows("marts.fct_interactions"))


# Member -> completion, reason, days to the attempt. The list is of 18 June, its window ends on the 25th.
COMPLETION = {
    "prepaid": ("same_day", None, 0),
    "cent-short": ("later", "other_collector", 7),
    "two-cents-short": ("other_channel", "other_channel", 0),
    "partial-interest": ("not_worked", "not_recorded", None),
    "closed-without-date": ("not_worked", "not_recorded", None),
}


def test_list_completion_tells_what_became_of_every_row(on_duckdb: Built) -> None:
    rows = on_duckdb.rows("reporting.rpt_list_completion", as_of_date=LISTED_ON)
    found = {row["customer_id"][2:]: (row["completion_code"], row["reason_code"], row["days_to_work"]) for row in rows}
    assert found == COMPLETION
    today = on_duckdb.rows("reporting.rpt_list_completion", as_of_date=AS_OF)
    assert {row["customer_id"][2:]: (row["completion_code"], row["reason_code"]) for row in today} == {
        "partial-fees": ("pending", "window_open"), "reversed": ("same_day", None),
    }  # fmt: skip
    assert {row["as_of_date"] for row in on_duckdb.rows("reporting.rpt_list_completion")} == {LISTED_ON, AS_OF}


def test_blocked_contacts_are_counted_by_rule(on_duckdb: Built) -> None:
    for day in (LISTED_ON, AS_OF):
        rows = {row["rule_id"]: row for row in on_duckdb.rows("reporting.rpt_blocked_contacts", as_of_date=day)}
        counts = {
            rule: tuple(row[f"{name}_count"] for name in
                        ("considered", "channel_blocked", "blocked", "blocked_alone", "blocked_for_good"))
            for rule, row in rows.items()
        }  # fmt: skip
        # Four members, three blocked; hours by all three, alone for one, who is blocked for good; the weekend by two.
        assert counts == {"EC/hours": (4, 3, 3, 1, 1), "EC/weekend": (4, 3, 2, 0, 0)}
        assert {row["channel_code"] for row in rows.values()} == {"call"}


def test_movement_by_day_and_week_starts_the_day_and_the_sunday_before(on_duckdb: Built) -> None:
    rows = on_duckdb.rows("reporting.rpt_arrears_movement_periods")
    spans = {(row["period_code"], row["from_date"], row["as_of_date"]) for row in rows}
    days = {("day", AS_OF - timedelta(days=k + 1), AS_OF - timedelta(days=k)) for k in range(3)}
    sunday = AS_OF - timedelta(days=2)
    weeks = {("week", sunday, AS_OF), ("week", sunday - timedelta(days=7), sunday),
             ("week", sunday - timedelta(days=14), sunday - timedelta(days=7))}  # fmt: skip
    assert spans == days | weeks
    # Principal of the loans in arrears: 10 May and 10 June fell due between the month ends for the loan without payment.
    book = on_duckdb.rows("marts.fct_loan_as_of", as_of_date=BALANCE_DAY, loan_status_code="active")
    opening = sum((row["outstanding_principal_amount"] for row in book if row["arrears_amount"] > 0), Q(0))
    moved = [row for row in on_duckdb.rows("reporting.rpt_arrears_movement") if row["from_date"] == BALANCE_DAY]
    assert sum((row["opening_principal_amount"] for row in moved), Q(0)) == opening > 0


def test_causes_of_the_book(on_duckdb: Built) -> None:
    rows = on_duckdb.rows("marts.fct_loan_reconciliation", is_compared=True)
    assert {row["loan_id"][2:]: row["cause_code"] for row in rows} == {
        "no-payment": None, "partial-fees": "off_by_one", "paid-on-due-date": "rounding", "closed": "status",
        "overpaid": "unknown", "reversed": "reversal", "not-among-ours": "loan_unknown",
    }  # fmt: skip


def test_kpis_of_the_reconciliation(on_duckdb: Built) -> None:
    def kpi(code: str, period: str = "day") -> tuple[float, float]:
        row = on_duckdb.row("kpis.kpi_values__reconciliation", kpi_code=code, period_code=period, grain_code="total")
        assert row["as_of_date"] == AS_OF
        return row["numerator"], row["denominator"]

    # Of the seven balances one agrees; the overpaid loan and the one that we do not have are unexplained.
    assert kpi("R01") == (1, 7)
    assert kpi("R02") == (2, 7)
    # 5.00 of arrears and 7.00 of principal against nothing.
    assert kpi("R03", "month") == (pytest.approx(12.00), 1)
    listed = on_duckdb.rows("reporting.rpt_unmatched_payments")
    amounts = [(abs(row["unmatched_amount"] or Q(0)), row["age_days"] or 0) for row in listed]
    total = float(sum(amount for amount, _ in amounts))
    assert kpi("K39") == (pytest.approx(total), 1)
    assert kpi("K39_AGE") == (
        pytest.approx(float(sum(amount * days for amount, days in amounts))),
        pytest.approx(total),
    )
    # 55.00 of 60 days and 120.00 of 56 (5 May to 30 June) are among them.
    assert {(Q("55.00"), 60), (Q("120.00"), 56)} <= set(amounts)
