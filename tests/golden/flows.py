"""A book whose every flow KPI can be added up by hand, and the long table of KPIs built on it.

Loans ask for 115.00 (100 principal, 10 interest, 5 fees) on 10 April, 10 May and 10 June 2026; the run is of Tuesday 30 June.

| loan | branch | what it did |
|---|---|---|
| A | B1 | nothing until 100.00 on 5 June and 60.00 on 20 June |
| B | B2 | on time; June's 115.00 on the 12th, taken back on the 15th, paid again on the 18th |
| C | B1 | on time, June's by card |
| D | B2 | April on time, May on 3 June, June on time |
| E | B1 | on time; June's already on 25 May |
| F | B2 | one due of 50.00 on the run's date, not paid |
| U | B1 | its only due of 50.00 of 20 March on the day, and 30.00 more on 11 May |
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.dbt.book import Book, three_dues, utc
from tests.dbt.warehouses import duckdb_environment, load_duckdb, load_postgres, postgres_environment, run_dbt

AS_OF = date(2026, 6, 30)
SELECTION = ("build", "--select", "+fct_kpi", "+kpi_status", "+rpt_promise_lives", "--indirect-selection", "cautious",
             "--exclude-resource-type", "unit_test")  # fmt: skip
KEYS = ("branch_id", "product_code", "segment_code", "bucket_code", "collector_id", "agency", "channel_code",
        "campaign_id", "province")  # fmt: skip


def day(month: int, number: int) -> date:
    return date(2026, month, number)


def flow_book() -> Book:
    """The book of the table above, with its contacts, promises and messages."""
    book = Book(as_of=AS_OF)
    _dates(book)
    book.add("branches", branch_id="B1", name="Matriz", province="Azuay")
    book.add("branches", branch_id="B2", name="Norte", province="Loja")
    book.add("collectors", collector_id="G1", full_name="Gestora 1", kind="internal", channels="call")
    book.add("collectors", collector_id="G2", full_name="Gestor 2", kind="agency", agency="Cobra SA", channels="call")
    for holiday in (day(5, 1), day(5, 25), day(6, 22)):
        book.add("holidays", country="EC", date=holiday, name="feriado")
    _loans(book)
    _contacts(book)
    _promises(book)
    _messages(book)
    return book


def _dates(book: Book) -> None:
    book.ask(AS_OF, "is_score", "is_month_end", "is_day")
    for month_end in (day(5, 31), day(4, 30), day(3, 31), day(2, 28)):
        book.ask(month_end, "is_month_end")
    for back in range(31):
        book.ask(AS_OF - timedelta(days=back), "is_day")
    for weeks in range(13):
        book.ask(day(6, 28) - timedelta(weeks=weeks), "is_week_end")


def _loans(book: Book) -> None:
    for letter, branch in (("A", "B1"), ("B", "B2"), ("C", "B1"), ("D", "B2"), ("E", "B1"), ("F", "B2")):
        book.customer(f"C{letter}", branch_id=branch)
        product = "microcredit" if letter == "B" else "consumer"
        book.loan(f"L{letter}", f"C{letter}", day(3, 10), branch_id=branch, product=product)
        book.schedule(f"L{letter}", [(AS_OF, "50.00", "0.00", "0.00")] if letter == "F" else three_dues(day(4, 10)))
    book.customer("CU", branch_id="B1")
    book.loan("LU", "CU", day(3, 1), branch_id="B1")
    book.schedule("LU", [(day(3, 20), "50.00", "0.00", "0.00")])
    book.pay("LU", day(3, 20), "50.00")
    book.pay("LU", day(5, 11), "30.00")
    for letter in "BCDE":
        book.pay(f"L{letter}", day(4, 10), "115.00")
    for letter in "BCE":
        book.pay(f"L{letter}", day(5, 10), "115.00")
    book.pay("LE", day(5, 25), "115.00")
    book.pay("LA", day(6, 5), "100.00")
    book.pay("LA", day(6, 20), "60.00")
    undone = book.pay("LB", day(6, 12), "115.00")
    book.pay("LB", day(6, 15), "115.00", reverses_payment_id=undone)
    book.pay("LB", day(6, 18), "115.00")
    book.pay("LC", day(6, 10), "115.00")
    book.tables["payments"][-1]["method"] = "card"
    book.pay("LD", day(6, 3), "115.00")
    book.pay("LD", day(6, 10), "115.00")
    book.add(
        "contact_points", contact_point_id="T1", customer_id="CA", kind="mobile", value="+593990000001", valid=True
    )
    book.add("contact_points", contact_point_id="T2", customer_id="CA", kind="address", value="Calle 1", consent=True)
    # no channel with consent: left after it, that of tomorrow, and that of somebody else
    for key, kind, told in (
        ("T3", "landline", {"consent_at": utc(day(6, 10)), "opted_out_at": utc(day(6, 20))}),
        ("T4", "email", {"consent_at": utc(day(7, 1), 0)}),
        ("T5", "mobile", {"party": "reference"}),
    ):
        book.add("contact_points", contact_point_id=key, customer_id="CA", kind=kind, value=key, consent=True, **told)


def come_back(book: Book) -> None:
    """The member A, who had left a mailbox, agrees to it again in the last hour of the run's date."""
    told = {"opted_out_at": utc(day(6, 10)), "consent_at": utc(day(6, 30), 23, 59)}
    book.add(
        "contact_points", contact_point_id="T6", customer_id="CA", kind="email", value="a@b.ec", consent=True, **told
    )


