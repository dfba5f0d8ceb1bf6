"""What if: changes are made as asked for, the answer is that of the decision itself, and nothing is written."""

from __future__ import annotations

import inspect

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.audit.inputs import complete
from puntual.audit.whatif import MOST, Change, changed_arguments, key_of, keys, what_if
from puntual.audit.whatif_texts import capacity_rows, figure_rows
from puntual.decision.capacity import roster
from puntual.decision.decide import decide
from puntual.errors import UsageError
from puntual.settings import Settings
from tests.unit.audit import logged
from tests.unit.decision import worlds
from tests.unit.decision.test_named_rule_cases import own
from tests.unit.decision.test_second import TEAM, TRIED
from tests.unit.decision.worlds import TUESDAY


@pytest.fixture(scope="module")
def inputs():
    arguments = logged.arguments(120, exploration_share=0.0)
    arguments["collectors"] = arguments["collectors"].assign(team=["norte", "norte", "sur", "sur", None])
    return arguments


def asked(*texts: str) -> list[Change]:
    return [Change.parse(text) for text in texts]


def capacity_of(arguments) -> int:
    team = roster(arguments["collectors"], list(arguments["costs"]), arguments["as_of"])
    return int(team["daily_capacity"].sum())


def test_what_can_be_changed_and_its_figure_today(inputs):
    known = keys(inputs)
    # g0 calls 4, g1 visits 2, g2 does both, 3; g3 has left and g4 has no capacity
    assert known["channels.call.capacity"] == 4 + 3
    assert known["channels.visit.capacity"] == 2 + 3
    assert known["channels.ivr.capacity"] == 5
    assert known["channels.email.capacity"] is None
    assert known["channels.sms.cost"] == 0.03
    assert known["collectors.capacity"] == 9
    assert known["collectors.team.norte.capacity"] == 6
    assert known["collectors.g2.capacity"] == 3
    assert "collectors.g3.capacity" not in known
    assert known["decision.exploration_share"] == 0.0


def test_every_figure_that_the_decision_takes_can_be_changed(inputs):
    """A new one of the decision comes by itself."""
    figures = {
        name for name, one in inspect.signature(decide).parameters.items()
        if one.annotation in (float, int, float | None, int | None)
    }  # fmt: skip
    assert figures
    assert {key_of(name) for name in figures} <= set(keys(inputs))


def test_capacity_of_a_team_is_shared_out_whole_and_sums_to_what_was_asked(inputs):
    changed = changed_arguments(inputs, asked("channels.call.capacity=+10"))
    # 4 and 3 become 17: 9.71 and 7.29, the rest to the larger remainder
    team = changed["collectors"].set_index("collector_id")["daily_capacity"]
    assert (team["g0"], team["g2"], team["g1"]) == (10, 7, 2)
    assert keys(changed)["channels.call.capacity"] == 17
    assert inputs["collectors"]["daily_capacity"].tolist()[0] == 4  # what was given stays as it was


KEYS = ["collectors.capacity", "channels.visit.capacity", "collectors.team.sur.capacity", "collectors.g1.capacity"]


@settings(max_examples=30, deadline=None)
@given(total=st.integers(0, 60), key=st.sampled_from(KEYS))
def test_any_capacity_comes_out_as_asked(inputs, total, key):
    changed = changed_arguments(inputs, asked(f"{key}={total}"))
    found = keys(changed)
    if total:
        assert found[key] == total
    else:  # whoever has no capacity is not at work
        assert not found.get(key)
    others = capacity_of(inputs) - keys(inputs)[key]
    assert capacity_of(changed) == total + others


def test_the_answer_is_that_of_the_decision_itself(inputs):
    found = what_if(
        inputs, asked("channels.ivr.capacity=12", "channels.call.cost=+100%", "decision.exploration_share=0.3")
    )
    own = decide(**{
        **inputs,
        "daily_capacity": {**inputs["daily_capacity"], "ivr": 12},
        "costs": {**inputs["costs"], "call": 0.9},
        "exploration_share": 0.3,
    })  # fmt: skip
    pd.testing.assert_frame_equal(found.after.decisions, own.decisions)
    pd.testing.assert_frame_equal(found.before.decisions, decide(**inputs).decisions)
    assert [(one.key, one.before, one.after) for one in found.changes] == [
        ("channels.ivr.capacity", 5, 12), ("channels.call.cost", 0.45, 0.9), ("decision.exploration_share", 0.0, 0.3)
    ]  # fmt: skip


