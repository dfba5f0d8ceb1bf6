"""Segments: what a file may say, who belongs where, that the shipped set is one each, and how members move."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from models.protected import protected
from puntual.paths import POLICIES
from puntual.segments.data import CampaignDataError
from puntual.segments.members import members_before, members_of, segment_frame
from puntual.segments.migration import OUTSIDE, migration, sizes
from puntual.segments.registry import Segments, declared_columns, load_segments

DAY = date(2026, 6, 30)
SHIPPED = load_segments(POLICIES)
NEUTRAL: dict[str, Any] = {
    "text": "x", "bigint": 0, "double precision": 0.0, "boolean": False, "numeric(18,2)": 0.0, "date": DAY,
}  # fmt: skip


def people(*rows: dict[str, Any]) -> pd.DataFrame:
    """Members with neutral values where a row says nothing."""
    default = {name: NEUTRAL[kind] for name, kind in declared_columns().items()} | {"customer_status_code": "active"}
    return pd.DataFrame([default | {"customer_id": f"m{number:03d}"} | row for number, row in enumerate(rows)])


def own(tmp_path: Path, **one: Any) -> Segments:
    content = {"id": "SEGMENTS", "sets": [one]}
    (tmp_path / "segments.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_segments(POLICIES, tmp_path)


def set_of(*conditions: str, **more: Any) -> dict[str, Any]:
    listed = [{"code": f"s{at}", "name": {"es": "x", "en": "x"}, "when": when} for at, when in enumerate(conditions)]
    flags = {"exclusive": True, "exhaustive": True}
    return {"id": "mine", "version": 1, "name": {"es": "x", "en": "x"}, "segments": listed} | flags | more


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("past_due_day > 3", "past_due_day is not a known column. Did you mean next_due_in_days or past_due_days"),
        ("customer_id in (select customer_id from x)", "a subquery"),
        ("read_text('/etc/passwd') = 'x'", r"may not use read_text\(\)"),
        ("getenv('HOME') = 'x'", r"may not use getenv\(\)"),
        ("random() < 0.5", r"may not use random\(\)"),
        ("row_number() over () = 1", "a window function"),
        ("past_due_days > 3; drop table members", "one condition|not a condition"),
        ("past_due_days > 3 union select 1", "one condition|not a condition"),
        ("past_due_days", "it is a value and no condition"),
        ("past_due_days > 'much'", "Could not convert"),
        ("is_exploration", "is_exploration"),
        ("propensity < 0.5", "propensity"),
        ("arm_code = 'a'", "arm_code"),
    ],
)
def test_a_condition_is_one_condition_on_the_declared_columns(when, said, tmp_path):
    with pytest.raises(CampaignDataError, match=said) as refused:
        own(tmp_path, **set_of(when))
    assert str(tmp_path / "segments.yaml") in str(refused.value)
    assert "sets.mine.s0.when" in str(refused.value)


def test_no_protected_attribute_can_be_named():
    assert not protected(declared_columns())


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"customer_status_code": "dispute", "past_due_days": 12}, "restricted"),
        ({"customer_status_code": None, "past_due_days": 12}, "restricted"),
        ({"customer_status_code": "hardship", "past_due_days": 0}, "hardship"),
        ({"past_due_days": 0, "exposure_share": 1.0}, "preventive"),
        ({"past_due_days": 1, "exposure_share": 0.95}, "large_exposure"),
        ({"past_due_days": 1, "exposure_share": 0.94, "broken_promise_count_182d": 1}, "broken_promise"),
        ({"past_due_days": 30, "on_time_rate_364d": 0.8}, "early_good_payer"),
        ({"past_due_days": 30, "on_time_rate_364d": 0.79, "max_late_days_182d": 30}, "early_forgetful"),
        ({"past_due_days": 1, "on_time_rate_364d": None, "max_late_days_182d": None}, "early_forgetful"),
        ({"past_due_days": 30, "on_time_rate_364d": 0.79, "max_late_days_182d": 31}, "early_at_risk"),
        ({"past_due_days": 31, "days_since_last_contact": 60}, "late_reachable"),
        ({"past_due_days": 31, "days_since_last_contact": 61}, "late_hard_to_reach"),
        ({"past_due_days": 400, "days_since_last_contact": None}, "late_hard_to_reach"),
    ],
)
def test_the_shipped_segments_on_their_borders(row, code):
    found = members_of(SHIPPED, people(row), DAY)
    mine = found.members[found.members["set_id"] == "management"]
    assert mine["segment_code"].tolist() == [code]
    assert found.alarms == []


statuses = st.sampled_from([None, "active", "hardship", "dispute", "deceased", "new_code"])
rate = st.none() | st.floats(0, 1)
count = st.integers(0, 3)
days = st.integers(0, 400)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "customer_status_code": statuses, "past_due_days": st.sampled_from([0, 1, 29, 30, 31, 60]) | days,
            "exposure_share": st.sampled_from([0.0, 0.9499, 0.95, 1.0]), "broken_promise_count_182d": count,
            "on_time_rate_364d": rate, "max_late_days_182d": st.none() | days,
            "days_since_last_contact": st.none() | st.sampled_from([59, 60, 61]) | days,
        }
    ),
    min_size=1, max_size=40,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(rows)
def test_the_shipped_set_puts_everybody_into_exactly_one_segment(given_rows):
    found = members_of(SHIPPED, people(*given_rows), DAY)
    mine = found.members[found.members["set_id"] == "management"]
    assert found.alarms == []
    assert len(mine) == len(given_rows) == mine["customer_id"].nunique()
    assert mine["segment_code"].notna().all()


def test_what_a_set_does_not_keep_is_an_alarm_with_number_and_examples(tmp_path):
    segments = own(tmp_path, **set_of("past_due_days > 5", "past_due_days > 10"))
    found = members_of(segments, people(*({"past_due_days": late} for late in (3, 7, 11, 12))), DAY)
    overlap, gap = found.alarms
    assert (overlap["alarm_code"], overlap["member_count"], overlap["examples"]) == ("overlap", 2, ["m002", "m003"])
    assert overlap["segment_codes"] == ["s0", "s1"]
    assert (gap["alarm_code"], gap["member_count"], gap["examples"]) == ("gap", 1, ["m000"])
    mine = found.members[found.members["set_id"] == "mine"]
    assert mine["segment_code"].tolist() == [None, "s0", "s0", "s0"]  # the first as written, or none
    assert "m000" in gap["text_es"] and "1 members are in none" in gap["text_en"]


def test_a_set_may_stop_the_run_instead(tmp_path):
    segments = own(tmp_path, **set_of("past_due_days > 5", on_violation="stop"))
    with pytest.raises(CampaignDataError, match=r"1 members are in none; for example m000.*Nothing is published"):
        members_of(segments, people({"past_due_days": 1}), DAY)


def test_the_institution_replaces_adds_and_removes(tmp_path):
    management = yaml.safe_load((POLICIES / "segments.yaml").read_text(encoding="utf-8"))["sets"][0]
    mine = management | {
        "version": 7, "remove": ["early_at_risk"],
        "segments": [
            {"code": "early_forgetful", "name": {"es": "x", "en": "x"}, "when": "past_due_days = 3"},
            {"code": "late_new", "name": {"es": "x", "en": "x"}, "when": "past_due_days > 1000"},
        ],
    }  # fmt: skip
    found = own(tmp_path, **mine)
    codes = [one.code for one in found.of("management").segments]
    assert "early_at_risk" not in codes and codes[-1] == "late_new" and "preventive" in codes
    assert found.conditions["management", "early_forgetful"] == "(past_due_days = 3)"
    assert found.of("management").version == 7 and found.digests != SHIPPED.digests
    with pytest.raises(CampaignDataError, match="nothing_such is no segment of the shipped set"):
        own(tmp_path, **(mine | {"remove": ["nothing_such"]}))
    with pytest.raises(CampaignDataError, match=r"stands in the set focus too|stands in the set management too"):
        own(tmp_path, **set_of("true") | {"segments": [mine["segments"][0]]})


def test_the_digest_is_of_what_decides_and_not_of_names_or_layout(tmp_path):
    first = own(tmp_path, **set_of("past_due_days > 5", "past_due_days<=5")).digests["mine"]
    named = set_of("past_due_days  >  5 -- late", "past_due_days <= 5")
    named["segments"][0]["name"] = {"es": "Otro", "en": "Other"}
    assert own(tmp_path, **named).digests["mine"] == first
    assert own(tmp_path, **set_of("past_due_days > 6", "past_due_days <= 6")).digests["mine"] != first


def test_the_frame_has_the_decision_the_features_and_the_derived_columns():
    columns = [name for name in declared_columns() if name not in ("customer_status_code",)]
    features = people({"outstanding_principal_amount": 10.0}, {"outstanding_principal_amount": 30.0})[
        [name for name in columns if name not in ("action", "default_probability", "exposure_share",
                                                  "default_probability_share", "collector_id", "expected_gain_amount",
                                                  "contact_cost_amount")]
    ]  # fmt: skip
    decisions = pd.DataFrame(
        {"customer_id": ["m000", "m001"], "action": ["sms", "none"], "default_probability": [0.2, None],
         "collector_id": None, "expected_gain_amount": 1.0, "contact_cost_amount": 1.0}
    )  # fmt: skip
    customers = pd.DataFrame({"customer_id": ["m000", "m001"], "customer_status_code": ["active", None]})
    frame = segment_frame(decisions, features, customers)
    assert set(frame.columns) == set(declared_columns())
    assert frame["exposure_share"].tolist() == [0.5, 1.0]
    assert frame["default_probability_share"].tolist()[0] == 1.0 and frame["default_probability_share"].isna()[1]


def test_members_before_the_decision_are_those_after_it_and_no_others_can_be_asked_for(tmp_path):
    decided = ("action", "default_probability", "collector_id", "expected_gain_amount", "contact_cost_amount")
    whole = people(
        {"past_due_days": 40, "broken_promise_count_182d": 1, "outstanding_principal_amount": 1.0},
        {"past_due_days": 40, "outstanding_principal_amount": 2.0, "default_probability": 0.9},
        {"past_due_days": 0, "outstanding_principal_amount": 3.0},
        {"customer_status_code": "hardship", "outstanding_principal_amount": 4.0},
    )
    derived = ("customer_status_code", "exposure_share", "default_probability_share")
    features = whole.drop(columns=[*decided, *derived]).assign(is_eligible=[True, True, True, False])
    customers = whole[["customer_id", "customer_status_code"]]
    risk = pd.DataFrame({"customer_id": ["m001", "m001", "m000"], "default_probability": [0.9, 0.1, 0.0]})

    def asked(segments: Segments, *codes: str) -> list[tuple[str, str]]:
        found = members_before(segments, codes, features, customers, risk, DAY)
        return list(zip(found["customer_id"], found["segment_code"], strict=True))

    risky = own(tmp_path, **set_of("default_probability > 0.5", "default_probability <= 0.5", exhaustive=False))
    after = members_of(risky, segment_frame(whole[["customer_id", *decided]].head(3), features, customers), DAY).members
    for codes in (("broken_promise", "preventive"), ("s0",), ("s0", "preventive")):
        kept = after[after["segment_code"].isin(codes)]
        assert asked(risky, *codes) == list(zip(kept["customer_id"], kept["segment_code"], strict=True)) != []
    with pytest.raises(CampaignDataError, match="there is no segment urban"):
        asked(risky, "urban")
    later = own(tmp_path, **set_of("past_due_days > 3", "action = 'sms'"))
    with pytest.raises(CampaignDataError, match="whose segment s1 rests on action"):
        asked(later, "s0")
    assert asked(later, "preventive") == [("m002", "preventive")]


def test_migration_counts_every_member_of_both_days_once():
    before = members_of(
        SHIPPED, people(*({"customer_id": who, "past_due_days": late, "arrears_amount": 10.0 + late}
                          for who, late in (("a", 0), ("b", 5), ("c", 5), ("d", 40)))), date(2026, 6, 29),
    ).members  # fmt: skip
    now = members_of(
        SHIPPED, people(*({"customer_id": who, "past_due_days": late, "arrears_amount": 10.0 + late}
                          for who, late in (("a", 1), ("b", 6), ("d", 0), ("e", 0)))), DAY,
    ).members  # fmt: skip
    moves = migration(SHIPPED, before, now, DAY, comparison="day", digests_before=dict(SHIPPED.digests))
    found = {
        (row.from_segment_code, row.to_segment_code): (row.member_count, row.from_arrears_amount, row.to_arrears_amount)
        for row in moves.itertuples()
    }
    # NULL on-time rates do not occur here: the neutral rate is 0, so 1 to 30 days are forgetful
    assert found == {
        ("preventive", "early_forgetful"): (1, 10.0, 11.0),
        ("early_forgetful", "early_forgetful"): (1, 15.0, 16.0),
        ("early_forgetful", OUTSIDE): (1, 15.0, 0.0),
        ("late_reachable", "preventive"): (1, 50.0, 10.0),
        (OUTSIDE, "preventive"): (1, 0.0, 10.0),
    }
    assert set(moves["set_id"]) == {"management"} and moves["is_same_definition"].all()
    counted = sizes(SHIPPED, now, DAY).set_index("segment_code")["member_count"]
    arrived = moves[moves["to_segment_code"] != OUTSIDE].groupby("to_segment_code")["member_count"].sum()
    assert {code: counted[code] for code in arrived.index} == arrived.to_dict()
    other = migration(SHIPPED, before, now, DAY, comparison="day", digests_before={"management": "other"})
    assert not other["is_same_definition"].any()
    assert migration(SHIPPED, before.iloc[:0], now, DAY, comparison="day", digests_before={}).empty
