"""A small book of loans with every nasty case, as rows of the raw tables; hand-made cases first, random ones after them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

AS_OF = date(2026, 6, 30)
ZONE = ZoneInfo("America/Guayaquil")
Row = dict[str, Any]


def utc(day: date, hour: int = 12, minute: int = 0) -> datetime:
    """The UTC moment, without zone, of a wall-clock time of the institution."""
    return datetime.combine(day, time(hour, minute), ZONE).astimezone(UTC).replace(tzinfo=None)


def months_later(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, min(day.day, 28))


@dataclass
class Book:
    """Raw rows by table, and the dates that are asked for."""

    as_of: date = AS_OF
    sample_below: str = "c"
    spine: dict[date, set[str]] = field(default_factory=dict)
    tables: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, table: str, **values: Any) -> Row:
        rows = self.tables.setdefault(table, [])
        row = {"_load_id": 1, "_source_row": len(rows) + 1, "_is_deleted": False, **values}
        rows.append(row)
        return row

    def ask(self, day: date, *flags: str) -> None:
        self.spine.setdefault(day, set()).update(flags)

    @property
    def newest_load(self) -> int:
        return max((row["_load_id"] for rows in self.tables.values() for row in rows), default=0)

    # ------------------------------------------------------------ things of the business

    def customer(self, customer_id: str, **values: Any) -> None:
        given = {
            "full_name": f"Socio {customer_id}",
            "province": "Azuay",
            "urban": True,
            "occupation": "merchant",
            "monthly_income": Decimal("800.00"),
            "member_since": date(2020, 1, 15),
            "branch_id": "B1",
            "status": "active",
        }
        self.add("customers", customer_id=customer_id, **{**given, **values})

    def loan(self, loan_id: str, customer_id: str, disbursed_on: date, **values: Any) -> None:
        given = {
            "product": "consumer",
            "branch_id": "B1",
            "currency": "USD",
            "principal": Decimal("300.00"),
            "annual_rate": 0.156,
            "term_months": 3,
            "collateral": "none",
            "status": "active",
        }
        self.add("loans", loan_id=loan_id, customer_id=customer_id, disbursed_on=disbursed_on, **{**given, **values})

    def schedule(self, loan_id: str, dues: list[tuple[date, str, str, str]], **values: Any) -> None:
        """Instalments as (due date, principal, interest, fees)."""
        for number, (due_on, principal, interest, fees) in enumerate(dues, start=1):
            self.add(
                "installments",
                loan_id=loan_id,
                installment_no=number,
                due_on=due_on,
                principal_due=Decimal(principal),
                interest_due=Decimal(interest),
                fees_due=Decimal(fees),
                **values,
            )

    def pay(self, loan_id: str, paid_on: date, amount: str | Decimal, *, hour: int = 12, **values: Any) -> str:
        payment_id = values.pop("payment_id", f"P{len(self.tables.get('payments', [])):05d}")
        self.add(
            "payments",
            payment_id=payment_id,
            loan_id=loan_id,
            paid_at=utc(paid_on, hour),
            amount=Decimal(amount),
            method="transfer",
            **values,
        )
        return payment_id

    def contact(self, customer_id: str, day: date, channel: str, outcome: str, *, hour: int = 10, **values: Any) -> str:
        interaction_id = f"I{len(self.tables.get('interactions', [])):05d}"
        given = {"direction": "outbound", "cost": Decimal("0.45")}
        self.add(
            "interactions",
            interaction_id=interaction_id,
            customer_id=customer_id,
            occurred_at=utc(day, hour),
            channel=channel,
            outcome=outcome,
            **{**given, **values},
        )
        return interaction_id

    def promise(self, loan_id: str, made_on: date, due_on: date, amount: str, **values: Any) -> str:
        promise_id = f"R{len(self.tables.get('promises', [])):05d}"
        self.add(
            "promises",
            promise_id=promise_id,
            loan_id=loan_id,
            made_at=utc(made_on, 15),
            due_on=due_on,
            amount=Decimal(amount),
            **values,
        )
        return promise_id

    # ------------------------------------------------------------ other books made of this one

    def shuffled(self, seed: int) -> Book:
        """The same rows, put in another order."""
        shuffled = {name: random.Random(f"{seed}{name}").sample(rows, len(rows)) for name, rows in self.tables.items()}
        return replace(self, tables=shuffled)

    def known_on(self, day: date) -> Book:
        """What there was at the end of an earlier day, which alone is asked for."""
        moments = {"payments": "paid_at", "interactions": "occurred_at", "promises": "made_at"}
        end = utc(day + timedelta(days=1), 0)
        tables = {
            name: [row for row in rows if name not in moments or row[moments[name]] < end]
            for name, rows in self.tables.items()
        }
        return replace(
            self, as_of=day, spine={day: {"is_score", "is_risk_training", "is_channel_training"}}, tables=tables
        )


def three_dues(first: date) -> list[tuple[date, str, str, str]]:
    """Three instalments of 100 principal, 10 interest and 5 fees: 115 each, 345 in all."""
    return [(months_later(first, k), "100.00", "10.00", "5.00") for k in range(3)]


def nasty_cases(book: Book) -> None:
    """One loan per case. Due on 10 April, 10 May and 10 June 2026 unless said otherwise; 115 each."""
    start, first = date(2026, 3, 10), date(2026, 4, 10)

    def case(
        name: str, *, dues: list[tuple[date, str, str, str]] | None = None, customer: str | None = None, **loan: Any
    ) -> str:
        customer_id = customer or f"C-{name}"
        if customer is None:
            book.customer(customer_id)
        book.loan(f"L-{name}", customer_id, loan.pop("disbursed_on", start), **loan)
        book.schedule(f"L-{name}", three_dues(first) if dues is None else dues)
        return f"L-{name}"

    case("no-payment")
    book.pay(case("paid-on-due-date"), first, "115.00")
    book.pay(case("paid-before-midnight"), first, "115.00", hour=23)  # already the next day in UTC
    book.pay(case("paid-a-day-late"), first + timedelta(days=1), "115.00", hour=0)
    book.pay(case("partial-fees"), first, "3.00")
    book.pay(case("partial-interest"), first, "9.50")
    book.pay(case("partial-principal"), first, "60.25")
    book.pay(case("cent-short"), first, "114.99")
    book.pay(case("two-cents-short"), first, "114.98")
    loan = case("cent-short-twice")
    book.pay(loan, first, "114.99")
    book.pay(loan, months_later(first, 1), "115.00")
    book.pay(case("prepaid"), date(2026, 3, 20), "200.00")
    book.pay(case("overpaid"), date(2026, 5, 1), "400.00")
    loan = case("reversed")
    undone = book.pay(loan, first, "115.00")
    book.pay(loan, date(2026, 5, 2), "115.00", reverses_payment_id=undone)
    loan = case("reversed-and-paid-again")
    undone = book.pay(loan, first, "115.00")
    book.pay(loan, date(2026, 4, 28), "115.00", reverses_payment_id=undone)
    book.pay(loan, date(2026, 5, 20), "230.00")
    loan = case("reversed-same-day")
    undone = book.pay(loan, first, "115.00", hour=9)
    book.pay(loan, first, "115.00", hour=10, reverses_payment_id=undone)
    # A year of 115 from January 2025 on, paid to the day; then one payment bounces long after and is replaced.
    loan = case("reversed-long-after", disbursed_on=date(2025, 1, 10), dues=[
        (months_later(date(2025, 2, 10), k), "100.00", "10.00", "5.00") for k in range(20)])  # fmt: skip
    made = [book.pay(loan, months_later(date(2025, 2, 10), k), "115.00") for k in range(17)]
    book.pay(loan, date(2026, 1, 15), "115.00", reverses_payment_id=made[8])
    book.pay(loan, date(2026, 5, 20), "115.00")
    # More than 90 days late on a training date, paid up on the very next day.
    book.pay(
        case("cured-the-day-after", disbursed_on=date(2025, 10, 10), dues=three_dues(date(2025, 11, 10))),
        date(2026, 4, 8),
        "345.00",
    )
    loan = case("reversal-before-its-payment")
    book.pay(loan, date(2026, 4, 1), "50.00", reverses_payment_id="P-later")
    book.pay(loan, date(2026, 4, 20), "50.00", payment_id="P-later")
    loan = case("two-payments-a-day")
    book.pay(loan, first, "15.00", hour=9)
    book.pay(loan, first, "100.00", hour=16)
    case("due-today", dues=[(AS_OF, "100.00", "10.00", "5.00"), (date(2026, 7, 30), "100.00", "10.00", "5.00")])
    case("due-at-window-end", dues=[(AS_OF + timedelta(days=7), "50.00", "1.00", "0.00")])
    case("due-after-window", dues=[(AS_OF + timedelta(days=8), "50.00", "1.00", "0.00")])
    book.pay(case("paid-after-the-run"), AS_OF + timedelta(days=1), "115.00")
    case("nothing-due", dues=[(first, "0.00", "0.00", "0.00"), (months_later(first, 1), "100.00", "0.00", "0.00")])
    case("two-dues-a-day", dues=[(first, "0.00", "10.00", "0.00"), (first, "100.00", "0.00", "0.00")])
    case("no-schedule", dues=[])
    book.pay(case("no-schedule-paid", dues=[]), date(2026, 5, 5), "120.00")
    book.pay(case("closed", status="closed", closed_on=date(2026, 5, 5)), date(2026, 5, 5), "345.00")
    book.pay(case("closed-at-a-discount", status="closed", closed_on=date(2026, 6, 5)), date(2026, 6, 5), "150.00")
    book.pay(case("closed-without-date", status="closed"), date(2026, 6, 12), "345.00")
    case("closed-without-payment", status="closed", maturity_on=date(2026, 6, 15))
    case("written-off", disbursed_on=date(2025, 1, 10), status="written_off", written_off_on=date(2026, 6, 1),
         dues=[(months_later(date(2025, 2, 10), k), "90.00", "8.00", "2.00") for k in range(12)])  # fmt: skip
    case("written-off-without-date", status="written_off", updated_at=utc(date(2026, 5, 31), 22))
    case("restructured", restructured_on=date(2026, 5, 1))
    case("disbursed-after-the-run", disbursed_on=AS_OF + timedelta(days=1), dues=three_dues(date(2026, 8, 1)))
    case("disbursed-today", disbursed_on=AS_OF, dues=three_dues(date(2026, 7, 30)))

    # A second load rewrote the schedule: number 3 is gone, the others are later and smaller.
    loan = case("rewritten-schedule")
    for number, due_on in enumerate([date(2026, 5, 10), date(2026, 6, 10), None], start=1):
        book.add("installments", loan_id=loan, installment_no=number, due_on=due_on, principal_due=Decimal("80.00"),
                 interest_due=Decimal("8.00"), fees_due=Decimal("0.00"), _load_id=2, _source_row=0 if due_on is None else number,
                 _is_deleted=due_on is None)  # fmt: skip
    # A payment corrected by a later load, one taken back, and an interaction delivered twice.
    loan = case("corrected-payment")
    corrected = book.pay(loan, first, "15.00")
    book.add(
        "payments",
        payment_id=corrected,
        loan_id=loan,
        paid_at=utc(first),
        amount=Decimal("115.00"),
        method="branch",
        _load_id=2,
    )
    gone = book.pay(loan, date(2026, 5, 1), "40.00")
    book.add(
        "payments",
        payment_id=gone,
        loan_id=loan,
        paid_at=utc(date(2026, 5, 1)),
        amount=Decimal("40.00"),
        _load_id=3,
        _is_deleted=True,
    )

    # One member with three loans: the decision is about the largest arrears.
    book.customer(
        "C-many", province=None, urban=None, occupation=None, monthly_income=None, member_since=None, branch_id="B9"
    )
    for letter, paid in (("a", "0.01"), ("b", "60.00"), ("c", "345.00")):
        loan = case(f"many-{letter}", customer="C-many", product=None, collateral=None, branch_id=None)
        book.pay(loan, first, paid)
    # Two loans that tie in everything but the key.
    book.customer("C-tie", marital_state="soltero")
    case("tie-b", customer="C-tie")
    case("tie-a", customer="C-tie")

    # Promises: kept, partly kept, broken, open, kept by a payment that a reversal took back within the window.
    loan = case("promises", dues=[(months_later(date(2026, 1, 10), k), "100.00", "10.00", "5.00") for k in range(8)],
                disbursed_on=date(2025, 12, 10))  # fmt: skip
    book.contact("C-promises", date(2026, 2, 1), "call", "promise", collector_id="G1")
    book.promise(
        loan,
        date(2026, 2, 1),
        date(2026, 2, 5),
        "100.00",
        interaction_id=f"I{len(book.tables['interactions']) - 1:05d}",
    )
    book.pay(loan, date(2026, 2, 7), "100.00")  # the last day of grace
    book.promise(loan, date(2026, 3, 1), date(2026, 3, 5), "100.00")
    book.pay(loan, date(2026, 3, 2), "40.00")
    book.pay(loan, date(2026, 3, 8), "60.00")  # a day after it
    book.promise(loan, date(2026, 4, 1), date(2026, 4, 5), "100.00")
    book.promise(loan, date(2026, 5, 1), date(2026, 5, 10), "50.00")
    undone = book.pay(loan, date(2026, 5, 3), "50.00")
    book.pay(loan, date(2026, 5, 6), "50.00", reverses_payment_id=undone)
    book.promise(loan, date(2026, 6, 25), date(2026, 6, 28), "30.00")  # its grace ends on the run's date
    book.promise(loan, date(2026, 7, 1), date(2026, 7, 5), "30.00")  # not made yet


def contact_cases(book: Book) -> None:
    """Contacts on both sides of every boundary, for the member of the case no-payment."""
    who = "C-no-payment"
    outcomes = ["no_answer", "wrong_number", "third_party", "right_party", "promise", "refusal", "dispute", "callback",
                "not_home", "sent", "delivered", "read", "replied", "failed", "opt_out", "complaint"]  # fmt: skip
    for number, outcome in enumerate(outcomes):
        book.contact(
            who, AS_OF - timedelta(days=3 * number), "call" if number % 2 else "whatsapp", outcome, hour=number
        )
    book.contact(who, AS_OF, "sms", "delivered", hour=23)  # the next day in UTC
    book.contact(who, AS_OF + timedelta(days=1), "sms", "delivered", hour=0)
    book.contact(who, AS_OF - timedelta(days=2), "whatsapp", "replied", direction="inbound")
    for days in (27, 28, 90, 91, 181, 182, 363, 364):
        book.contact(who, AS_OF - timedelta(days=days), "email", "read", hour=8)
    # Two first contacts at the same moment: the key decides.
    for channel in ("visit", "ivr"):
        book.contact("C-tie", AS_OF - timedelta(days=12), channel, "right_party", hour=11, propensity=0.25)
    book.add(
        "contact_points",
        contact_point_id="T1",
        customer_id=who,
        kind="mobile",
        value="+593990000001",
        whatsapp=True,
        valid=True,
    )
    book.add(
        "contact_points",
        contact_point_id="T2",
        customer_id=who,
        kind="email",
        value="a@b.ec",
        valid=False,
        consent=True,
    )
    book.add(
        "contact_points",
        contact_point_id="T3",
        customer_id="C-tie",
        kind="address",
        value="Calle 1",
        latitude=-2.9,
        longitude=-79.0,
    )
    book.add(
        "contact_points",
        contact_point_id="T4",
        customer_id="C-tie",
        kind="landline",
        value="072000000",
        opted_out_at=utc(AS_OF),
        consent=True,
        consent_at=utc(AS_OF - timedelta(days=1)),
        place="work",
    )
    book.add(
        "contact_points",
        contact_point_id="T5",
        customer_id="C-tie",
        kind="mobile",
        value="+593990000005",
        whatsapp=True,
        consent=True,
        party="reference",
    )
    book.add(
        "collectors",
        collector_id="G1",
        full_name="Gestora 1",
        kind="internal",
        channels="call,visit",
        daily_capacity=20,
    )
    book.add("branches", branch_id="B1", name="Matriz", province="Azuay", latitude=-2.9, longitude=-79.0)


def random_cases(book: Book, seed: int, loans: int) -> None:
    """Loans with random schedules and payers of every habit; every amount has its own cents."""
    rng = random.Random(seed)
    members = max(loans // 2, 1)
    for number in range(members):
        book.customer(f"X{number:03d}", member_since=AS_OF - timedelta(days=rng.randrange(0, 4000)), urban=rng.random() < 0.5,
                      province=rng.choice(["Azuay", "Loja", None]), monthly_income=Decimal(rng.randrange(0, 200000)) / 100)  # fmt: skip
    for number in range(loans):
        loan_id, customer_id = f"Y{number:03d}", f"X{rng.randrange(members):03d}"
        disbursed_on = AS_OF - timedelta(days=rng.randrange(0, 1000))
        step = rng.choice([7, 14, 30, 30, 30])
        count = rng.randrange(1, 25)
        dues = []
        for k in range(count):
            due_on = disbursed_on + timedelta(days=step * (k + 1))
            principal = Decimal(rng.randrange(0, 12000)) / 100
            dues.append(
                (
                    due_on,
                    str(principal),
                    str(Decimal(rng.randrange(0, 2500)) / 100),
                    str(Decimal(rng.choice([0, 0, 150])) / 100),
                )
            )
        status = rng.choice(["active"] * 6 + ["closed", "written_off"])
        left_on = disbursed_on + timedelta(days=rng.randrange(1, 900))
        book.loan(loan_id, customer_id, disbursed_on, status=status, product=rng.choice(["consumer", "microcredit", None]),
                  branch_id=rng.choice(["B1", "B2"]), principal=sum((Decimal(due[1]) for due in dues), Decimal(0)),
                  closed_on=left_on if status == "closed" and rng.random() < 0.7 else None,
                  written_off_on=left_on if status == "written_off" and rng.random() < 0.7 else None,
                  maturity_on=dues[-1][0], restructured_on=left_on if rng.random() < 0.1 else None)  # fmt: skip
        book.schedule(loan_id, dues)
        _random_payments(book, rng, loan_id, dues)
        for _ in range(rng.randrange(0, 6)):
            made_on = disbursed_on + timedelta(days=rng.randrange(0, 1000))
            book.promise(
                loan_id,
                made_on,
                made_on + timedelta(days=rng.randrange(0, 12)),
                str(Decimal(rng.randrange(1, 20000)) / 100),
            )
    channels, outcomes = (
        ["call", "ivr", "whatsapp", "sms", "email", "visit", "letter"],
        ["no_answer", "right_party", "read", "failed", "promise"],
    )
    for _ in range(loans * 12):
        book.contact(f"X{rng.randrange(members):03d}", AS_OF - timedelta(days=rng.randrange(-5, 420)), rng.choice(channels), rng.choice(outcomes),
                     hour=rng.randrange(24), direction=rng.choice(["outbound"] * 5 + ["inbound"]), propensity=rng.choice([None, 0.2, 0.5]))  # fmt: skip


def _random_payments(book: Book, rng: random.Random, loan_id: str, dues: list[tuple[date, str, str, str]]) -> None:
    habit = rng.choice(["on_time", "late", "late", "worse", "lump", "never", "erratic"])
    if habit == "never":
        return
    made: list[tuple[str, date, Decimal]] = []
    for due_on, *parts in dues:
        total = sum((Decimal(part) for part in parts), Decimal(0))
        delay = {
            "on_time": rng.randrange(-3, 1),
            "late": rng.randrange(0, 20),
            "worse": rng.randrange(0, 120),
            "lump": 0,
        }.get(habit, rng.randrange(-40, 60))
        if habit == "lump" and rng.random() < 0.6:
            continue
        amount = {"lump": total * rng.randrange(1, 5), "erratic": total * rng.randrange(1, 300) / 100}.get(
            habit, total + Decimal(rng.choice([0, 0, 0, -1, -2, 1])) / 100
        )
        amount = amount.quantize(Decimal("0.01"))
        paid_on = due_on + timedelta(days=delay)
        if amount > 0 and paid_on <= AS_OF + timedelta(days=4):
            made.append((book.pay(loan_id, paid_on, amount, hour=rng.randrange(24)), paid_on, amount))
    for payment_id, paid_on, amount in made:
        if rng.random() < 0.08:
            book.pay(
                loan_id, paid_on + timedelta(days=rng.randrange(0, 45)), amount, hour=23, reverses_payment_id=payment_id
            )


def full_book(seed: int = 7, loans: int = 60) -> Book:
    """Every hand-made case, random loans, and dates of each kind."""
    from tests.dbt.audit import audit_cases

    book = Book()
    nasty_cases(book)
    contact_cases(book)
    random_cases(book, seed, loans)
    audit_cases(book)
    book.ask(AS_OF, "is_score", "is_month_end")
    for days in range(4):
        book.ask(AS_OF - timedelta(days=days), "is_day")
    for weeks in range(3):
        book.ask(AS_OF - timedelta(days=2 + 7 * weeks), "is_week_end")  # 30 June 2026 is a Tuesday
    for months in range(1, 15):
        book.ask(months_later(AS_OF.replace(day=1), 1 - months) - timedelta(days=1), "is_month_end")
    for k in range(1, 12):
        book.ask(AS_OF - timedelta(days=28 * k), "is_risk_training")
    for k in range(1, 12):
        book.ask(AS_OF - timedelta(days=1 + 7 * k), "is_channel_training")
    return book