def _contacts(book: Book) -> None:
    """Eight attempts in June: seven calls and a message; and one answer of a member."""
    book.contact("CA", day(6, 2), "call", "no_answer", collector_id="G1")
    book.contact("CA", day(6, 3), "call", "right_party", collector_id="G1", duration_s=120.0)
    book.contact("CA", day(6, 4), "call", "promise", collector_id="G1", campaign_id="K3", duration_s=300.0)
    book.contact("CD", day(6, 2), "call", "wrong_number", collector_id="G2", campaign_id="K1")
    book.contact("CD", day(6, 2), "whatsapp", "read", campaign_id="K1", cost=Decimal("0.0604"))
    book.contact("CD", day(6, 2), "call", "refusal", collector_id="G2", campaign_id="K4", duration_s=180.0, cost=None)
    book.contact("CB", day(6, 13), "call", "third_party", collector_id="G1", duration_s=60.0)
    book.contact("CA", day(6, 23), "call", "no_answer", collector_id="G1")
    book.contact("CA", day(6, 6), "whatsapp", "replied", direction="inbound", cost=Decimal("0.0200"))


def _promises(book: Book) -> None:
    asked = next(row["interaction_id"] for row in book.tables["interactions"] if row["outcome"] == "promise")
    book.promise("LA", day(6, 4), day(6, 5), "100.00", interaction_id=asked)  # kept: 100.00 on the due day
    book.promise("LA", day(6, 12), day(6, 19), "80.00")  # partly: 60.00 on the 20th, within the grace to the 21st
    book.promise("LD", day(6, 1), day(6, 2), "40.00")  # kept: 115.00 on the 3rd
    book.promise("LA", day(6, 24), day(6, 26), "30.00")  # broken: grace ends on Sunday the 28th
    book.promise("LA", day(6, 29), day(7, 10), "25.00")  # open
    book.promise("LB", day(6, 20), day(6, 29), "20.00")  # open, in grace to 1 July
    # Broken: the 115.00 of the 12th keep it until the 15th takes them back, and its grace ends on the 16th.
    book.promise("LB", day(6, 12), day(6, 14), "50.00")


