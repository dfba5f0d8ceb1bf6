"""What a template may name: each variable with its source, and its values for the members of a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

from puntual.campaigns.formats import amount_text, date_text


@dataclass(frozen=True)
class Variable:
    """A variable: where its value comes from, what it is, and examples of ordinary length in Spanish and English."""

    source: str
    about: str
    example: tuple[str, str]


VARIABLES: dict[str, Variable] = {
    "name": Variable("customers.full_name", "Full name; 'socio' where it is not known.", ("María Quizhpe", "Ana Lee")),
    "first_name": Variable("customers.full_name", "Its first word.", ("María", "Ana")),
    "institution": Variable("settings.institution.name", "Name of the institution.", ("Cooperativa", "Cooperative")),
    "amount": Variable(
        "features.collectable_amount",
        "Arrears of all loans, or while nothing is past due what falls due within the window, with its currency.",
        ("USD 120,50", "USD 120.50"),
    ),
    "arrears_amount": Variable("decisions.arrears_amount", "Arrears of all loans.", ("USD 120,50", "USD 120.50")),
    "days": Variable("decisions.past_due_days", "Past-due days of the worst loan, in words.", ("12 días", "12 days")),
    "situation": Variable(
        "features.next_due_in_days",
        "'con 12 días de atraso', or the next due date while nothing is past due.",
        ("con 12 días de atraso", "12 days overdue"),
    ),
    "due_date": Variable(
        "features.next_due_in_days", "Next due date; missing when none is left.", ("3 jul 2026", "Jul 3, 2026")
    ),
    "loans": Variable(
        "features.active_loan_count", "'su crédito', or 'el total de sus créditos'.", ("su crédito", "your loan")
    ),
    "loans_start": Variable(
        "features.active_loan_count", "The same at the start of a sentence.", ("Su crédito", "Your loan")
    ),
    "loan_id": Variable("decisions.loan_id", "The main loan, as the institution numbers it.", ("00123456", "00123456")),
    "branch_id": Variable("customers.branch_id", "Branch of the member.", ("B01", "B01")),
    "promise_date": Variable(
        "promises.due_on", "Day of the last promise of six months; missing without one.", ("3 jul 2026", "Jul 3, 2026")
    ),
    "promise_amount": Variable(
        "promises.amount", "Amount of that promise; missing without one.", ("USD 60,00", "USD 60.00")
    ),
    "today": Variable("run.as_of_date", "The contact day.", ("30 jun 2026", "Jun 30, 2026")),
}

_NOBODY = {"es": "socio", "en": "member"}
_SEVERAL = {"es": "el total de sus créditos", "en": "the total of your loans"}
_ONE = {"es": "su crédito", "en": "your loan"}


@dataclass(frozen=True)
class Manner:
    """How values are written: the institution's name, its money and its country."""

    institution: str
    currency: str
    country: str


def values_of(member: Mapping[str, Any], language: str, manner: Manner, as_of: date) -> dict[str, str | None]:
    """Every variable of a member in a language; None for what the member does not have.

    Args:
        member: full_name, arrears_amount, collectable_amount, past_due_days, next_due_in_days, active_loan_count,
            loan_id, branch_id, promise_date, promised_amount.
        language: es or en.
        manner: how values are written.
        as_of: the contact day.
    """

    def money(value: Any) -> str | None:
        return None if pd.isna(value) else amount_text(float(value), manner.currency, language, manner.country)

    def day(value: Any) -> str | None:
        return None if pd.isna(value) else date_text(pd.Timestamp(value).date(), language, manner.country)

    known = None if pd.isna(member["full_name"]) else " ".join(str(member["full_name"]).split())
    late = int(member["past_due_days"])
    due = None if pd.isna(member["next_due_in_days"]) else as_of + timedelta(days=int(member["next_due_in_days"]))
    count = member["active_loan_count"]
    loans = (_SEVERAL if not pd.isna(count) and count > 1 else _ONE)[language]
    days = days_text(late, language)
    return {
        "name": known or _NOBODY[language],
        "first_name": known.split(" ")[0] if known else _NOBODY[language],
        "institution": manner.institution,
        "amount": money(member["arrears_amount"] if late > 0 else member["collectable_amount"]),
        "arrears_amount": money(member["arrears_amount"]),
        "days": days,
        "situation": _situation(late, days, day(due), language),
        "due_date": day(due),
        "loans": loans,
        "loans_start": loans[:1].upper() + loans[1:],
        "loan_id": None if pd.isna(member["loan_id"]) else str(member["loan_id"]),
        "branch_id": None if pd.isna(member["branch_id"]) else str(member["branch_id"]),
        "promise_date": day(member["promise_date"]),
        "promise_amount": money(member["promised_amount"]),
        "today": day(as_of),
    }


def days_text(days: int, language: str) -> str:
    """A number of days with its noun.

    >>> days_text(1, "es"), days_text(2, "en")
    ('1 día', '2 days')
    """
    if language == "es":
        return f"{days} día" if days == 1 else f"{days} días"
    return f"{days} day" if days == 1 else f"{days} days"


def _situation(late: int, days: str, due: str | None, language: str) -> str:
    if late > 0:
        return f"con {days} de atraso" if language == "es" else f"{days} overdue"
    if due is None:
        return "que vence en estos días" if language == "es" else "due in these days"
    return f"que vence el {due}" if language == "es" else f"due on {due}"
