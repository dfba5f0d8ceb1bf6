"""Teams as capacity: limits as settings, kept by whatever plans a contact, priced by team, judged, changed in a what-if."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from puntual.audit.inputs import complete
from puntual.audit.whatif import Change, changed_arguments, keys
from puntual.decision.capacity import cut_to, roster
from puntual.decision.checker import check
from puntual.decision.decide import DecisionOutcome, decide
from puntual.errors import RuleError
from puntual.settings import Settings
from tests.unit.decision import worlds
from tests.unit.decision.test_decide import COSTS, LIMITS, book, run, team
from tests.unit.decision.test_owners import owned, rules
from tests.unit.decision.test_second import FREE
from tests.unit.decision.worlds import QUITO, TUESDAY

PEOPLE = team(
    {"daily_capacity": 8, "team": "north"},
    {"daily_capacity": 4, "team": "south"},
    {"daily_capacity": 6, "channels": "call,visit", "zone": "Loja", "team": "north"},
    {"daily_capacity": 6, "channels": "visit", "zone": "Quito", "team": "south"},
    {"daily_capacity": 2, "team": None},
)
ROOM = {"north": 14, "south": 10}


def made(found: DecisionOutcome) -> dict[str, int]:
    contacts = pd.concat([found.decisions["collector_id"], found.second_contacts["collector_id"]]).dropna()
    return contacts.map(PEOPLE.set_index("collector_id")["team"]).value_counts().to_dict()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"exploration_share": 0.4},
        {"policies": FREE, "actions_per_person": 2, "second_action_share": 0.9},
        {"hour_bands": {"call": {"08:00-12:00": 30, "12:00-18:00": 30}}},
        {"channel_scores": None},
    ],
    ids=["plan", "draws", "second", "bands", "ladder"],
)
def test_no_team_has_more_than_its_limit(options: dict[str, Any]):
    inputs = book(90, seed=5) | {"collectors": PEOPLE} | options
    assert made(run(inputs))["north"] > 5
    found = run(inputs, team_capacity={"north": 5})
    assert made(found)["north"] <= 5 and made(found)["south"] <= ROOM["south"]
    limit = found.prices.set_index("capacity_name").loc["team:north"]
    assert (limit["team"], limit["capacity_count"], limit["used_count"]) == ("north", 5, made(found)["north"])
    rows = found.prices[found.prices["capacity_name"].str.startswith("collectors:")]
    assert rows.groupby("team")["capacity_count"].sum().to_dict() == ROOM
    assert rows.groupby("team")["used_count"].sum().to_dict() == {one: made(found)[one] for one in ROOM}
    assert (rows["used_count"] <= rows["capacity_count"]).all()
    assert rows["capacity_name"].is_unique
    assert found.summary["is_optimal"]


def test_the_price_of_a_team_is_what_one_more_of_its_contacts_adds():
    inputs = book(120, seed=6) | {"collectors": PEOPLE}
    before = run(inputs)
    prices = before.prices.set_index("capacity_name")["price_amount"]
    for position, name in enumerate(
        ["collectors:call [north]", "collectors:call [south]", "collectors:call+visit@loja [north]",
         "collectors:visit@quito [south]", "collectors:call"]
    ):  # fmt: skip
        more = PEOPLE.copy()
        more.loc[position, "daily_capacity"] += 1
        gained = run(inputs | {"collectors": more}).summary["planned_value_amount"]
        assert prices[name] == pytest.approx(gained - before.summary["planned_value_amount"], abs=0.011)
    assert prices["collectors:call [north]"] == prices["collectors:call [south]"] > 0


def test_teams_change_nothing_of_the_plan_but_the_rows_of_prices():
    inputs = book(90, seed=5)
    one = run(inputs | {"collectors": PEOPLE.assign(team="one")}, exploration_share=0.1)
    several = run(inputs | {"collectors": PEOPLE}, exploration_share=0.1)
    pd.testing.assert_frame_equal(one.decisions, several.decisions)
    assert "collectors:call" in set(one.prices["capacity_name"]) and len(one.prices) < len(several.prices)


def test_collectors_of_days_archived_before_there_were_teams():
    """Without the column nobody is of a team; with it empty the day is the same."""
    inputs = book(40, seed=7)
    old = run(inputs | {"collectors": PEOPLE.drop(columns="team")})
    none = run(inputs | {"collectors": PEOPLE.assign(team=None)})
    pd.testing.assert_frame_equal(old.decisions, none.decisions)
    assert old.decisions["collector_id"].notna().any() and old.prices["team"].isna().all()
    assert [one["team"] for one in old.summary["assignment"]["teams"]] == [""]
    with pytest.raises(RuleError, match="is the team of no collector"):
        run(inputs | {"collectors": PEOPLE.drop(columns="team")}, team_capacity={"north": 3})


def test_limits_of_teams_hold_beside_the_rules_of_owners():
    people = owned(team=["a", "b", "a", "b", "b"])
    ruled = rules({"owner": "Andina", "past_due_days": {"min": 60}})
    found = run(book(90, seed=5) | {"collectors": people, "owners": ruled}, team_capacity={"a": 3})
    mine = people.loc[people["team"] == "a", "collector_id"]
    assert 0 < found.decisions["collector_id"].isin(mine).sum() <= 3


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(0, 200))
def test_a_cut_is_whole_complete_and_by_parts(capacity: list[int], room: int):
    own = np.array(capacity, dtype=np.int64)
    cut = cut_to(own, room)
    assert cut.sum() == min(room, own.sum()) and (cut <= own).all() and (cut >= 0).all()
    if own.sum() > room:
        assert (abs(cut - own * room / own.sum()) < 1 + 1e-9).all()


def test_a_team_of_nobody_is_named():
    with pytest.raises(RuleError, match=r"teams\.nort of the settings .* north, south"):
        roster(PEOPLE, ["call"], TUESDAY, {"nort": 3})
    # whose people are all off today is no mistake
    away = PEOPLE.assign(active_to=pd.Timestamp("2026-06-29"))
    assert roster(away, ["call"], TUESDAY, {"north": 3}).empty


def test_the_checker_counts_teams_by_itself():
    inputs = book(90, seed=5) | {"collectors": PEOPLE}
    found = run(inputs)
    given = {name: inputs[name] for name in inputs if name != "channel_scores"} | {
        "policy_files": worlds.policies().files, "holidays": worlds.calendar(), "country": "EC", "currency": "USD",
        "timezone": QUITO, "reading": "strict_default", "as_of": TUESDAY, "daily_capacity": LIMITS,
    }  # fmt: skip
    count = made(found)["north"]
    assert not check(found.decisions, team_capacity={"north": count}, **given)
    assert check(found.decisions, team_capacity={"north": count - 1}, **given) == [
        f"the team north has {count} calls and visits, {count - 1} a day are allowed"
    ]


def test_the_checker_takes_shares_of_what_teams_may_do(tmp_path: Path):
    """North could do 20 and may do 2: of 22 in all Andina's share of three tenths is 6, not the 12 of 40."""
    people = team({"daily_capacity": 20, "team": " north "}, {"daily_capacity": 20, "team": "south"})
    inputs = book(90, seed=5) | {"collectors": people.assign(kind_code=[None, "agency"], agency=[None, "Andina"])}
    file = tmp_path / "owners.yaml"
    file.write_text("owners: [{owner: Andina, max_share: 0.3}]", encoding="utf-8")
    given = {name: inputs[name] for name in inputs if name != "channel_scores"} | {
        "policy_files": worlds.policies().files, "holidays": worlds.calendar(), "country": "EC", "currency": "USD",
        "timezone": QUITO, "reading": "strict_default", "as_of": TUESDAY, "daily_capacity": LIMITS,
        "owners_file": file, "team_capacity": {"north": 2},
    }  # fmt: skip
    for share, count in ((0.3, 6), (0.5, 11)):
        found = run(inputs, team_capacity={"north": 2}, owners=rules({"owner": "Andina", "max_share": share}))
        assert (found.decisions["collector_id"] == "g1").sum() == count
        problems = [f"Andina has {count} calls and visits, which breaks owners.yaml, Andina: at most 0.3 of the 22 that "
                    "all can do today"]  # fmt: skip
        assert check(found.decisions, **given) == (problems if count > 6 else [])
    # a limit above what the people of the team can do holds nothing back
    assert check(found.decisions, **given | {"team_capacity": {"north": 50}}) == []


