"""Small made-up worlds in the shape of the feature and label tables, with the truth beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.datasets import channel_training_dates, risk_training_dates
from models.features import CONTACT_CHANNELS, CUSTOMER_FEATURES, LOAN_FEATURES, FeatureSpec

AS_OF = date(2026, 6, 30)


@dataclass(frozen=True)
class World:
    """Features and labels of past dates, features of today, and what only the world knows about today."""

    as_of: date
    features: pd.DataFrame
    labels: pd.DataFrame
    today: pd.DataFrame
    truth: pd.DataFrame


def blank(spec: FeatureSpec, rows: int, random: np.random.Generator) -> pd.DataFrame:
    """A frame with every column of the table: numbers are noise, booleans are drawn, texts have three values."""
    columns: dict[str, object] = {}
    for column in spec.columns:
        if column.type == "number":
            columns[column.name] = random.gamma(2.0, 1.0, rows).round(3)
        elif column.type == "boolean":
            columns[column.name] = random.random(rows) < 0.5
        else:
            columns[column.name] = random.choice(["a", "b", "c"], rows)
    return pd.DataFrame(columns)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _loan_rows(day: date, members: int, willingness: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    frame = blank(LOAN_FEATURES, members, random)
    frame["as_of_date"] = pd.Timestamp(day)
    frame["customer_id"] = [f"C{i:06d}" for i in range(members)]
    frame["loan_id"] = [f"L{i:06d}" for i in range(members)]
    late = random.random(members) < _logistic(-1.2 - willingness)
    frame["past_due_days"] = np.where(late, random.integers(1, 120, members), 0)
    frame["arrears_amount"] = np.where(late, 50.0 * (1 + frame["past_due_days"] // 30), 0.0)
    frame["broken_promise_count_182d"] = random.poisson(np.exp(-0.5 - 0.8 * willingness))
    frame["on_time_rate_364d"] = _logistic(willingness + random.normal(0, 0.5, members))
    frame["max_late_days_91d"] = np.maximum(frame["past_due_days"], random.poisson(8 * np.exp(-willingness)))
    return frame


@pytest.fixture(scope="session")
def loan_world() -> Callable[..., World]:
    """Builder of loan worlds: default falls with the member's willingness and rises with past-due days."""

    def build(members: int = 1500, history_start: date = date(2024, 7, 1), seed: int = 0) -> World:
        random = np.random.default_rng(seed)
        willingness = random.normal(0, 1, members)
        frames, labels = [], []
        for day in risk_training_dates(AS_OF, 182, history_start):
            rows = _loan_rows(day, members, willingness, random)
            rows["is_score"], rows["is_risk_training"] = False, True
            frames.append(rows)
            labels.append(_loan_labels(rows, willingness, random))
        today = _loan_rows(AS_OF, members, willingness, random)
        today["is_score"], today["is_risk_training"] = True, False
        truth = pd.DataFrame({"loan_id": today["loan_id"], "p": _loan_truth(today, willingness, "default")})
        empty = [_loan_rows(AS_OF, 0, willingness[:0], random)]
        return World(
            AS_OF,
            pd.concat([*frames, *([] if frames else empty)], ignore_index=True),
            pd.concat(
                [*labels, *([] if labels else [_loan_labels(empty[0], willingness[:0], random)])], ignore_index=True
            ),
            today,
            truth,
        )

    return build


def _loan_truth(rows: pd.DataFrame, willingness: np.ndarray, target: str) -> np.ndarray:
    level = -3.2 if target == "default" else -2.2
    return _logistic(level - 1.2 * willingness + 0.03 * rows["past_due_days"].to_numpy())


