"""The engine and the checker, written apart, agree on random people in five countries under both readings."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from puntual.decision.checker import check
from puntual.decision.policies import CHANNELS, PolicySet, load_policies
from puntual.decision.rules import evaluate
from tests.unit.decision import worlds

PEOPLE = 120
OFFERED = ["call", "ivr", "whatsapp", "sms", "email", "visit"]
OUTCOMES = [
    "no_answer",
    "right_party",
    "promise",
    "callback",
    "sent",
    "read",
    "replied",
    "complaint",
    "dispute",
    "opt_out",
]
ZONES = {
    "EC": ("America/Guayaquil", ["America/Guayaquil", "Pacific/Galapagos"]),
    "MX": ("America/Mexico_City", ["America/Tijuana", "America/Mexico_City", "America/Cancun"]),
    "CO": ("America/Bogota", ["America/Bogota"]),
    "CL": ("America/Santiago", ["America/Santiago", "Pacific/Easter"]),
    "PE": ("America/Lima", ["America/Lima", "Europe/Madrid"]),
}
# ordinary days, ISO week 53, clock changes of Chile, a Saturday, a Sunday, holidays
DAYS = [
    date(2026, 6, 30),
    date(2026, 12, 31),
    date(2027, 1, 2),
    date(2026, 9, 7),
    date(2026, 4, 6),
    date(2026, 8, 10),
    date(2026, 3, 1),
]


def world(random: np.random.Generator, as_of: date, zones: list[str]) -> dict[str, pd.DataFrame]:
    names = [f"c{number:03d}" for number in range(PEOPLE)]

    def pick(values, size=PEOPLE, p=None):
        picked = random.choice(np.arange(len(values)), size, p=p)
        return [values[number] for number in picked]

    statuses = pick(
        ["active", "hardship", "dispute", "deceased", "strange", None], p=[0.9, 0.04, 0.02, 0.02, 0.01, 0.01]
    )
    people = pd.DataFrame(
        {
            "customer_id": names,
            "customer_status_code": statuses,
            "timezone": pd.Series(
                pick([*zones, None, "Mars/Base"], p=[0.9 / len(zones)] * len(zones) + [0.08, 0.02]), dtype=object
            ),
            "province": "Loja",
            "language_code": None,
            "collectable_amount": [round(float(value), 2) for value in random.gamma(1.5, 40, PEOPLE)],
        }
    )
    size = PEOPLE * 3
    noon = pd.Timestamp(as_of) + pd.Timedelta(hours=17)

    def moments(count: int, days: int):
        return [noon - pd.Timedelta(minutes=int(minute)) for minute in random.integers(-600, days * 24 * 60, count)]

    points = pd.DataFrame(
        {
            "contact_point_id": [f"p{number:04d}" for number in range(size)],
            "customer_id": pick(names, size),
            "kind_code": pick(["mobile", "mobile", "landline", "email", "address"], size),
            "value": "x",
            "has_whatsapp": pd.Series(pick([True, True, False, None], size), dtype=object),
            "latitude": None,
            "longitude": None,
            "is_valid": pick([True, True, True, False], size),
            "has_consent": pd.Series(pick([True, True, True, True, False, None], size), dtype=object),
            "opted_out_at": pd.Series(
                [
                    moment if chance < 0.1 else pd.NaT
                    for moment, chance in zip(moments(size, 5), random.random(size), strict=True)
                ]
            ),
            "updated_at": pd.Series(moments(size, 400)),
            "consent_at": pd.Series(
                [
                    moment if chance < 0.3 else pd.NaT
                    for moment, chance in zip(moments(size, 5), random.random(size), strict=True)
                ]
            ),
        }
    )
    count = PEOPLE * 3
    happened = pd.DataFrame(
        {
            "interaction_id": [f"i{number}" for number in range(count)],
            "customer_id": pick(names, count),
            "occurred_at": moments(count, 36),
            "channel_code": pick(list(CHANNELS), count),
            "direction_code": pick(["outbound", "outbound", "outbound", "inbound"], count),
            "outcome_code": pick(OUTCOMES, count, p=[0.38, 0.08, 0.04, 0.04, 0.25, 0.1, 0.05, 0.02, 0.02, 0.02]),
            "collector_id": None,
        }
    )
    happened["is_right_party"] = happened["outcome_code"].isin(worlds.SPOKEN)
    happened["occurred_date"] = happened["occurred_at"].dt.normalize()
    promised = worlds.promises(
        *(
            {
                "customer_id": names[random.integers(PEOPLE)],
                "due_date": pd.Timestamp(as_of) + timedelta(days=int(random.integers(-5, 12))),
                "promise_status_code": ["open", "kept", "broken"][random.integers(3)],
            }
            for _ in range(12)
        )
    )
    paid = [
        {
            "customer_id": names[random.integers(PEOPLE)],
            "paid_date": pd.Timestamp(as_of) - timedelta(days=int(random.integers(-1, 6))),
        }
        for _ in range(30)
    ]
    undone = [
        {
            **paid[number],
            "is_reversal": True,
            "reverses_payment_id": f"pa{number}",
            "paid_date": pd.Timestamp(as_of) - timedelta(days=int(random.integers(-1, 3))),
        }
        for number in range(6)
    ]
    return {
        "customers": people,
        "contact_points": points,
        "interactions": happened,
        "promises": promised,
        "payments": worlds.payments(*paid, *undone),
    }


def as_decisions(verdicts: pd.DataFrame, channel: str, as_of: date) -> pd.DataFrame:
    """Everybody contacted through one channel, in the hours of the verdict or, where blocked, around noon in UTC-5."""
    mine = verdicts[verdicts["channel_code"] == channel]
    noon = pd.Timestamp(as_of) + pd.Timedelta(hours=17)
    return pd.DataFrame(
        {
            "customer_id": mine["customer_id"].to_numpy(),
            "action": channel,
            "window_start": mine["window_start"].fillna(noon).to_numpy(),
            "window_end": mine["window_end"].fillna(noon + pd.Timedelta(minutes=30)).to_numpy(),
            "collector_id": "boss" if channel in {"call", "visit"} else None,
            "propensity": 1.0,
        }
    )


BOSS = pd.DataFrame(
    {
        "collector_id": ["boss"],
        "full_name": ["Boss"],
        "channels": ["call,visit"],
        "zone": [None],
        "languages": [None],
        "daily_capacity": [10_000],
        "active_from": [pd.NaT],
        "active_to": [pd.NaT],
    }
)


@pytest.mark.parametrize("reading", ["strict_default", "alternative_reading"])
@pytest.mark.parametrize("country", list(ZONES))
def test_what_one_blocks_the_other_finds(country: str, reading: str):
    office, zones = ZONES[country]
    holidays = worlds.calendar(country)
    seed = sum(map(ord, country + reading))
    allowed = compared = 0
    for number, as_of in enumerate(DAYS):
        frames = world(np.random.default_rng([seed, number]), as_of, zones)
        rules: PolicySet = load_policies(worlds.POLICIES, None, country, as_of, reading=reading)
        verdicts = evaluate(
            *frames.values(), policies=rules, holidays=holidays, as_of=as_of, timezone=office, channels=OFFERED
        )
        for channel in OFFERED:
            decisions = as_decisions(verdicts, channel, as_of)
            found = check(
                decisions,
                features=frames["customers"],
                **frames,
                collectors=BOSS,
                policy_files=rules.files,
                holidays=holidays,
                daily_capacity={},
                country=country,
                currency="USD",
                timezone=office,
                reading=reading,
                as_of=as_of,
            )
            by_checker = {text.split(" ")[0] for text in found}
            mine = verdicts[verdicts["channel_code"] == channel]
            by_engine = set(mine.loc[~mine["is_allowed"], "customer_id"])
            assert by_checker == by_engine, f"{country} {as_of} {channel}: {by_checker ^ by_engine}"
            good = mine[mine["is_allowed"]]
            allowed += len(good)
            compared += len(mine)
            again = check(
                decisions[decisions["customer_id"].isin(good["customer_id"])],
                features=frames["customers"],
                **frames,
                collectors=BOSS,
                policy_files=rules.files,
                holidays=holidays,
                daily_capacity={},
                country=country,
                currency="USD",
                timezone=office,
                reading=reading,
                as_of=as_of,
                contact_point_ids=dict(zip(good["customer_id"], good["contact_point_id"], strict=True)),
            )
            assert again == []
    assert compared == len(DAYS) * len(OFFERED) * PEOPLE
    assert allowed > 0


@pytest.mark.parametrize("country", ["EC", "CO", "CL"])
def test_the_earliest_moment_is_the_first_that_is_permitted(country: str):
    """Asked again on each later day with the same past, a member is blocked until that day and allowed on it."""
    office, zones = ZONES[country]
    holidays = worlds.calendar(country)
    start = date(2026, 6, 26)
    frames = world(np.random.default_rng([7, ord(country[0])]), start, zones[:1])
    # what is dated after the first day would be news on a later one
    frames["interactions"] = frames["interactions"][frames["interactions"]["occurred_at"] < pd.Timestamp(start)]
    frames["contact_points"] = frames["contact_points"].assign(opted_out_at=pd.NaT, consent_at=pd.NaT)
    frames["payments"] = frames["payments"][frames["payments"]["paid_date"] <= pd.Timestamp(start)]
    first = None
    for later in range(14):
        day = start + timedelta(days=later)
        rules = load_policies(worlds.POLICIES, None, country, day)
        found = evaluate(
            *frames.values(), policies=rules, holidays=holidays, as_of=day, timezone=office, channels=OFFERED
        )
        if first is None:
            first = found
        promised = first["earliest_permitted_at"].dt.tz_localize("UTC").dt.tz_convert(zones[0]).dt.date
        due = promised.notna() & (promised <= day)
        still_open = found["is_allowed"] | (found["blocked_by"].str.contains("/hours"))
        assert still_open[due].all()
        early = promised.isna() | (promised > day)
        assert not found["is_allowed"][early].any()
        on_the_day = promised == day
        assert found["is_allowed"][on_the_day].all()
        assert (found["window_start"][on_the_day] == first["earliest_permitted_at"][on_the_day]).all()
