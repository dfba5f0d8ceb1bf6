"""Small hand-made worlds for the decision tests: every frame with the marts' columns, one builder per fact."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from puntual.decision.holiday_calendar import HolidayCalendar, shipped_holidays
from puntual.decision.policies import PolicySet, load_policies
from puntual.decision.rules import evaluate
from puntual.paths import SEEDS

POLICIES = Path(__file__).resolve().parents[3] / "data" / "policies"
QUITO = "America/Guayaquil"
CHANNELS = ["call", "ivr", "whatsapp", "sms", "email", "visit"]
TUESDAY = date(2026, 6, 30)
SPOKEN = {"right_party", "promise", "refusal", "dispute", "callback", "replied"}

CUSTOMER_COLUMNS = [
    "customer_id",
    "customer_status_code",
    "timezone",
    "province",
    "language_code",
    "collectable_amount",
]
POINT_COLUMNS = [
    "contact_point_id",
    "customer_id",
    "kind_code",
    "value",
    "has_whatsapp",
    "latitude",
    "longitude",
    "is_valid",
    "has_consent",
    "opted_out_at",
    "updated_at",
    "consent_at",
]
EVENT_COLUMNS = [
    "interaction_id",
    "customer_id",
    "occurred_at",
    "occurred_date",
    "channel_code",
    "direction_code",
    "outcome_code",
    "is_right_party",
    "collector_id",
]
PROMISE_COLUMNS = [
    "promise_id",
    "customer_id",
    "made_at",
    "due_date",
    "promised_amount",
    "promise_status_code",
    "collector_id",
]
PAYMENT_COLUMNS = ["payment_id", "customer_id", "paid_date", "is_reversal", "reverses_payment_id"]


def at(local: str, zone: str = QUITO) -> pd.Timestamp:
    """A local time as the warehouse stores it: UTC without zone."""
    return pd.Timestamp(local).tz_localize(zone).tz_convert("UTC").tz_localize(None)


def customers(*rows: dict[str, Any]) -> pd.DataFrame:
    default = {
        "customer_id": "ana",
        "customer_status_code": "active",
        "timezone": None,
        "province": "Loja",
        "language_code": None,
        "collectable_amount": 100.0,
    }
    return pd.DataFrame([default | row for row in rows or ({},)], columns=CUSTOMER_COLUMNS).astype({"timezone": object})


def points(*rows: dict[str, Any]) -> pd.DataFrame:
    default = {
        "customer_id": "ana",
        "value": "+593990000001",
        "has_whatsapp": False,
        "latitude": None,
        "longitude": None,
        "is_valid": True,
        "has_consent": True,
        "opted_out_at": pd.NaT,
        "updated_at": pd.NaT,
        "consent_at": pd.NaT,
    }
    full = [default | {"contact_point_id": f"p{number}"} | row for number, row in enumerate(rows)]
    frame = pd.DataFrame(full, columns=POINT_COLUMNS).astype({"has_consent": object, "has_whatsapp": object})
    for column in ("opted_out_at", "updated_at", "consent_at"):
        frame[column] = pd.to_datetime(frame[column]).astype("datetime64[us]")
    return frame


def every_point(customer_id: str = "ana") -> pd.DataFrame:
    """A mobile with WhatsApp, a mailbox and an address, all valid and consented."""
    return points(
        {
            "contact_point_id": f"{customer_id}-m",
            "customer_id": customer_id,
            "kind_code": "mobile",
            "has_whatsapp": True,
        },
        {"contact_point_id": f"{customer_id}-e", "customer_id": customer_id, "kind_code": "email", "value": "a@b.ec"},
        {
            "contact_point_id": f"{customer_id}-a",
            "customer_id": customer_id,
            "kind_code": "address",
            "value": "Calle 1",
        },
    )


def events(*rows: dict[str, Any]) -> pd.DataFrame:
    default = {
        "customer_id": "ana",
        "channel_code": "call",
        "direction_code": "outbound",
        "outcome_code": "no_answer",
        "collector_id": None,
    }
    full = []
    for number, row in enumerate(rows):
        event = default | {"interaction_id": f"i{number}"} | row
        event["is_right_party"] = event["outcome_code"] in SPOKEN
        event["occurred_date"] = pd.Timestamp(event["occurred_at"]).normalize()
        full.append(event)
    frame = pd.DataFrame(full, columns=EVENT_COLUMNS)
    for column in ("occurred_at", "occurred_date"):
        frame[column] = pd.to_datetime(frame[column]).astype("datetime64[us]")
    return frame.astype({"is_right_party": bool, "collector_id": object})


def promises(*rows: dict[str, Any]) -> pd.DataFrame:
    default = {
        "customer_id": "ana",
        "promised_amount": 50.0,
        "promise_status_code": "open",
        "collector_id": None,
        "made_at": pd.Timestamp("2026-06-01"),
    }
    full = [default | {"promise_id": f"pr{number}"} | row for number, row in enumerate(rows)]
    frame = pd.DataFrame(full, columns=PROMISE_COLUMNS).astype({"collector_id": object})
    for column in ("made_at", "due_date"):
        frame[column] = pd.to_datetime(frame[column]).astype("datetime64[us]")
    return frame


def payments(*rows: dict[str, Any]) -> pd.DataFrame:
    default = {"customer_id": "ana", "is_reversal": False, "reverses_payment_id": None}
    full = [default | {"payment_id": f"pa{number}"} | row for number, row in enumerate(rows)]
    frame = pd.DataFrame(full, columns=PAYMENT_COLUMNS).astype({"is_reversal": bool, "reverses_payment_id": object})
    frame["paid_date"] = pd.to_datetime(frame["paid_date"]).astype("datetime64[us]")
    return frame


def policies(country: str = "EC", as_of: date = TUESDAY, **options: Any) -> PolicySet:
    return load_policies(POLICIES, None, country, as_of, **options)


def calendar(country: str = "EC") -> HolidayCalendar:
    return shipped_holidays(SEEDS, country)


def judge(
    *,
    who: pd.DataFrame | None = None,
    through: pd.DataFrame | None = None,
    past: pd.DataFrame | None = None,
    promised: pd.DataFrame | None = None,
    paid: pd.DataFrame | None = None,
    rules: PolicySet | None = None,
    holidays: HolidayCalendar | None = None,
    as_of: date = TUESDAY,
    timezone: str = QUITO,
    channels: list[str] | None = None,
) -> pd.DataFrame:
    """Verdicts by (customer_id, channel_code) of a world that is permitted everything unless said otherwise."""
    found = evaluate(
        customers() if who is None else who,
        every_point() if through is None else through,
        events() if past is None else past,
        promises() if promised is None else promised,
        payments() if paid is None else paid,
        policies=policies(as_of=as_of) if rules is None else rules,
        holidays=calendar() if holidays is None else holidays,
        as_of=as_of,
        timezone=timezone,
        channels=channels or CHANNELS,
    )
    return found.set_index(["customer_id", "channel_code"])