def test_more_room_is_never_worth_less_and_the_members_are_named(inputs):
    found = what_if(inputs, asked("channels.ivr.capacity=+20"))
    figures = {key: (before, after) for key, before, after in found.figures()}
    assert figures["value"][1] > figures["value"][0]
    assert figures["contacts"][1] >= figures["contacts"][0]
    members = found.members()
    assert set(members["kind"]) <= {"entering", "leaving", "changed"}
    before = found.before.decisions.set_index("customer_id")["action"]
    after = found.after.decisions.set_index("customer_id")["action"]
    assert set(members["customer_id"]) == set(before.index[before != after])
    entering = members[members["kind"] == "entering"]
    assert len(entering) == int(((before == "none") & (after != "none")).sum()) > 0
    prices = found.prices().set_index("capacity_name")
    assert prices.loc["messages:ivr", "capacity_count_before"] == 5
    assert prices.loc["messages:ivr", "capacity_count_after"] == 25
    assert prices.loc["messages:ivr", "price_amount_after"] <= prices.loc["messages:ivr", "price_amount_before"]


def test_the_same_again_changes_nothing(inputs):
    found = what_if(inputs, asked("channels.ivr.capacity=+0"))
    assert found.members().empty
    assert all(before == after for _, before, after in found.figures())
    assert all("→" not in cell for row in capacity_rows(found, "es") for cell in row)


def test_rows_are_written_in_the_language(inputs):
    found = what_if(inputs, asked("channels.ivr.capacity=12"))
    rows = figure_rows(found, "USD", "es")
    assert rows[0][0] == "Recuperación adicional esperada"
    assert rows[0][1].startswith("USD ")
    assert "Contacts by Automatic call" in [row[0] for row in figure_rows(found, "USD", "en")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channels.cal.capacity=+1", "did you mean channels.call.capacity"),
        ("chanels.sms.cost=1", "did you mean channels.sms.cost"),
        ("decision.seeed=1", "decision.seed"),
        ("collectors.g9.capacity=1", "collectors.g0.capacity"),
        ("mood=3", "There are channels.call.capacity"),
        ("channels.sms.capacity", "KEY=VALUE"),
        ("channels.sms.capacity=lots", "KEY=VALUE"),
        ("channels.sms.capacity=10%", "needs its sign"),
        ("channels.sms.capacity=-20", "cannot be negative"),
        ("channels.email.capacity=+10%", "no limit today"),
        ("channels.sms.cost=none", "needs a figure"),
        ("collectors.capacity=none", "needs a figure"),
        ("decision.exploration_share=2", "less than or equal to 1"),
        ("decision.seed=1.5", "integer"),
        ("decision.collection_fee_weight=500", "less than or equal to 1"),
        ("decision.fee_weight=0.5", "did you mean decision.collection_fee_weight"),
        ("arrears.promise_grace_days=1.5", "integer"),
        ("channels.sms.capacity=99999999999999999999", f"the largest allowed is {MOST}"),
        ("channels.call.capacity=99999999999999999999", f"the largest allowed is {MOST}"),
        ("decision.daily_budget=99999999999999999999", f"the largest allowed is {MOST}"),
        ("channels.call.cost=" + "9" * 400, f"the largest allowed is {MOST}"),
        ("collectors.capacity=+99999999999999999999%", f"the largest allowed is {MOST}"),
    ],
)
def test_what_cannot_be_changed_is_said_with_what_can(inputs, text, said):
    with pytest.raises(UsageError, match=said.replace(".", r"\.")):
        changed_arguments(inputs, asked(text))


def test_a_limit_can_be_taken_away(inputs):
    assert changed_arguments(inputs, asked("channels.ivr.capacity=none"))["daily_capacity"]["ivr"] is None
    assert changed_arguments(inputs, asked("decision.exploration_max_cost=none"))["exploration_max_cost"] is None


def test_on_the_ladder_no_money_is_made_up(inputs):
    found = what_if({**inputs, "channel_scores": None}, asked("channels.ivr.capacity=2"))
    assert not found.is_money
    figures = {key: (before, after) for key, before, after in found.figures()}
    assert figures["gain"] == figures["value"] == (None, None)
    assert figures["cost"][0] > 0
    assert figure_rows(found, "USD", "es")[0][1] == "—"