def test_limits_are_settings_and_what_if_knows_them():
    place = {"name": "X", "country": "EC", "timezone": QUITO, "currency": "USD"}
    settings = Settings.model_validate({"institution": place, "teams": {"north": {"daily_capacity": 5}, "south": {}}})
    assert settings.team_capacity == {"north": 5}
    assert Settings.model_validate({"institution": place}).team_capacity is None
    inputs = book(30) | {
        "collectors": PEOPLE, "daily_capacity": LIMITS, "policies": worlds.policies(), "costs": COSTS,
        "holidays": worlds.calendar(), "as_of": TUESDAY, "timezone": QUITO, "default_risk": None, "ladder": None,
        "exploration_share": 0.0, "team_capacity": {"north": 7},
    }  # fmt: skip
    known = keys(complete(decide, inputs))
    assert known["collectors.team.north.capacity"] == 14 and known["teams.north.daily_capacity"] == 7
    assert known["teams.south.daily_capacity"] is None
    alone = changed_arguments(inputs, [Change.parse("teams.south.daily_capacity=4")])
    assert alone["team_capacity"] == {"north": 7, "south": 4} and alone["collectors"].equals(PEOPLE)
    for text in ("collectors.team.north.capacity=28", "collectors.capacity=+100%"):
        assert changed_arguments(inputs, [Change.parse(text)])["team_capacity"] == {"north": 14}
    assert changed_arguments(inputs, [Change.parse("teams.north.daily_capacity=none")])["team_capacity"] == {}
