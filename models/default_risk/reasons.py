"""Why a loan's probability of default is what it is, in which direction, and what would change it.

Directions are exact tree SHAP values summed by group of features. What would change it is found by scoring the row
again with its arrears paid today; where that is not well defined, the group's own sentence stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from models.conditions import Condition
from models.estimators import contributions
from models.features import ALREADY_PAST_THRESHOLD, LOAN_FEATURES, encode, explain_groups, number
from models.limits import SHIPPED
from puntual.errors import ModelError
from puntual.lists.texts import LANGUAGES, money

if TYPE_CHECKING:
    from models.default_risk.score import DefaultRiskModel

REASONED_FROM = 0.1
"""Reasons are worked out for loans that owe something now or soon, and for any other at or above this probability."""
CATCH_UP = "CATCH_UP"
LEAST_FALL = 0.005
"""A change that moves the probability by less is not worth a sentence."""
MOST_LOWERING = 2
WINDOWS = (28, 91, 364)
COLUMNS = (
    "loan_id",
    "raising_codes",
    "lowering_codes",
    "change_code",
    "change_installment_count",
    "change_amount",
    "default_probability",
    "changed_probability",
)


def reasons(
    model: DefaultRiskModel,
    rows: pd.DataFrame,
    matrix: np.ndarray,
    days: np.ndarray,
    climate: np.ndarray,
    probability: np.ndarray,
) -> pd.DataFrame:
    """One row per row of the checked feature table: the columns of :data:`COLUMNS`, lists as JSON text.

    1. ``raising_codes``: at most four groups that raised the probability, strongest first.
    2. ``lowering_codes``: at most two that lowered it and whose sentence is true of the row.
    3. ``change_code``: ``CATCH_UP`` with instalments, amount and the probability after it, where paying the arrears
       today would lower it by what can be read in the percentages; else the strongest raising group that has a sentence
       of its own which is true of the row; NULL without one.

    Rows that owe nothing now or soon and are below ``REASONED_FROM`` have empty lists; those past the threshold say so.
    """
    count = len(rows)
    found = pd.DataFrame({"loan_id": rows["loan_id"].to_numpy(), "default_probability": probability})
    raising, lowering = (np.full(count, "[]", dtype=object) for _ in range(2))
    past = days >= model.settings.past_due_days
    raising[past] = json.dumps([ALREADY_PAST_THRESHOLD.code])
    due_soon = np.nan_to_num(number(LOAN_FEATURES, rows["due_next_window_amount"]), nan=0.0) > 0
    wanted = np.flatnonzero(~past & ((days > 0) | due_soon | (probability >= REASONED_FROM)))
    booster = getattr(model.targets["default"], "booster", None)
    codes: list[list[str]] = [["OVERDUE_NOW"] if late else [] for late in days[wanted] > 0]
    if booster is not None:
        values = contributions(booster, matrix[wanted], n_jobs=model.settings.n_jobs)
        codes = explain_groups(LOAN_FEATURES, values, rows.iloc[wanted])
        lowering[wanted] = [_list(tuple(one)) for one in _lowering(values, rows.iloc[wanted])]
    raising[wanted] = [_list(tuple(one)) for one in codes]
    found["raising_codes"], found["lowering_codes"] = raising, lowering
    fixed = _true_of("changes", rows.iloc[wanted])
    change = np.full(count, None, dtype=object)
    change[wanted] = [
        next((code for code in one if code in fixed and code != CATCH_UP and fixed[code][place]), None)
        for place, one in enumerate(codes)
    ]
    installments, amount, changed = (np.full(count, np.nan) for _ in range(3))
    late = wanted[days[wanted] > 0]
    after = _caught_up(model, rows.iloc[late], climate[late])
    told = [
        new <= old - LEAST_FALL and percent(new, "es") != percent(old, "es")
        for new, old in zip(after, probability[late], strict=True)
    ]
    chosen = np.array(told, dtype=bool)
    helps = late[chosen]
    changed[helps] = after[chosen]
    amount[helps] = number(LOAN_FEATURES, rows["arrears_amount"].iloc[helps])
    installments[helps] = np.fmax(number(LOAN_FEATURES, rows["past_due_installment_count"].iloc[helps]), 1)
    change[helps] = CATCH_UP
    found["change_code"], found["change_installment_count"] = change, installments
    found["change_amount"], found["changed_probability"] = amount, changed
    return found[list(COLUMNS)]


def caught_up(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as they would stand had every instalment of the loan been paid today, and nothing else changed.

    Past-due days, instalments and arrears are 0; the payment counts in what came in, in instalments, and in what fell
    short. The member's worst loan is this one only when there is no other. What the past has shown stays: late records
    do not heal in a day.
    """
    after = rows.copy()
    paid = number(LOAN_FEATURES, rows["arrears_to_installment_rate"])
    for name in ("past_due_days", "past_due_installment_count", "arrears_amount", "arrears_to_installment_rate"):
        after[name] = 0.0
    after["days_since_last_payment"] = 0.0
    for window in WINDOWS:
        after[f"paid_{window}d_rate"] = number(LOAN_FEATURES, rows[f"paid_{window}d_rate"]) + paid
        after[f"shortfall_{window}d_rate"] = number(LOAN_FEATURES, rows[f"shortfall_{window}d_rate"]) - paid
    alone = number(LOAN_FEATURES, rows["member_active_loan_count"]) <= 1
    worst = number(LOAN_FEATURES, rows["member_max_past_due_days"])
    after["member_max_past_due_days"] = np.where(alone, 0.0, worst)
    return after


