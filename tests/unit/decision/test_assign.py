"""Collectors: capacity, fairness, zone, language, continuity, and the split of people with two skills."""

from __future__ import annotations

import tracemalloc
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.decision.assign import Assignment, assign, fairness, familiar_collectors, jain_index
from puntual.decision.capacity import capacities, roster, zone_key
from puntual.decision.owners import LastOwners
from puntual.errors import RuleError
from tests.unit.decision import worlds
from tests.unit.decision.test_decide import book, run, team
from tests.unit.decision.worlds import TUESDAY, at

CHANNELS = ["call", "sms", "visit"]
NOBODY = pd.Series(dtype=object)


def contacts(*rows: dict) -> pd.DataFrame:
    default = {"channel_code": "call", "zone": None, "language_code": None, "net_amount": 1.0}
    full = [default | {"customer_id": f"c{number:03d}"} | row for number, row in enumerate(rows)]
    return pd.DataFrame(full, columns=["customer_id", *default]).astype({"zone": object, "language_code": object})


def load_of(wanted: pd.DataFrame, people: pd.DataFrame, familiar: pd.Series = NOBODY) -> list:
    return assign(wanted, roster(people, CHANNELS, TUESDAY), familiar).collector_id.tolist()


@pytest.mark.parametrize(
    ("first", "second"), [("Manabí", "MANABI"), (" Santo  Domingo", "santo domingo"), (None, float("nan")), ("", None)]
)
def test_zones_are_compared_without_accents_case_or_spaces(first, second):
    assert zone_key(first) == zone_key(second)


def test_the_roster_has_only_who_is_at_work_and_can_do_something():
    people = team(
        {},
        {"active_from": pd.Timestamp("2026-07-01")},
        {"active_to": pd.Timestamp("2026-06-30")},
        {"channels": "letter"},
        {"channels": None},
        {"daily_capacity": 0},
    )
    assert roster(people, CHANNELS, TUESDAY)["collector_id"].tolist() == ["g0", "g2"]
    assert roster(people, CHANNELS, date(2026, 7, 1))["collector_id"].tolist() == ["g0", "g1"]


def test_capacities_of_channels_are_limits_and_missing_collectors_are_zero():
    found = capacities(roster(team({}), CHANNELS, TUESDAY), CHANNELS, {"sms": 100, "call": 9999})
    assert [(one.name, one.count, one.kind) for one in found] == [
        ("collectors:call", 4, "pool"),
        ("limit:call", 9999, "limit"),
        ("messages:sms", 100, "limit"),
        ("collectors:visit", 0, "limit"),
    ]
    assert [
        one.name for one in capacities(roster(team({}), ["call", "sms"], TUESDAY), ["call", "sms"], {"sms": None})
    ] == ["collectors:call"]


def test_load_is_even_in_proportion_to_capacity():
    people = team({"daily_capacity": 8}, {"daily_capacity": 4}, {"daily_capacity": 4})
    found = pd.Series(load_of(contacts(*({} for _ in range(8))), people)).value_counts()
    assert found.to_dict() == {"g0": 4, "g1": 2, "g2": 2}


def test_the_value_is_dealt_round():
    worth = [10.0, 9.0, 8.0, 7.0]
    found = load_of(contacts(*({"net_amount": value} for value in worth)), team({}, {}))
    assert found == ["g0", "g1", "g0", "g1"]


def test_a_call_goes_to_the_own_zone_first_and_anywhere_after():
    people = team({"zone": "Loja", "daily_capacity": 1}, {"zone": "Quito", "daily_capacity": 2})
    found = load_of(contacts({"zone": "quito"}, {"zone": "loja"}, {"zone": "loja"}), people)
    assert found == ["g1", "g0", "g1"]


def test_a_scarce_language_goes_to_who_speaks_it():
    people = team({"languages": "es", "daily_capacity": 2}, {"languages": "es,qu", "daily_capacity": 1})
    found = load_of(contacts({"language_code": "es"}, {"language_code": "es"}, {"language_code": "qu"}), people)
    assert found == ["g0", "g0", "g1"]


