"""The arrears engine a second time: slow, day by day, payment by payment, in exact decimals. Nothing shared with the SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from tests.dbt.book import ZONE, Book, Row

GRACE = 2
ZERO = Decimal("0.00")


@dataclass(frozen=True)
class Rules:
    """The settings of the engine."""

    tolerance: Decimal = Decimal("0.01")
    order: tuple[str, ...] = ("fees", "interest", "principal")
    window: int = 7
    due_day_counts: bool = False


def local_day(moment: datetime) -> date:
    return moment.replace(tzinfo=UTC).astimezone(ZONE).date()


def newest(rows: list[Row], *key: str) -> list[Row]:
    """The newest version of each key, without the deleted ones."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        name = tuple(row[part] for part in key)
        if name not in found or (row["_load_id"], row["_source_row"]) > (
            found[name]["_load_id"],
            found[name]["_source_row"],
        ):
            found[name] = row
    return [row for row in found.values() if not row["_is_deleted"]]


@dataclass
class Loan:
    """One loan with its schedule and money."""

    row: Row
    dues: list[Row]
    payments: list[Row]
    as_of: date
    rules: Rules

    @cached_property
    def schedule(self) -> list[Row]:
        return sorted(self.dues, key=lambda due: (due["due_on"], due["installment_no"]))

    def net(self, first: date, last: date) -> Decimal:
        """Net money of the days from ``first`` to ``last``, both inclusive, known at the run's date."""
        total = ZERO
        for payment in self.payments:
            if first <= local_day(payment["paid_at"]) <= min(last, self.as_of):
                total += -payment["amount"] if payment.get("reverses_payment_id") else payment["amount"]
        return total

    def paid(self, day: date) -> Decimal:
        return self.net(date.min, day)

    def status(self, day: date) -> str:
        row = self.row
        last_paid = max((local_day(payment["paid_at"]) for payment in self.payments), default=None)
        updated = local_day(row["updated_at"]) if row.get("updated_at") else None
        written_off, closed = row.get("written_off_on"), row.get("closed_on")
        if row["status"] == "written_off":
            written_off = written_off or closed or updated or row.get("maturity_on") or row["disbursed_on"]
        if row["status"] == "closed":
            closed = closed or last_paid or row.get("maturity_on") or row["disbursed_on"]
        if written_off and written_off <= day:
            return "written_off"
        return "closed" if closed and closed <= day else "active"

    @staticmethod
    def total(due: Row) -> Decimal:
        return due["principal_due"] + due["interest_due"] + due["fees_due"]

    def covered_count(self, day: date) -> int:
        """Instalments that the money of the day covers, one after the other, forgiving the tolerance."""
        needed, money, count = ZERO, max(self.paid(day), ZERO) + self.rules.tolerance, 0
        for due in self.schedule:
            needed += self.total(due)
            if needed > money:
                break
            count += 1
        return count

    @cached_property
    def _counts(self) -> dict[date, int]:
        day, counts = self.row["disbursed_on"] - timedelta(days=60), {}
        while day <= self.as_of:
            counts[day] = self.covered_count(day)
            day += timedelta(days=1)
        return counts

    def past_due_days(self, day: date) -> int:
        return self._late(self._counts[day], day)

    def past_due_days_at(self, day: date) -> int:
        """As :meth:`past_due_days`, on any day, also one long before the loan."""
        return self._late(self.covered_count(day), day)

    def _late(self, covered: int, day: date) -> int:
        if self.status(day) == "closed":
            return 0
        for due in self.schedule[covered:]:
            days = (day - due["due_on"]).days
            return max(days + 1 if self.rules.due_day_counts else days, 0)
        return 0

    def principal_paid(self, day: date) -> Decimal:
        money, principal = max(self.paid(day), ZERO), ZERO
        for due in self.schedule:
            for component in self.rules.order:
                share = min(money, due[f"{component}_due"])
                money -= share
                principal += share if component == "principal" else ZERO
        return principal

    def state(self, day: date) -> Row:
        """The row of the loan at the end of a day."""
        closed = self.status(day) == "closed"
        paid, money = self.paid(day), max(self.paid(day), ZERO)
        past = [
            due for due in self.schedule if due["due_on"] < day or (self.rules.due_day_counts and due["due_on"] == day)
        ]
        ahead = [due for due in self.schedule if due["due_on"] <= day + timedelta(days=self.rules.window)]
        scheduled = sum(map(self.total, past), ZERO)
        arrears = scheduled - money if scheduled - money > self.rules.tolerance else ZERO
        principal = (
            sum((due["principal_due"] for due in self.schedule), ZERO) if self.schedule else self.row["principal"]
        )
        principal_paid = self.principal_paid(day) if self.schedule else min(money, principal)
        due_principal = sum((due["principal_due"] for due in past), ZERO)
        next_window = max(sum(map(self.total, ahead), ZERO) - max(scheduled, paid), ZERO)
        total = sum(map(self.total, self.schedule), ZERO) if self.schedule else self.row["principal"]
        return {
            "loan_status_code": self.status(day),
            "past_due_days": self.past_due_days(day),
            "outstanding_principal_amount": ZERO if closed else principal - principal_paid,
            "arrears_amount": ZERO if closed else arrears,
            "arrears_principal_amount": max(due_principal - principal_paid, ZERO) if arrears and not closed else ZERO,
            "due_next_window_amount": ZERO if closed else next_window,
            "collectable_amount": ZERO if closed else arrears + next_window,
            "paid_amount": paid,
            "scheduled_amount": scheduled,
            "overpaid_amount": max(paid - total, ZERO),
            "past_due_installment_count": 0 if closed else max(len(past) - self.covered_count(day), 0),
            "covered_installment_count": self.covered_count(day),
        }

    def late_days(self, position: int, day: date) -> int:
        """How late an instalment was covered, or is, as known at the end of a day."""
        due_on, covered_on = self.schedule[position]["due_on"], day
        if self._counts[day] <= position:
            covered_on += timedelta(days=int(self.rules.due_day_counts))
        else:
            while self._counts.get(covered_on - timedelta(days=1), 0) > position:
                covered_on -= timedelta(days=1)
        return max((covered_on - due_on).days, 0)

    def lateness(self, day: date, days: int) -> list[int]:
        """Late days of the instalments due in (day - days, day]."""
        return [
            self.late_days(position, day)
            for position, due in enumerate(self.schedule)
            if day - timedelta(days=days) < due["due_on"] <= day
        ]

    def reaches(self, threshold: int, day: date, horizon: int) -> bool:
        """Whether it is that late, or written off, on some known day of (day, day + horizon]."""
        for ahead in range(1, horizon + 1):
            then = day + timedelta(days=ahead)
            if then > self.as_of:
                return False
            if self.status(then) == "written_off" or (
                self.status(then) == "active" and self.past_due_days(then) >= threshold
            ):
                return True
        return False


def loans_of(book: Book, rules: Rules = Rules()) -> dict[str, Loan]:
    """The loans of a book, as known on its as-of date."""
    dues = newest(book.tables.get("installments", []), "loan_id", "installment_no")
    payments = newest(book.tables.get("payments", []), "payment_id")
    return {
        row["loan_id"]: Loan(
            row,
            [due for due in dues if due["loan_id"] == row["loan_id"]],
            [payment for payment in payments if payment["loan_id"] == row["loan_id"]],
            book.as_of,
            rules,
        )
        for row in newest(book.tables["loans"], "loan_id")
    }


def promise_status(promise: Row, loan: Loan, day: date) -> tuple[str, Decimal]:
    """Fate of a promise at the end of a day and what was paid towards it."""
    made_on, last = local_day(promise["made_at"]), promise["due_on"] + timedelta(days=GRACE)
    paid = max(loan.net(made_on, min(last, day)), ZERO)
    if paid >= promise["amount"]:
        return "kept", paid
    if day <= last:
        return "open", paid
    return ("partly_kept" if paid > 0 else "broken"), paid