def _loan_labels(rows: pd.DataFrame, willingness: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    days = rows["past_due_days"]
    return pd.DataFrame(
        {
            "as_of_date": rows["as_of_date"],
            "loan_id": rows["loan_id"],
            "is_below_threshold": days < 90,
            "is_default": random.random(len(rows)) < _loan_truth(rows, willingness, "default"),
            "is_matured": True,
            "is_below_early": days < 30,
            "is_early_default": random.random(len(rows)) < _loan_truth(rows, willingness, "early"),
            "is_early_matured": True,
        }
    )


EFFECT = {"call": 1.4, "ivr": 0.1, "whatsapp": 1.0, "sms": 0.5, "email": 0.1, "visit": 1.8}
REACH = {"call": 0.4, "ivr": 0.3, "whatsapp": 0.6, "sms": 0.5, "email": 0.2, "visit": 0.6}


def _customer_rows(day: date, members: int, random: np.random.Generator) -> pd.DataFrame:
    frame = blank(CUSTOMER_FEATURES, members, random)
    frame["as_of_date"] = pd.Timestamp(day)
    frame["customer_id"] = [f"C{i:06d}" for i in range(members)]
    frame["is_eligible"] = True
    frame["past_due_days"] = random.integers(0, 90, members)
    frame["installment_amount"] = random.gamma(4.0, 30.0, members).round(2) + 20
    frame["collectable_amount"] = (frame["installment_amount"] * random.uniform(0.5, 3, members)).round(2)
    frame["on_time_rate_364d"] = random.random(members).round(4)
    for channel in CONTACT_CHANNELS:
        frame[f"{channel}_contact_rate_364d"] = random.random(members).round(4)
    return frame


def _customer_truth(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Log odds when left alone, expected amount, reach and shift of the log odds if reached (columns: channels).

    The sure payers pay anyway and are reached easily; the middle of the book is where a contact helps.
    """
    record = rows["on_time_rate_364d"].to_numpy()
    alone = -3.0 + 4.5 * record
    amount = np.minimum(rows["collectable_amount"], rows["installment_amount"]).to_numpy()
    middle = np.exp(-(((record - 0.45) / 0.22) ** 2))
    reach = np.column_stack(
        [
            np.clip(REACH[c] * (0.4 + 1.2 * rows[f"{c}_contact_rate_364d"].to_numpy()), 0.02, 0.95)
            for c in CONTACT_CHANNELS
        ]
    )
    shift = np.column_stack([EFFECT[c] * 1.6 * middle - 0.1 for c in CONTACT_CHANNELS])
    return alone, amount, reach, shift


@pytest.fixture(scope="session")
def contact_world() -> Callable[..., World]:
    """Builder of contact worlds: the past sought likely payers; what a contact adds is largest in the middle."""

    def build(members: int = 2500, weeks: int = 20, seed: int = 0, logged_weeks: int = 8) -> World:
        random = np.random.default_rng(seed)
        frames, labels = [], []
        for number, day in enumerate(channel_training_dates(AS_OF, weeks=weeks)):
            rows = _customer_rows(day, members, random)
            rows["is_score"], rows["is_channel_training"] = False, True
            alone, amount, reach, shift = _customer_truth(rows)
            liking = 0.8 * rows["on_time_rate_364d"].to_numpy()[:, None] * np.array([2.0, 0.5, 1.5, 1.0, 0.2, -0.5])
            weight = np.exp(np.column_stack([np.full(members, 1.2), liking - 0.6]))
            chance = weight / weight.sum(axis=1, keepdims=True)
            choice = (random.random(members)[:, None] > chance.cumsum(axis=1)).sum(axis=1).clip(
                0, len(CONTACT_CHANNELS)
            ) - 1
            place = np.maximum(choice, 0)
            index = np.arange(members)
            reached = (choice >= 0) & (random.random(members) < reach[index, place])
            paid = random.random(members) < _logistic(alone + np.where(reached, shift[index, place], 0.0))
            logged = (choice >= 0) & (number >= weeks - logged_weeks)
            frames.append(rows)
            labels.append(
                pd.DataFrame(
                    {
                        "as_of_date": rows["as_of_date"],
                        "customer_id": rows["customer_id"],
                        "channel_code": np.where(choice < 0, "none", np.array(CONTACT_CHANNELS, dtype=object)[place]),
                        "contacted_date": rows["as_of_date"] + pd.Timedelta(days=1),
                        "was_reached": reached,
                        "contact_count": (choice >= 0).astype(int),
                        "propensity": np.where(logged, chance[index, choice + 1], np.nan),
                        "paid_7d_amount": np.where(paid, (amount * random.uniform(0.6, 1.4, members)).round(2), 0.0),
                        "has_paid_7d": paid,
                        "is_matured": True,
                    }
                )
            )
        today = _customer_rows(AS_OF, members, random)
        today["is_score"], today["is_channel_training"] = True, False
        alone, amount, reach, shift = _customer_truth(today)
        gain = reach * (_logistic(alone[:, None] + shift) - _logistic(alone)[:, None]) * amount[:, None]
        truth = pd.DataFrame(gain, columns=list(CONTACT_CHANNELS)).assign(customer_id=today["customer_id"])
        return World(AS_OF, pd.concat(frames, ignore_index=True), pd.concat(labels, ignore_index=True), today, truth)

    return build