def test_a_full_collector_keeps_the_most_valuable_of_those_they_know():
    familiar = pd.Series({f"c{number:03d}": "g1" for number in range(6)})
    wanted = contacts(*({"net_amount": float(number)} for number in range(6)))
    found = assign(wanted, roster(team({}, {"daily_capacity": 2}), CHANNELS, TUESDAY), familiar)
    assert found.collector_id.tolist() == ["g0", "g0", "g0", "g0", "g1", "g1"]
    assert found.is_familiar.tolist() == [False] * 4 + [True] * 2


def test_familiar_is_the_open_promise_before_the_last_conversation():
    spoken = [
        {
            "customer_id": "ana",
            "occurred_at": at("2026-06-20 10:00"),
            "outcome_code": "right_party",
            "collector_id": "g9",
        },
        {
            "customer_id": "bea",
            "occurred_at": at("2026-06-20 10:00"),
            "outcome_code": "right_party",
            "collector_id": "g1",
        },
        {"customer_id": "bea", "occurred_at": at("2026-06-21 10:00"), "outcome_code": "callback", "collector_id": "g2"},
        {
            "customer_id": "bea",
            "occurred_at": at("2026-06-22 10:00"),
            "outcome_code": "no_answer",
            "collector_id": "g3",
        },
        {
            "customer_id": "zoe",
            "occurred_at": at("2025-06-22 10:00"),
            "outcome_code": "right_party",
            "collector_id": "g3",
        },
    ]
    taken = worlds.promises({"due_date": "2026-06-29", "collector_id": "g5"})
    found = familiar_collectors(taken, worlds.events(*spoken), as_of=TUESDAY)
    assert found.to_dict() == {"ana": "g5", "bea": "g2"}
    assert familiar_collectors(worlds.promises(), worlds.events(), as_of=TUESDAY).empty


def test_a_person_with_two_skills_is_left_for_what_only_they_can_do():
    people = team({"channels": "call,visit", "zone": "Loja", "daily_capacity": 1}, {"daily_capacity": 1})
    wanted = contacts({"net_amount": 99.0}, {"channel_code": "visit", "zone": "loja"})
    familiar = pd.Series({"c000": "g0"})
    assert load_of(wanted, people, familiar) == ["g1", "g0"]


def test_contacts_that_do_not_fit_are_refused():
    with pytest.raises(RuleError, match="no collector with capacity left"):
        load_of(contacts({}, {}), team({"daily_capacity": 1}))
    with pytest.raises(RuleError, match="no collector with capacity left"):
        load_of(contacts({"channel_code": "visit", "zone": "loja"}), team({"channels": "visit", "zone": "Quito"}))
    with pytest.raises(RuleError, match="twice"):
        load_of(contacts({"customer_id": "ana"}, {"customer_id": "ana"}), team({}))


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_whatever_fits_is_assigned_within_skills_zones_and_capacities(seed: int):
    random = np.random.default_rng(seed)
    zones = ["loja", "quito", None]
    people = team(
        *(
            {
                "channels": random.choice(["call", "visit", "call,visit"]),
                "zone": zones[random.integers(3)],
                "languages": [None, "es", "es,qu"][random.integers(3)],
                "daily_capacity": int(random.integers(1, 5)),
            }
            for _ in range(random.integers(1, 7))
        )
    )
    at_work = roster(people, CHANNELS, TUESDAY)
    # one contact for some units of each collector: by construction it fits
    wanted = []
    for person in at_work.itertuples():
        for _ in range(random.integers(0, person.daily_capacity + 1)):
            channel = person.channels[random.integers(len(person.channels))]
            zone = person.zone if channel == "visit" and person.zone else zones[random.integers(3)]
            wanted.append(
                {"channel_code": channel, "zone": zone, "language_code": [None, "es", "qu"][random.integers(3)]}
            )
    todo = contacts(*wanted)
    known = pd.Series(
        {f"c{number:03d}": f"g{random.integers(0, 7)}" for number in range(0, len(todo), 2)}, dtype=object
    )
    found = assign(todo, at_work, known).collector_id
    assert found.notna().all()
    staff = at_work.set_index("collector_id")
    assert (found.value_counts() <= staff["daily_capacity"].reindex(found.value_counts().index)).all()
    for channel, zone, person in zip(todo["channel_code"], todo["zone"], found, strict=True):
        assert channel in staff.at[person, "channels"]
        if channel == "visit" and isinstance(staff.at[person, "zone"], str):
            assert staff.at[person, "zone"] == zone