def test_the_value_that_is_compared_is_the_one_that_is_maximised_with_every_part():
    names = [f"m{number:05d}" for number in range(60)]
    stakes = pd.DataFrame({"customer_id": names, "roll_amount": 200.0, "enough_amount": 50.0})
    stakes = stakes.assign(enough_probability=1.0, fee_amount=6.38, fee_channels='["call","email"]')
    inputs = logged.arguments(60, exploration_share=0.0, stakes=stakes, provision_weight=0.0)
    inputs["channel_scores"] = inputs["channel_scores"].assign(expected_amount=50.0, pay_probability=0.2)
    found = what_if(inputs, asked("decision.provision_weight=0.5", "channels.ivr.capacity=9"))
    figures = {key: (before, after) for key, before, after in found.figures()}
    for outcome, at in ((found.before, 0), (found.after, 1)):
        assert figures["value"][at] == pytest.approx(outcome.decisions["value_amount"].sum())
        parts = [figures[name][at] for name in ("gain", "provision", "fee", "cost")]
        assert figures["value"][at] == pytest.approx(sum(parts[:3]) - parts[3])
    assert figures["provision"][1] > figures["provision"][0] == 0
    labels = [row[0] for row in figure_rows(found, "USD", "en")]
    assert labels[:5] == [
        "Expected extra recovery", "Provision avoided", "Collection fee expected", "Cost of the contacts",
        "Value of the contacts",
    ]  # fmt: skip


def test_second_contacts_count_in_figures_and_members():
    tried = TRIED | {"actions_per_person": 1}
    inputs = logged.arguments(60, seed=2, exploration_share=0.0, **tried) | {"collectors": TEAM}
    found = what_if(inputs, asked("decision.actions_per_person=2"))
    second = found.after.second_contacts
    assert len(second)
    figures = {key: (before, after) for key, before, after in found.figures()}
    assert figures["second"] == (0, len(second))
    assert figures["contacts"][1] - figures["contacts"][0] == len(second)
    assert figures["value"][1] - figures["value"][0] == pytest.approx(second["value_amount"].sum())
    members = found.members().set_index("customer_id")
    assert set(members.index) == set(second["customer_id"]) and set(members["kind"]) == {"changed"}
    for row in second.itertuples():
        assert members.loc[row.customer_id, "after"] == f"{members.loc[row.customer_id, 'before']}+{row.action}"
    assert "second" not in dict((key, 0) for key, _, _ in what_if(inputs, []).figures())


def test_keys_are_those_of_puntual_yaml_with_its_bounds(inputs):
    """Every figure of the decision stands in the settings under the key by which it is changed."""
    of_settings = [key for key in keys(inputs) if key.split(".")[0] in Settings.model_fields]
    of_settings = [key for key in of_settings if key.split(".")[0] not in {"channels", "teams"}]
    assert {"decision.collection_fee_weight", "arrears.promise_grace_days"} <= set(of_settings)
    for key in of_settings:
        section, _, field = key.partition(".")
        model = Settings.model_fields[section].annotation
        assert field in model.model_fields, key
    changed = changed_arguments(inputs, asked("decision.collection_fee_weight=0.5", "arrears.promise_grace_days=5"))
    assert (changed["fee_weight"], changed["promise_grace_days"]) == (0.5, 5)


@pytest.mark.parametrize(
    "key",
    ["channels.ivr.capacity", pytest.param("collectors.capacity", marks=pytest.mark.slow), "channels.call.cost"],
)
def test_the_largest_figure_is_decided_with(inputs, key):
    assert what_if(inputs, asked(f"{key}={MOST}")).changes[0].after == MOST


BANDS = {"call": {"08:00-10:00": 2, "10:00-13:00": 3}, "ivr": {"09:00-12:00": 4}}


def test_bands_of_hours_go_with_the_capacity_of_their_channel(inputs):
    banded = inputs | {"hour_bands": BANDS}
    known = keys(banded)
    assert known["channels.call.hour_bands.08:00-10:00"] == 2
    found = what_if(banded, asked("channels.call.capacity=+100%"))
    assert [(one.key, one.before, one.after) for one in found.changes] == [
        ("channels.call.capacity", 7, 14),
        ("channels.call.hour_bands.08:00-10:00", 2, 4),
        ("channels.call.hour_bands.10:00-13:00", 3, 6),
    ]
    figures = {key: (before, after) for key, before, after in found.figures()}
    assert figures["contacts.call"] == (5, 10)
    assert banded["hour_bands"] == BANDS  # what was given stays as it was
    prices = found.prices().set_index("capacity_name")
    assert prices.loc["hours:call@08:00-10:00", "capacity_count_after"] == 4


def test_a_band_of_hours_can_be_changed_by_itself(inputs):
    changed = changed_arguments(
        inputs | {"hour_bands": BANDS}, asked("channels.call.hour_bands.10:00-13:00=+4", "channels.ivr.capacity=10")
    )
    assert changed["hour_bands"] == {"call": {"08:00-10:00": 2, "10:00-13:00": 7}, "ivr": {"09:00-12:00": 8}}
    for wrong in ("none", "99999999999999999999"):
        with pytest.raises(UsageError):
            changed_arguments(inputs | {"hour_bands": BANDS}, asked(f"channels.call.hour_bands.10:00-13:00={wrong}"))