def sentences(row: Mapping[str, Any], language: str, currency: str) -> list[str]:
    """What lowers the probability of a row of :func:`reasons`, then what would change it, in ``es`` or ``en``.

    >>> row = {"lowering_codes": "[]", "change_code": "CATCH_UP", "change_installment_count": 2.0,
    ...     "change_amount": 184.2, "default_probability": 0.41, "changed_probability": 0.23}
    >>> sentences(row, "es", "USD")
    ['Ponerse al día con 2 cuotas (USD 184,20) bajaría el riesgo de 41 % a 23 %.']
    """
    found = [texts()["lowers"][code][language] for code in json.loads(row["lowering_codes"])]
    code = row["change_code"]
    if code is None or code != code:
        return found
    said = texts()["changes"][code][language]
    if code != CATCH_UP:
        return [*found, said["one"]]
    count = round(row["change_installment_count"])
    sentence = said["one" if count == 1 else "many"].format(
        count=count,
        amount=money(row["change_amount"], currency, language),
        before=percent(row["default_probability"], language),
        after=percent(row["changed_probability"], language),
    )
    return [*found, sentence]


def percent(value: float, language: str) -> str:
    """A probability as the language writes it, with a decimal below ten per cent.

    >>> percent(0.234, "es"), percent(0.0234, "es"), percent(0.0234, "en")
    ('23 %', '2,3 %', '2.3%')
    """
    figure = f"{100 * value:.{0 if value >= 0.0995 else 1}f}"
    return f"{figure.replace('.', ',')} %" if language == "es" else f"{figure}%"


@cache
def texts() -> dict[str, Any]:
    """The sentences of ``data/models/default_risk_reasons.yaml``, by kind, code and language.

    Raises:
        ModelError: a sentence lacks a language, its code is not a group of features, or its condition cannot be read.
    """
    file = SHIPPED / "default_risk_reasons.yaml"
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    known = {group.code for group in LOAN_FEATURES.groups} | {CATCH_UP}
    for kind in ("lowers", "changes"):
        for code, said in content[kind].items():
            if code not in known:
                raise ModelError(f"{file}: {kind}.{code} is not a group of features; known are {sorted(known)}.")
            if set(said) - {"where"} != set(LANGUAGES):
                raise ModelError(
                    f"{file}: {kind}.{code} needs {', '.join(LANGUAGES)}, if wanted where, and nothing else."
                )
            said["where"] = [Condition.parse(text) for text in said.get("where", [])]
            unknown = sorted({name for one in said["where"] for name in one.columns} - set(LOAN_FEATURES.names))
            if unknown:
                raise ModelError(f"{file}: {kind}.{code}: where reads {unknown}, no columns of {LOAN_FEATURES.table}.")
    return content


@cache
def _list(codes: tuple[str, ...]) -> str:
    """The codes as a JSON list; a book has some thousand different ones, and a million loans."""
    return json.dumps(codes)


def _true_of(kind: str, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """By code, per row whether all that the sentence needs is so."""

    def read(name: str) -> np.ndarray:
        return number(LOAN_FEATURES, rows[name])

    return {
        code: np.logical_and.reduce([np.ones(len(rows), dtype=bool), *(one.holds(read) for one in said["where"])])
        for code, said in texts()[kind].items()
    }


def _lowering(values: np.ndarray, rows: pd.DataFrame) -> list[list[str]]:
    """The groups that lowered the score most, among those with a sentence that is true of the row."""
    codes = explain_groups(LOAN_FEATURES, -values, rows, most=len(LOAN_FEATURES.groups), uses_evidence=False)
    said = _true_of("lowers", rows)
    return [
        [code for code in one if code in said and said[code][place]][:MOST_LOWERING] for place, one in enumerate(codes)
    ]


def _caught_up(model: DefaultRiskModel, rows: pd.DataFrame, climate: np.ndarray) -> np.ndarray:
    after = caught_up(rows)
    zero = np.zeros(len(after))
    matrix = encode(LOAN_FEATURES, after, model.categories)
    return model.targets["default"].probability(matrix, zero, number(LOAN_FEATURES, after["day_of_year"]), climate)