def test_a_visitor_without_a_zone_serves_every_zone():
    (only,) = capacities(roster(team({"channels": "visit"}, {"channels": "visit"}), ["visit"], TUESDAY), ["visit"], {})
    assert [(cell.channel, cell.zone) for cell in only.cells] == [("visit", None)]
    assert only.count == 8


def test_a_huge_capacity_costs_nothing():
    """Who has room for billions is dealt what is wanted, as with room for just that: no place is made for the rest."""
    wanted = contacts(*({"net_amount": float(value)} for value in range(40)))

    def dealt(capacity: int) -> tuple[pd.Series, int]:
        people = roster(team(*({"daily_capacity": capacity} for _ in range(4))), CHANNELS, TUESDAY)
        tracemalloc.start()
        try:
            return assign(wanted, people, NOBODY).collector_id, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    ample, _ = dealt(40)
    large, peak = dealt(2_000_000)
    assert peak < 20_000_000
    pd.testing.assert_series_equal(large, ample)
    pd.testing.assert_series_equal(dealt(1_000_000_000)[0], ample)


def test_how_even_the_day_is_by_team():
    """Field: 2 of 4 and 1 of 2 are alike. Office has one collector, who is even alone; g3 has no team and no contact."""
    people = team({"daily_capacity": 4}, {"daily_capacity": 2}, {"daily_capacity": 4}, {"daily_capacity": 4})
    people = people.assign(team=["field", "field", "office", None])
    wanted = contacts(*({"net_amount": value} for value in (8.0, 2.0, 5.0, 1.0, 1.0, -9.0)))
    owners = pd.Series(["g0", "g0", "g1", "g2", "g2", "g2"], dtype=object)
    given_to = Assignment(owners, pd.Series([True] + [False] * 5), pd.Series([False] * 6))
    found = fairness(wanted, roster(people, CHANNELS, TUESDAY), given_to)
    assert (found["contact_count"], found["familiar_count"], found["unassigned_count"]) == (6, 1, 0)
    nobody, field, office = found["teams"]
    assert (field["team"], field["contact_count"], field["capacity_count"]) == ("field", 3, 6)
    # value per unit of capacity: 10 / 4 and 5 / 2
    assert (field["load_jain"], field["value_jain"]) == (1.0, 1.0)
    assert (office["greatest_use_rate"], office["load_jain"]) == (0.75, 1.0)
    assert (nobody["team"], nobody["load_jain"]) == ("", None)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_the_index_lies_between_one_nth_and_one(shares: list[float]):
    found = jain_index(shares)
    if found is not None:
        assert 1 / len(shares) - 1e-4 <= found <= 1.0001


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_nobody_stands_in_two_lists_and_every_contact_has_one_owner(seed: int):
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 25))
    people = team(*({"daily_capacity": int(random.integers(1, 9))} for _ in range(4)))
    room = int(people["daily_capacity"].sum())
    wanted = contacts(*({"net_amount": float(random.normal())} for _ in range(min(size, room))))
    found = assign(wanted, roster(people, CHANNELS, TUESDAY), NOBODY).collector_id
    assert found.notna().all() and found.isin(people["collector_id"]).all()
    load = found.value_counts().reindex(people["collector_id"]).fillna(0).to_numpy()
    assert (load <= people["daily_capacity"].to_numpy()).all()
    assert len(found) == wanted["customer_id"].nunique()


def had(owners: dict[str, str], gain: float) -> LastOwners:
    return LastOwners(pd.Series(owners, dtype=object), gain)


def given_with(wanted: pd.DataFrame, people: pd.DataFrame, last: LastOwners) -> dict[str, str]:
    found = assign(wanted, roster(people, CHANNELS, TUESDAY), NOBODY, last)
    return dict(zip(wanted["customer_id"], found.collector_id, strict=True))


