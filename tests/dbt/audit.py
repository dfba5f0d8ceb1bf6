"""What auditors look at, for the book of the dbt tests: balances and totals of the core, receipts, lists, rejected rows."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests.dbt.book import AS_OF, Book, utc

BALANCE_DAY = AS_OF - timedelta(days=30)  # 31 May, a month end of the book
LISTED_ON = AS_OF - timedelta(days=12)


def audit_cases(book: Book) -> None:
    """Added last: contacts and payments of the other cases keep their keys."""
    _balances(book)
    _rejected(book)
    _receipts(book)
    _lists(book)


def _balances(book: Book) -> None:
    """Without payment 230.00 of 345.00 are due on 31 May, 300.00 open, 51 days; some of the core's rows are otherwise."""
    for name, arrears, principal, days in (
        ("no-payment", "230.00", "300.00", 51),
        ("partial-fees", "227.00", "300.00", 52),
        ("paid-on-due-date", "115.04", "200.00", 21),
        ("closed", "10.00", "10.00", 1),
        ("overpaid", "5.00", "7.00", 3),
        ("reversed", "115.00", "200.00", 21),
        ("not-among-ours", "1.00", "1.00", 1),
    ):
        book.add("loan_balances", loan_id=f"L-{name}", as_of=BALANCE_DAY, arrears_amount=Decimal(arrears),
                 outstanding_principal=Decimal(principal), days_past_due=days)  # fmt: skip
    for branch, product, count in (("B1", "consumer", 3), ("B7", "consumer", 1), ("*", "*", 99)):
        book.add("control_totals", as_of=BALANCE_DAY, branch_id=branch, product=product, loan_count=count,
                 outstanding_principal=Decimal("500.00"), arrears_amount=Decimal("77.70"))  # fmt: skip


def _rejected(book: Book) -> None:
    rows: list[dict[str, Any]] = [
        {"payment_id": "BAD-1", "loan_id": "L-no-payment", "paid_at": "2026-05-02 10:00:00", "amount": "-5.00"},
        {"payment_id": "BAD-2", "loan_id": "L-of-nobody", "paid_at": "2026-05-03", "amount": "30.00"},
        {"payment_id": "BAD-3", "loan_id": "L-no-payment", "paid_at": "02/05/2026", "amount": "1.234,50"},
        {"payment_id": "BAD-4", "loan_id": None, "paid_at": None, "amount": None},
        {"payment_id": "BAD-6", "loan_id": "L-no-payment", "paid_at": "2026-05-03 02:00:00+00", "amount": "-6.00"},
        {"payment_id": "BAD-7", "loan_id": "L-no-payment", "paid_at": "2026-02-30 02:00:00+00", "amount": "-7.00"},
    ]
    # The newest of two loads counts, and a key that was accepted is not missing.
    for load, row in [(1, {**rows[0], "amount": "-1.00"}), *[(2, row) for row in rows], (2, {"payment_id": "P00000"})]:
        book.add("rejected_rows", load_id=load, table_name="payments", row_key=row["payment_id"], source_row=1,
                 source_file="payments.csv", reasons='["out_of_range:amount"]', row_json=json.dumps(row),
                 loaded_at=utc(AS_OF))  # fmt: skip
    future = {"payment_id": "BAD-5", "loan_id": "L-no-payment", "paid_at": "2027-05-02 10:00:00+00", "amount": "12.00"}
    book.add("rejected_rows", load_id=2, table_name="payments", row_key="BAD-5", source_row=6, source_file="payments.csv",
             reasons='["in_the_future:paid_at"]', row_json=json.dumps(future), loaded_at=utc(AS_OF))  # fmt: skip
    keyless = {"payment_id": None, "loan_id": "L-closed", "paid_at": "2026-05-04 10:00:00", "amount": "8.00"}
    for load, number in ((1, 5), (2, 7), (2, 8)):
        book.add("rejected_rows", load_id=load, table_name="payments", row_key="", source_row=number,
                 source_file="payments.csv", reasons='["missing:payment_id"]', row_json=json.dumps(keyless),
                 loaded_at=utc(AS_OF))  # fmt: skip
    book.add("rejected_rows", load_id=2, table_name="promises", row_key="X", reasons="[]", row_json="{}")


def _receipts(book: Book) -> None:
    message = book.contact("C-promises", AS_OF - timedelta(days=3), "whatsapp", "read", hour=23)
    for number, (status, hour, days) in enumerate((("sent", 23, 3), ("delivered", 23, 3), ("read", 8, 2), ("read", 9, 2),
                                                   ("opted_out", 9, -1))):  # fmt: skip
        book.add("message_events", message_event_id=f"M{number}", interaction_id=message, status=status,
                 at=utc(AS_OF - timedelta(days=days), hour, number), error_code=None)  # fmt: skip
    failed = book.contact("C-promises", AS_OF - timedelta(days=1), "sms", "failed", hour=9)
    book.add("message_events", message_event_id="M9", interaction_id=failed, status="failed",
             at=utc(AS_OF - timedelta(days=1), 9, 1), error_code="undeliverable")  # fmt: skip


def _lists(book: Book) -> None:
    """One list twelve days ago, whose window is over, and today's."""

    def listed(day: date, name: str, channel: str, **values: Any) -> None:
        book.add("decisions.decisions", as_of_date=day, customer_id=f"C-{name}", loan_id=f"L-{name}", action=channel,
                 eligible=True, blocked_by="[]", rank=1, is_exploration=False, reason_codes="[]", **values)  # fmt: skip

    def worked(name: str, days: int, channel: str, outcome: str, **values: Any) -> None:
        book.contact(f"C-{name}", LISTED_ON + timedelta(days=days), channel, outcome, hour=11, **values)

    listed(LISTED_ON, "prepaid", "call", collector_id="G1")
    worked("prepaid", 0, "call", "right_party", collector_id="G1")
    worked("prepaid", 1, "call", "promise", collector_id="G1")
    listed(LISTED_ON, "cent-short", "call", collector_id="G1")
    worked("cent-short", 7, "call", "no_answer", collector_id="G2")
    listed(LISTED_ON, "two-cents-short", "visit", collector_id="G1")
    worked("two-cents-short", 0, "sms", "delivered")
    listed(LISTED_ON, "partial-interest", "sms")
    worked("partial-interest", 8, "sms", "delivered")  # a day after the window
    worked("partial-interest", 2, "sms", "replied", direction="inbound")  # the member's own message is no work
    listed(LISTED_ON, "closed-without-date", "sms")
    listed(LISTED_ON, "no-schedule", "none")
    listed(AS_OF, "partial-fees", "whatsapp")
    listed(AS_OF, "reversed", "call", collector_id="G1")
    worked("reversed", 12, "call", "not_home", collector_id="G1")
    listed(AS_OF + timedelta(days=1), "prepaid", "call")  # of a later run
    for name, rules in (("prepaid", []), ("cent-short", ["EC/hours", "EC/weekend"]), ("no-schedule", ["EC/hours"]),
                        ("two-cents-short", ["EC/weekend", "EC/hours"])):  # fmt: skip
        for day in (LISTED_ON, AS_OF):
            for channel in ("call", "sms"):
                blocked = rules if channel == "call" else []
                book.add("decisions.details", as_of_date=day, customer_id=f"C-{name}", loan_id=f"L-{name}",
                         channel_code=channel, is_allowed=not blocked, blocked_by=json.dumps(blocked), sources="[]",
                         is_never=name == "no-schedule", is_chosen=False)  # fmt: skip
