"""Who may be given whom: agencies by past-due days and amount, members placed out, shares; nothing chosen that nobody may work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.decision.checker import check
from puntual.decision.owners import OwnerRules, load_owner_rules, may_get, owner_of
from puntual.errors import RuleError
from tests.unit.decision.test_decide import LIMITS, book, run, team
from tests.unit.decision.worlds import POLICIES, QUITO, TUESDAY, calendar, policies

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


def test_who_is_placed_out_with_an_agency_that_is_not_at_work_is_on_no_list():
    out = rules({"owner": "Andina", "past_due_days": {"min": 90}, "placed_out": True})
    assert may_get(PEOPLE, ["Sur", "internal"], out).sum(axis=1).tolist() == [2, 2, 2, 0, 0]
    inputs = book(40)
    with pytest.raises(RuleError, match="places members out with Andino, and no collector is theirs"):
        run(inputs | {"collectors": owned()}, owners=rules({"owner": "Andino", "placed_out": True}))


OWNERS: list[dict[str, Any]] = [
    {"owner": "Andina", "past_due_days": {"min": 31, "max": 100}, "arrears_amount": {"min": 5, "max": 400}},
    {"owner": "Sur", "products": ["consumer"], "past_due_days": {"min": 70}, "placed_out": True},
    {"owner": "internal", "arrears_amount": {"max": 200}, "segments": ["hardship", "restricted"], "max_share": 0.3},
]
LOOSER: dict[str, tuple[int, dict[str, Any], str]] = {
    "past due days from": (0, {"past_due_days": {"max": 100}}, r"Andina: past_due_days \d+ is not within 31 to 100"),
    "past due days to": (0, {"past_due_days": {"min": 31}}, r"Andina: past_due_days \d+ is not within 31 to 100"),
    "amount from": (0, {"arrears_amount": {"max": 400}}, r"Andina: arrears_amount [\d.]+ is not within 5 to 400"),
    "amount to": (0, {"arrears_amount": {"min": 5}}, r"Andina: arrears_amount [\d.]+ is not within 5 to 400"),
    "products": (1, {"products": None}, r"Sur: product \w+ is none of consumer"),
    "placed out": (1, {"placed_out": False}, r"Sur: the member is placed out with them alone"),
    "segments": (2, {"segments": None}, r"internal: the member is in none of the segments hardship, restricted"),
    "share": (2, {"max_share": None}, r"internal: at most 0.3 of the 50"),
    "an entry of one's own": (2, {"owner": "nobody"}, r"internal: (arrears_amount|at most|the member)"),
}


def ruled_world(seed: int = 2) -> dict[str, Any]:
    """A book whose every condition of :data:`OWNERS` decides about somebody."""
    inputs = book(120, seed=seed) | {"collectors": owned(daily_capacity=10)}
    random = np.random.default_rng(seed)
    inputs["features"]["product_code"] = random.choice(["consumer", "housing"], 120)
    inputs["features"]["arrears_amount"] = random.choice([1.0, 100.0, 300.0, 600.0], 120)
    names = inputs["features"]["customer_id"]
    codes = random.choice(["hardship", "restricted", "preventive"], 120, p=[0.6, 0.3, 0.1])
    # some belong to two
    both = pd.DataFrame({"customer_id": names[:20], "segment_code": "preventive"})
    inputs["segments"] = pd.concat([pd.DataFrame({"customer_id": names, "segment_code": codes}), both])
    inputs["channel_scores"]["gain_amount"] = np.where(inputs["channel_scores"]["channel_code"] == "call", 50.0, 0.0)
    return inputs


def broken(inputs: dict[str, Any], decided: list[dict[str, Any]], file: Path) -> list[str]:
    """What the checker finds by the rules of ``file`` in a list that was decided by others."""
    outcome = run(inputs, owners=rules(*decided))
    kept = {name: frame for name, frame in inputs.items() if name != "channel_scores"}
    return check(
        outcome.decisions, **kept, policy_files=policies().files, holidays=calendar(), daily_capacity=LIMITS,
        country="EC", currency="USD", timezone=QUITO, reading="strict_default", as_of=TUESDAY, owners_file=file,
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "owners.yaml"
    written.write_text(yaml.safe_dump({"id": "OWNERS", "version": 1, "owners": OWNERS}), encoding="utf-8")
    return written


def test_the_checker_agrees_with_a_list_that_keeps_the_rules_of_owners(file: Path):
    for seed in range(3):
        assert broken(ruled_world(seed), OWNERS, file) == []
    every_agency = [{"owner": "agency", "past_due_days": {"min": 60}, "placed_out": True}]
    file.write_text(yaml.safe_dump({"owners": every_agency}), encoding="utf-8")
    assert broken(ruled_world(), every_agency, file) == []
    late = broken(ruled_world(), [every_agency[0] | {"past_due_days": {"min": 30}}], file)
    assert late and all("owners.yaml, agency: past_due_days" in line for line in late)


@pytest.mark.parametrize("changed", LOOSER)
def test_every_rule_of_owners_that_the_engine_overlooks_is_found(changed: str, file: Path):
    """The engine decides with one rule of owners loosened, the checker by the file."""
    place, less, message = LOOSER[changed]
    loosened = [dict(entry) for entry in OWNERS]
    loosened[place] |= less
    found = broken(ruled_world(), loosened, file)
    assert found, "the world has nobody whom the rule protects"
    assert any(re.search(message, line) for line in found), found[:3]


@pytest.mark.parametrize("seed", range(4))
def test_a_contact_handed_to_another_owner_is_found(seed: int, file: Path):
    """Each contact moved to a collector of every other owner: found just where the rules say no."""
    inputs = ruled_world(seed)
    outcome = run(inputs, owners=rules(*OWNERS))
    owner = owner_of(inputs["collectors"])
    features = inputs["features"].set_index("customer_id")
    names = sorted(set(owner))
    by_owner = {name: owner.index[owner == name][0] for name in names}
    rows = outcome.decisions[outcome.decisions["collector_id"].notna()].head(12)
    people = features.loc[rows["customer_id"]].reset_index()
    allowed = may_get(people, names, rules(*OWNERS), inputs["segments"])
    kept = {name: frame for name, frame in inputs.items() if name != "channel_scores"}
    for number, (index, row) in enumerate(rows.iterrows()):
        for position, name in enumerate(names):
            moved = outcome.decisions.copy()
            moved.loc[index, "collector_id"] = by_owner[name]
            found = check(
                moved, **kept, policy_files=[], holidays=calendar(), daily_capacity=LIMITS, country="EC",
                currency="USD", timezone=QUITO, reading="strict_default", as_of=TUESDAY, owners_file=file,
            )  # fmt: skip
            mine = [line for line in found if line.startswith(row["customer_id"]) and "owners.yaml" in line]
            assert bool(mine) == (not allowed[number, position]), (row["customer_id"], name, mine)


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