@pytest.mark.parametrize(("gain", "kept"), [(0.0, 4), (0.1, 5), (0.25, 6), (1.0, 8)])
def test_who_had_a_contact_keeps_it_up_to_so_much_above_an_even_load(gain: float, kept: int):
    # 8 contacts for two people of 10 each: even is 4 each, .4 of a day; g1 had all of them
    wanted = contacts(*({"net_amount": float(number)} for number in range(8)))
    people = team({"daily_capacity": 10}, {"daily_capacity": 10})
    owners = given_with(wanted, people, had(dict.fromkeys(wanted["customer_id"], "g1"), gain))
    mine = [name for name in owners if owners[name] == "g1"]
    # those of the greatest value stay
    assert mine == [f"c{number:03d}" for number in range(8 - kept, 8)]


def test_a_members_zone_is_worth_a_fifth_of_a_day():
    people = team({"zone": "Loja", "daily_capacity": 10}, {"zone": "Quito", "daily_capacity": 10})
    wanted = contacts({"zone": "loja"}, {"zone": "quito"})
    for gain, first in ((0.19, "g0"), (0.3, "g1")):
        assert given_with(wanted, people, had({"c000": "g1"}, gain)) == {
            "c000": first,
            "c001": "g1" if first == "g0" else "g0",
        }


def test_who_is_away_full_or_does_not_speak_the_language_keeps_nothing():
    people = team({}, {"daily_capacity": 1}, {"languages": "es"}, {"active_to": pd.Timestamp("2026-06-29")})
    wanted = contacts({}, {}, {"language_code": "qu"}, {})
    owners = given_with(wanted, people, had({"c000": "g1", "c001": "g1", "c002": "g2", "c003": "g3"}, 1.0))
    assert owners["c000"] == "g1" and owners["c001"] != "g1"
    assert owners["c002"] != "g2" and owners["c003"] != "g3"
    assert None not in owners.values()


def test_only_the_same_undone_contact_of_the_last_list_is_somebodys():
    earlier = pd.DataFrame(
        {
            "as_of_date": date(2026, 6, 29),
            "customer_id": ["ana", "bea", "eva", "isa"],
            "action": ["call", "call", "call", "sms"],
            "collector_id": ["g0", "g1", "g2", None],
        }
    )
    called = worlds.events({"customer_id": "bea", "occurred_at": at("2026-06-29 10:00")})
    today = pd.Series({"ana": "call", "bea": "call", "eva": "visit", "isa": "sms"})
    assert LastOwners.of(earlier, called, today, 0.1).collector_id.to_dict() == {"ana": "g0"}
    assert LastOwners.of(earlier.drop(columns="collector_id"), called, today, 0.1).collector_id.empty
    assert LastOwners.of(None, called, today, 0.1).collector_id.empty


def test_lists_of_consecutive_days_stay_with_their_collectors():
    inputs = book(120, seed=3) | {"collectors": team(*({"daily_capacity": 10} for _ in range(4)))}
    first = run(inputs).decisions
    earlier = first[["customer_id", "action", "collector_id"]].assign(as_of_date=date(2026, 6, 29))
    # two more members are called for than yesterday's list had room for, so ranks and turns change
    gains = inputs["channel_scores"]
    gains.loc[gains["customer_id"].isin(["m00000", "m00001"]) & (gains["channel_code"] == "call"), "gain_amount"] = 99.0
    kept, anew = (run(inputs, earlier=earlier, owner_stay_gain=gain).decisions for gain in (0.1, 0.0))
    without = run(inputs, earlier=earlier.drop(columns="collector_id")).decisions

    def same(other: pd.DataFrame) -> int:
        both = first.merge(other, on=["customer_id", "action"])
        return int((both["collector_id_x"].notna() & (both["collector_id_x"] == both["collector_id_y"])).sum())

    again = first.merge(kept, on=["customer_id", "action"])
    assert same(kept) >= again["collector_id_x"].notna().sum() - 2
    assert same(without) < same(kept) and same(anew) <= same(kept)
    assert kept["collector_id"].value_counts().max() <= 10