def _messages(book: Book) -> None:
    """Thirteen messages of Monday 4 May at 10:00, each to a member of its own who owes nothing."""
    sent_on = day(5, 4)

    def message(number: int, channel: str, outcome: str = "sent", **values: Any) -> str:
        book.customer(f"CM{number:02d}", branch_id="B1")
        return book.contact(f"CM{number:02d}", sent_on, channel, outcome, campaign_id="K2", **values)

    def receipt(message_id: str, status: str, at: datetime, code: str | None = None) -> None:
        number = len(book.tables.get("message_events", []))
        book.add("message_events", message_event_id=f"E{number:03d}", interaction_id=message_id, status=status, at=at,
                 error_code=code)  # fmt: skip

    receipt(message(1, "whatsapp"), "read", utc(sent_on, 10, 5))  # never reported as delivered
    twice = message(2, "sms")
    for status, minute in (("delivered", 1), ("delivered", 1), ("sent", 2)):  # before it was sent, and twice
        receipt(twice, status, utc(sent_on, 10, minute))
    late = message(3, "sms")
    receipt(late, "failed", utc(sent_on, 10, 3), "30001")
    receipt(late, "delivered", utc(sent_on, 10, 2))  # delivered after all
    failed = message(4, "sms")
    receipt(failed, "sent", utc(sent_on, 10, 1))
    receipt(failed, "failed", utc(sent_on, 10, 9), "30009")
    receipt(failed, "failed", utc(sent_on, 10, 3), "30003")
    message(5, "sms", "failed")  # no receipts at all
    receipt(message(6, "whatsapp"), "queued", utc(sent_on, 10))  # it still waits
    message(7, "whatsapp", "replied")
    stopped = message(8, "whatsapp")
    receipt(stopped, "delivered", utc(sent_on, 10, 1))
    receipt(stopped, "opted_out", utc(sent_on + timedelta(days=3), 9))
    for number, hours in ((9, 71), (10, 73)):  # on both sides of 72 hours after the delivery
        receipt(message(number, "email"), "delivered", utc(sent_on, 10))
        answered = utc(sent_on, 10) + timedelta(hours=hours)
        called = book.contact(f"CM{number:02d}", sent_on, "call", "right_party", direction="inbound")
        next(row for row in book.tables["interactions"] if row["interaction_id"] == called)["occurred_at"] = answered
    receipt(message(11, "sms"), "delivered", utc(sent_on + timedelta(days=31)))  # nobody waits so long
    later = message(12, "whatsapp")
    receipt(later, "delivered", utc(sent_on, 10, 1))
    receipt(later, "opted_out", utc(sent_on + timedelta(days=8)))
    message(13, "whatsapp", "complaint")


@dataclass(frozen=True)
class Kpis:
    """The long table of KPIs, and every other table by name."""

    tables: dict[str, list[dict[str, Any]]]

    def parts(
        self, kpi_code: str, as_of: date = AS_OF, period: str = "month", **where: Any
    ) -> tuple[float | None, float] | None:
        """Numerator (None: not known) and denominator of one cell; None without a row. Without keys: the total."""
        detail = where.pop("detail", None)
        keys = {key: where.get(key) for key in KEYS}
        grain = "_".join(key.removesuffix("_id").removesuffix("_code") for key in KEYS if where.get(key)) or "total"
        found = [
            row
            for row in self.tables["kpis.fct_kpi"]
            if row["kpi_code"] == kpi_code and row["as_of_date"] == as_of and row["period_code"] == period
            and row["grain_code"] == grain and row["detail_code"] == detail
            and all(row[key] == value for key, value in keys.items())
        ]  # fmt: skip
        assert len(found) <= 1, f"{kpi_code}: the key is not unique"
        if not found:
            return None
        (row,) = found
        if row["numerator"] is None:
            assert row["value"] is None, "what is not known has no value"
            return None, round(row["denominator"], 9)
        if row["denominator"]:
            assert abs(row["value"] - row["numerator"] / row["denominator"]) < 1e-9
        else:
            assert row["value"] is None, "a zero denominator is NULL"
        return round(row["numerator"], 9), round(row["denominator"], 9)

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        return [row for row in self.tables[table] if all(row[name] == value for name, value in where.items())]


TABLES = ("kpis.fct_kpi", "kpis.kpi_status", "kpis.kpi_recovery", "kpis.kpi_contacts", "kpis.kpi_promises",
          "kpis.kpi_messages", "kpis.kpi_coverage", "kpis.kpi_collection", "marts.fct_messages",
          "marts.fct_promises", "reporting.rpt_promise_lives")  # fmt: skip


def read(connection: Any) -> Kpis:
    tables = {}
    for table in TABLES:
        cursor = connection.cursor()
        cursor.execute(f"select * from {table}")
        names = [column[0] for column in cursor.description]
        tables[table] = [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
    return Kpis(tables)


def kpis_on_duckdb(book: Book, folder: Path, settings: dict[str, Any] | None = None) -> Kpis:
    """The KPIs of a book with other variables of the dbt project."""
    import duckdb

    file = folder / "flows.duckdb"
    file.unlink(missing_ok=True)
    load_duckdb(book, file)
    run_dbt([*SELECTION, "--vars", json.dumps(settings or {})], duckdb_environment(file), folder)
    with duckdb.connect(str(file), read_only=True) as connection:
        return read(connection)


def kpis_on_postgres(book: Book, url: str, folder: Path) -> Kpis:
    """The same on PostgreSQL."""
    import psycopg2

    load_postgres(book, url)
    run_dbt([*SELECTION], postgres_environment(url), folder)
    connection = psycopg2.connect(url)
    try:
        return read(connection)
    finally:
        connection.close()
