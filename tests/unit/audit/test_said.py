"""What is said of a decision is true by the figures that stand beside it, for every member of random days."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from puntual.audit.log import CHANNELS, log_table
from puntual.audit.weighing import Weighing
from puntual.audit.why import _Teller
from puntual.decision.decide import DecisionOutcome
from puntual.decision.explain import TIE
from tests.unit.decision.test_bands import BANDS, WIDE, reach
from tests.unit.decision.test_decide import book, in_arms, run, team
from tests.unit.decision.test_minimums import duties
from tests.unit.decision.worlds import POLICIES

EPSILON = 2 * TIE
CONTEXT = {
    "settings": {"institution": {"currency": "USD", "timezone": "America/Guayaquil"}, "decision": {}},
    "rules": [],
    "reason_texts": {},
}
GROUNDS = {
    "it brings most": "best",
    "a rule asks for this contact": "duty",
    "as on the last list:": "kept",
    "as on the last list and for its hours": "kept_hours",
    "for its hours:": "hours",
    "the plan of the whole day": "whole",
    "drawn for exploration": "drawn",
    "the written ladder": "ladder",
}


OF_THE_DECISION = {
    "EXPLORATION", "MINIMUM_DUTY", "BEST_CHANNEL", "AVOIDS_PROVISION", "KEPT_FROM_BEFORE", "BETTER_HOURS",
    "PLAN_OF_DAY", "LADDER_STEP",
}  # fmt: skip
"""Reasons of which every contact has one, whatever is said of the member besides; HIGH_GAIN_* stands for BEST_CHANNEL."""


def day(
    seed: int,
    *,
    stay: float,
    bands: dict[str, Any] | None,
    weight: float,
    owed: int,
    share: float,
    charged: bool = False,
) -> Any:
    """A day after another one: its earlier list and its decision. ``charged``: contacts bring a fee of their own."""
    inputs = book(60, seed)
    random = np.random.default_rng(seed)
    names = inputs["features"]["customer_id"].tolist()
    first = run(inputs)
    earlier = first.decisions[["customer_id", "action", "collector_id"]].assign(as_of_date=date(2026, 6, 29))
    scores = inputs["channel_scores"]
    moved = scores.assign(
        gain_amount=scores["gain_amount"] + random.normal(0, 3.0, len(scores)),
        is_supported=random.random(len(scores)) < 0.95,
        expected_amount=50.0,
        pay_probability=0.2,
    )
    rates = {hour: float(rate) for hour, rate in zip(range(7, 20), random.uniform(0.1, 0.9, 13), strict=True)}
    asked = [{"customer_id": name, "channels": '["call","visit"]'} for name in names[:owed]]
    stakes = pd.DataFrame({"customer_id": names, "roll_amount": 200.0, "enough_amount": 50.0})
    stakes = stakes.assign(enough_probability=1.0, fee_amount=6.38, fee_channels='["call","email"]')
    found = run(
        inputs | {"channel_scores": moved, "collectors": team({"daily_capacity": 6}, {"channels": "visit"})},
        earlier=earlier,
        stay_amount=stay,
        hour_bands=bands,
        reach_hours=reach("call", rates),
        hour_reach_weight=weight,
        duties=duties(*asked) if asked else None,
        exploration_share=share,
        arms=in_arms(*((name, "ladder") for name in names[-6:])) if share else None,
        **({"stakes": stakes, "provision_weight": 0.5, "fee_weight": 1.0} if charged else {}),
    )
    return earlier.set_index("customer_id")["action"], found


def rows_of(outcome: DecisionOutcome) -> list[dict[str, Any]]:
    """The rows of the log."""
    return log_table(outcome.decisions, outcome.details, {}).to_pylist()


def left(one: dict[str, Any]) -> float:
    """What a channel has left after the price of its capacity; nothing where that is not known."""
    if one["net_amount"] is None or one["price_amount"] is None:
        return -np.inf
    return one["net_amount"] - one["price_amount"]


def ahead(one: dict[str, Any]) -> float:
    return one["stay_amount"] + one["hours_amount"]


def ground_of(headline: str) -> str:
    return next(code for text, code in GROUNDS.items() if text in headline)


def hold(row: dict[str, Any], earlier: pd.Series, is_owed: bool) -> str:
    """Hold everything that is said of a row against its figures; returns on what the contact rests."""
    told = _Teller(row, CONTEXT, "en")
    codes = json.loads(row["reason_codes"])
    best_said = [code for code in codes if code == "BEST_CHANNEL" or code.startswith("HIGH_GAIN_")]
    permitted = [one for one in row[CHANNELS] if one["is_allowed"] and one["is_supported"]]
    own = OF_THE_DECISION.intersection(codes)
    if row["action"] == "none":
        assert not best_said and not own
        for one in permitted:
            said = " ".join(told.verdict(one))
            assert "chosen one" not in said
            assert ("costs more" in said) == (one["net_amount"] <= 0)
            if "worth more for other" in said:
                assert one["net_amount"] < one["price_amount"]
        return "none"
    (chosen,) = [one for one in row[CHANNELS] if one["is_chosen"]]
    mine, greatest = left(chosen), max([0.0, *(left(one) for one in permitted)])
    ground, sentence = ground_of(told.headline()), told.headline()
    better = [one for one in permitted if one is not chosen and left(one) > mine + TIE]
    if ground == "best":
        assert not better and mine >= -EPSILON
    if best_said:
        assert ground in ("best", "duty") and not better and mine >= -EPSILON and chosen["gain_amount"] > 0
        assert chosen["is_supported"]
    assert own or best_said
    if "AVOIDS_PROVISION" in own:
        assert ground == "best" and chosen["gain_amount"] <= 0
        assert chosen["provision_avoided_amount"] + chosen["fee_amount"] > chosen["cost_amount"] - EPSILON
    assert ("PLAN_OF_DAY" in codes) == (ground == "whole")
    assert (ground == "duty") == ("MINIMUM_DUTY" in codes)
    assert ("KEPT_FROM_BEFORE" in codes) == (ground == "kept")
    assert ("BETTER_HOURS" in codes) == (ground in ("hours", "kept_hours"))
    if ground == "duty":
        assert is_owed and chosen["meets_duty"]
    if ground.startswith("kept"):
        assert chosen["stay_amount"] > 0 and earlier[row["customer_id"]] == row["action"]
        assert told.money(chosen["stay_amount"]) in sentence
    if ground == "kept":
        assert greatest - mine <= chosen["stay_amount"] + EPSILON
    if ground in ("hours", "kept_hours"):
        assert mine + ahead(chosen) >= -EPSILON
        assert all(left(one) + ahead(one) <= mine + ahead(chosen) + EPSILON for one in better)
        assert any(one["hours_amount"] < chosen["hours_amount"] for one in better) or chosen["hours_amount"] > 0
    if ground in ("kept", "hours", "kept_hours", "whole"):
        lead = greatest - mine
        assert lead > 0 and (told.money(lead) in sentence or lead < 0.005)
    for one in permitted:
        said = " ".join(told.verdict(one))
        if one is chosen:
            assert ("a rule asks" in said) == (ground == "duty")
            assert ("kept from the last list" in said) == ground.startswith("kept")
            continue
        if "no more than the chosen one" in said:
            assert left(one) <= mine + EPSILON
        if "more than the chosen one" in said and "no more" not in said:
            lead = left(one) - mine
            assert lead > 0 and (told.money(lead) in said or lead < 0.005)
            if "only left for more than" in said:
                assert lead <= chosen["stay_amount"] + EPSILON
            elif "better hours" in said:
                assert lead <= ahead(chosen) - ahead(one) + EPSILON
                assert chosen["hours_amount"] > one["hours_amount"]
        if "worth more for other" in said:
            assert one["net_amount"] < one["price_amount"]
        if "costs more" in said:
            assert one["net_amount"] <= 0
        if "not one that meets" in said:
            assert ground == "duty" and not one["meets_duty"]
    return ground


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    seed=st.integers(0, 10_000),
    stay=st.sampled_from([0.0, 0.5, 3.0]),
    bands=st.sampled_from([None, BANDS, WIDE]),
    weight=st.sampled_from([0.0, 0.5, 1.0]),
    owed=st.sampled_from([0, 8]),
    share=st.sampled_from([0.0, 0.2]),
    charged=st.booleans(),
)
def test_every_sentence_of_a_random_day_is_true_by_the_figures_beside_it(
    seed, stay, bands, weight, owed, share, charged
):
    earlier, found = day(seed, stay=stay, bands=bands, weight=weight, owed=owed, share=share, charged=charged)
    asked = set(found.decisions["customer_id"].iloc[:owed])
    for row in rows_of(found):
        hold(row, earlier, row["customer_id"] in asked)


def test_each_ground_of_a_contact_occurs():
    grounds: Counter[str] = Counter()
    for seed in range(6):
        for bands in (None, WIDE):
            earlier, found = day(seed, stay=3.0, bands=bands, weight=1.0, owed=6, share=0.2)
            asked = set(found.decisions["customer_id"].iloc[:6])
            grounds.update(hold(row, earlier, row["customer_id"] in asked) for row in rows_of(found))
    assert {"best", "duty", "kept", "hours", "kept_hours", "drawn", "ladder", "none"} <= set(grounds), grounds


def test_a_contact_that_is_worth_its_fee_or_provision_alone_says_so():
    """All contacts lose by their gain; nobody of the book has another reason to be told."""
    inputs = book(40)
    names = inputs["features"]["customer_id"].tolist()
    stakes = pd.DataFrame({"customer_id": names, "roll_amount": np.nan, "enough_amount": np.nan})
    stakes = stakes.assign(enough_probability=np.nan, fee_amount=20.0, fee_channels='["call","email"]')
    low = inputs | {
        "channel_scores": inputs["channel_scores"].assign(gain_amount=-1.0, expected_amount=50.0, pay_probability=0.2),
        "features": inputs["features"].assign(
            broken_promise_count_182d=0, past_due_days=20, days_since_last_contact=5.0
        ),
    }
    found = run(low, stakes=stakes, fee_weight=1.0)
    served = found.decisions[found.decisions["action"] != "none"]
    codes = served["reason_codes"].map(json.loads)
    assert len(served) > 5 and codes.map(lambda one: one[0]).eq("AVOIDS_PROVISION").all()
    assert codes.map(len).eq(1).any(), "without it they would have had no reason at all"
    texts = yaml.safe_load((POLICIES / "reasons.yaml").read_text(encoding="utf-8"))
    assert all(texts[code][language] for code in OF_THE_DECISION for language in ("es", "en"))


def test_a_loss_is_never_said_to_bring_more_than_with_most():
    inputs = book(40)
    low = inputs | {"channel_scores": inputs["channel_scores"].assign(gain_amount=-1.0)}
    names = inputs["features"]["customer_id"].tolist()
    found = run(low, duties=duties(*({"customer_id": name} for name in names[:3])))
    served = found.decisions[found.decisions["action"] != "none"]
    assert len(served) == 3
    assert served["reason_codes"].map(json.loads).map(lambda codes: codes[0]).eq("MINIMUM_DUTY").all()
    assert not served["reason_codes"].str.contains("HIGH_GAIN|BEST_CHANNEL|LADDER_STEP").any()
    for row in rows_of(found):
        if row["action"] != "none":
            assert "a rule asks for this contact" in _Teller(row, CONTEXT, "en").headline()
            assert "una regla exige este contacto" in _Teller(row, CONTEXT, "es").headline()


@pytest.mark.parametrize("language", ["es", "en"])
def test_a_row_of_before_head_starts_were_logged_claims_nothing_that_it_cannot_know(language):
    _, found = day(3, stay=3.0, bands=None, weight=0.0, owed=6, share=0.0)
    said = Counter()
    for row in rows_of(found):
        for one in row[CHANNELS]:
            for name in ("stay_amount", "hours_amount", "meets_duty"):
                del one[name]
        if row["action"] != "none":
            said[Weighing.of(row).ground().code] += 1
        told = _Teller(row, CONTEXT, language)
        texts = [told.headline(), *(" ".join(told.verdict(one)) for one in row[CHANNELS])]
        assert not any("None" in text or "nan" in text or "{" in text for text in texts)
    assert set(said) == {"best", "duty", "whole"} and said["whole"] > 0