@settings(max_examples=30, deadline=None)
@given(total=st.integers(1, 400))
def test_bands_sum_to_their_part_of_the_capacity(inputs, total):
    changed = changed_arguments(inputs | {"hour_bands": BANDS}, asked(f"channels.call.capacity={total}"))
    assert sum(changed["hour_bands"]["call"].values()) == int(5 * total / 7 + 0.5)


def test_a_rule_on_a_whole_list_holds_whatever_the_channel_may_send(inputs, tmp_path):
    """A tier of five members a day: neither a larger limit nor none at all lets a sixth be written to."""
    rule = {"id": "OWN/tier", "kind": "max_users", "channels": ["ivr"], "window": "rolling_hours:24", "n": 3}
    policies = worlds.load_policies(worlds.POLICIES, own(tmp_path, rule), "EC", TUESDAY)
    ruled = inputs | {"policies": policies}
    for text in ("channels.ivr.capacity=+200%", "channels.ivr.capacity=none"):
        found = what_if(ruled, asked(text))
        for outcome in (found.before, found.after):
            assert (outcome.decisions["action"] == "ivr").sum() == 3
            price = outcome.prices.set_index("capacity_name").loc["rule:OWN/tier"]
            assert (price["capacity_count"], price["used_count"]) == (3, 3) and price["price_amount"] > 0
    # the day of an archive in which the rule had tightened the limit comes out as it did
    before = what_if(
        ruled | {"daily_capacity": inputs["daily_capacity"] | {"ivr": 3}}, asked("channels.ivr.capacity=9")
    )
    without = decide(**inputs | {"daily_capacity": inputs["daily_capacity"] | {"ivr": 3}})
    pd.testing.assert_frame_equal(before.before.decisions, without.decisions)
    pd.testing.assert_frame_equal(before.before.prices, without.prices)
    assert (before.after.decisions["action"] == "ivr").sum() == 3


def test_a_budget_pays_for_fewer_contacts_that_cost_more(inputs):
    paid = inputs | {"channel_budgets": {"ivr": 0.20}}
    assert keys(complete(decide, paid))["channels.ivr.capacity"] == 5
    found = what_if(paid, asked("channels.ivr.cost=+100%"))
    spent = [
        outcome.decisions.loc[outcome.decisions["action"] == "ivr", "contact_cost_amount"].tolist()
        for outcome in (found.before, found.after)
    ]
    assert [len(costs) for costs in spent] == [5, 2]
    assert max(sum(costs) for costs in spent) <= 0.20 + 1e-9
    # the budget alone, and along with the capacity that it bounds
    assert keys(changed_arguments(paid, asked("channels.ivr.daily_budget=0.08")))["channels.ivr.capacity"] == 2
    assert changed_arguments(paid, asked("channels.ivr.daily_budget=none"))["channel_budgets"] == {}
    more = what_if(paid, asked("channels.ivr.capacity=+4"))
    assert [(one.key, one.before, one.after) for one in more.changes] == [
        ("channels.ivr.capacity", 5, 9), ("channels.ivr.daily_budget", 0.20, 0.36)
    ]  # fmt: skip
    assert (more.after.decisions["action"] == "ivr").sum() == 9
    assert changed_arguments(paid, asked("channels.ivr.capacity=none"))["channel_budgets"] == {}
    nothing = changed_arguments(inputs | {"channel_budgets": {"ivr": 0.0}}, asked("channels.ivr.capacity=4"))
    assert keys(nothing)["channels.ivr.capacity"] == 4


@pytest.mark.parametrize("language", ["es", "en"])
def test_every_capacity_has_a_name_of_its_own(inputs, language):
    found = what_if(inputs | {"hour_bands": BANDS, "daily_budget": 20.0, "team_capacity": {"norte": 3}}, [])
    names = [row[0] for row in capacity_rows(found, language)]
    assert len(set(names)) == len(names) == len(found.prices())
    assert all(name and ":" not in name.split(" ")[0].rstrip(":") for name in names)
    expected = {
        "es": {
            "Franja 08:00-10:00: Llamada",
            "Presupuesto del día (dinero)",
            "Gestores: Llamada · norte",
            "Límite del equipo norte",
        },
        "en": {
            "Hours 08:00-10:00: Call",
            "Budget of the day (money)",
            "Collectors: Call · norte",
            "Limit of the team norte",
        },
    }
    assert expected[language] <= set(names)
