"""Who may be given whom: agencies by past-due days and amount, members placed out, shares; nothing chosen that nobody may work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.decision.owners import OwnerRules, load_owner_rules, may_get, owner_of
from puntual.errors import RuleError
from tests.unit.decision.test_decide import book, run, team
from tests.unit.decision.worlds import POLICIES

PEOPLE = pd.DataFrame(
    {
        "past_due_days": [0, 30, 31, 90, 91],
        "arrears_amount": [0.0, 50.0, 49.99, 5000.0, np.nan],
        "product_code": ["consumer", "housing", "consumer", None, "consumer"],
    }
)


def rules(*owners: dict[str, Any]) -> OwnerRules:
    return OwnerRules.model_validate({"owners": list(owners)})


def owned(**more: Any) -> pd.DataFrame:
    """Two of the institution, two of Andina, one of Sur; calls and visits everywhere."""
    people = team(*({"daily_capacity": 5, "channels": "call,visit"} for _ in range(5)))
    return people.assign(
        kind_code=["internal", "internal", "agency", "agency", "agency"],
        agency=[None, None, "Andina", "Andina", "Sur"],
        **more,
    )


def test_both_ends_of_a_condition_count_and_a_missing_figure_meets_none():
    found = may_get(PEOPLE, ["Andina", "internal"], rules({"owner": "Andina", "past_due_days": {"min": 31, "max": 90}}))
    assert found[:, 0].tolist() == [False, False, True, True, False]
    assert found[:, 1].all()
    amount = may_get(PEOPLE, ["Andina"], rules({"owner": "Andina", "arrears_amount": {"min": 50, "max": 5000}}))
    assert amount[:, 0].tolist() == [False, True, False, True, False]
    product = may_get(PEOPLE, ["Andina"], rules({"owner": "Andina", "products": ["consumer"]}))
    assert product[:, 0].tolist() == [True, False, True, False, True]


def test_who_is_placed_out_is_on_no_other_list():
    out = rules({"owner": "Andina", "past_due_days": {"min": 90}, "placed_out": True})
    found = may_get(PEOPLE, ["Andina", "Sur", "internal"], out)
    assert found.tolist() == [[False, True, True]] * 3 + [[True, False, False]] * 2


def test_every_agency_without_an_entry_follows_that_of_agencies():
    named = rules({"owner": "agency", "past_due_days": {"min": 91}}, {"owner": "Sur", "past_due_days": {"min": 31}})
    found = may_get(PEOPLE, ["Andina", "Sur", "internal"], named)
    assert found.sum(axis=0).tolist() == [1, 3, 5]
    assert owner_of(owned()).tolist() == ["internal", "internal", "Andina", "Andina", "Sur"]


@given(st.integers(0, 10_000), st.sampled_from([0, 10, 31, 60, 400]), st.booleans(), st.sampled_from([None, 0.0, 0.2]))
@settings(max_examples=8, deadline=None)
def test_the_day_keeps_the_rules_of_owners(seed: int, days: int, placed_out: bool, share: float | None):
    inputs = book(60, seed=seed % 7) | {"collectors": owned()}
    rule = {"owner": "Andina", "past_due_days": {"min": days}, "placed_out": placed_out, "max_share": share}
    found = run(
        inputs, owners=rules(rule, {"owner": "Sur", "past_due_days": {"max": 30}}), seed=seed, exploration_share=0.1
    )
    rows = found.decisions[found.decisions["action"].isin(["call", "visit"])]
    owner = rows["collector_id"].map(owner_of(inputs["collectors"]))
    assert owner.notna().all() and not rows["customer_id"].duplicated().any()
    late = rows["past_due_days"] >= days
    assert (late | (owner != "Andina")).all()
    assert (rows.loc[owner == "Sur", "past_due_days"] <= 30).all()
    if placed_out:
        assert (owner[late] == "Andina").all()
    if share is not None:
        assert (owner == "Andina").sum() <= share * 25
    idle = found.decisions[found.decisions["action"] == "none"]
    assert (idle["blocked_by"] != "[]").all()
    assert (found.prices["used_count"] <= found.prices["capacity_count"]).all()
    assert not found.prices["zone"].astype(str).str.contains("\x1f").any()


def test_rules_that_restrict_nobody_change_nothing():
    inputs = book(80) | {"collectors": owned()}
    free, ruled = run(inputs), run(inputs, owners=rules({"owner": "Andina", "past_due_days": {"min": 0}}))
    pd.testing.assert_series_equal(free.decisions["action"], ruled.decisions["action"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("owners: [{owner: A, past_due_days: {min: 9, max: 3}}]", "owners.0.past_due_days: .*min 9 is above max 3"),
        ("owners: [{owner: A}, {owner: A}]", "A has two entries"),
        ("owners: [{owner: A, dpd: 3}]", "owners.0.dpd"),
        ("owners: [{owner: A, max_share: 2}]", "owners.0.max_share"),
        ("owners: [", "cannot be read"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, message: str):
    (tmp_path / "owners.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RuleError, match=message):
        load_owner_rules(POLICIES, tmp_path)


def test_the_shipped_file_restricts_nobody():
    assert load_owner_rules(POLICIES).owners == ()
