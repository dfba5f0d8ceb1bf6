"""Arms that change something: their plans, their part of the capacities, and what their members are told."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from puntual.audit.archive import Archive
from puntual.audit.inputs import Arguments, dump, load
from puntual.audit.whatif import Change, what_if
from puntual.decision.decide import DecisionOutcome, decide
from puntual.decision.policies import Ladder, LadderStep, load_ladder
from puntual.decision.variants import Variant, Variants
from puntual.errors import RuleError
from tests.unit.decision import worlds
from tests.unit.decision.test_channel_limits import PEOPLE
from tests.unit.decision.test_decide import COSTS, LIMITS, TEAM, book, in_arms, judged, run
from tests.unit.decision.test_minimums import duties
from tests.unit.decision.test_second import FREE

OTHER = Variant(experiment_id="e1", arm_code="other", provision_weight=1.0)


def stakes(names: list[str]) -> pd.DataFrame:
    """A roll of 200 near for every third member, and a fee of 6 of which nothing is charged for a visit."""
    frame = pd.DataFrame({"customer_id": names, "enough_amount": 50.0, "enough_probability": 1.0, "fee_amount": 6.0})
    frame["roll_amount"] = np.where(np.arange(len(names)) % 3 == 0, 200.0, 0.0)
    return frame.assign(fee_channels='["call","ivr","whatsapp","sms","email"]')


def weighed_book(size: int, seed: int = 1) -> dict[str, Any]:
    inputs = book(size, seed)
    known = inputs["channel_scores"].assign(expected_amount=50.0, pay_probability=0.2, model_version="today")
    return inputs | {"channel_scores": known, "stakes": stakes(inputs["features"]["customer_id"].tolist())}


def halves(names: list[str], *plans: Variant, held: float = 0.0, **more: Any) -> dict[str, Any]:
    """Arms of one experiment with equal shares of what is not held out: today's policy, then each of ``plans``."""
    codes = ["today", *(one.arm_code for one in plans)]
    share = (1.0 - held) / len(codes)
    arms = in_arms(*((name, "puntual") for name in names), held=held, ladder=0.0)
    arms["arm_code"] = [codes[number % len(codes)] for number in range(len(names))]
    arms["policy"] = [
        "ladder" if any(one.ladder and one.arm_code == code for one in plans) else "puntual"
        for code in arms["arm_code"]
    ]
    chances = pd.concat(
        [pd.DataFrame({"customer_id": names, "plan_code": one.code, "probability": share}) for one in plans]
    )
    return {"arms": arms, "variants": Variants(plans, chances, **more)}


SEEN = {
    "decisions": ["customer_id", "action", "blocked_by", "collector_id", "rank", "value_amount", "propensity",
                  "is_exploration", "reason_codes"],
    "details": ["customer_id", "channel_code", "price_amount", "greedy_action", "explore_probability"],
    "prices": ["capacity_name", "used_count", "price_amount"],
}  # fmt: skip


def fingerprint(outcome: DecisionOutcome) -> str:
    """What was decided, figures to the seventh digit."""
    texts = []
    for name, columns in SEEN.items():
        shown = getattr(outcome, name)[columns].copy()
        for column in shown.select_dtypes("float"):
            shown[column] = shown[column].map("{:.6e}".format)
        texts.append(shown.to_csv(index=False))
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:16]


def test_a_day_whose_arms_change_nothing_is_decided_as_before_they_could() -> None:
    """The digests are of the release before; another one here is another decision for institutions with experiments."""
    inputs = book(60, 3) | {"collectors": PEOPLE}
    names = inputs["features"]["customer_id"].tolist()
    kinds = ["puntual", "ladder", "hold_out"]
    arms = in_arms(*((name, kinds[number % 3]) for number, name in enumerate(names[:45])))
    bands = {"hour_bands": {"call": {"08:00-12:00": 9, "12:00-18:00": 9}}, "daily_budget": 40.0}
    found = {}
    for name, options in {"plain": {}, "arms": {"arms": arms}, "bands": {"arms": arms} | bands}.items():
        outcome = run(inputs, exploration_share=0.2, **options)
        found[name] = fingerprint(outcome)
        nobody = Variants((), pd.DataFrame(columns=["customer_id", "plan_code", "probability"]))
        again = run(inputs, exploration_share=0.2, variants=nobody, **options)
        for one, other in zip(
            (outcome.decisions, outcome.details, outcome.prices),
            (again.decisions, again.details, again.prices),
            strict=True,
        ):
            pd.testing.assert_frame_equal(one, other, check_exact=True)
        assert outcome.summary == again.summary and not {"changed_arms", "idle_capacity"} & set(outcome.summary)
    assert found == BEFORE


BEFORE = {"plain": "71f94823458eaaee", "arms": "93908f959422d31f", "bands": "c093fbfd87740868"}


def test_two_ladders_share_the_day_by_hand() -> None:
    """No channel model; two messages of each kind, half for each arm: one text and one WhatsApp for each ladder.

    By past-due days m0 counts 2, m1 5/3, m2 4/3, m3 1; the second channel of a step 0.8 of it.
    Today's ladder (text, then WhatsApp) has m0 and m2: m0 text, m2 WhatsApp: 2 + 0.8 * 4/3 is more than 1.6 + 4/3.
    The other one (WhatsApp, then text) has m1 and m3: m1 WhatsApp, m3 text.
    In the other arm m0 would have the WhatsApp, m2 the text, m3 nothing (m0 and m2 count more), and m1, beside m0
    on today's ladder, the WhatsApp that it has here: 2 + 0.8 * 5/3 is more than 1.6 + 5/3.
    """
    ladders = {
        name: Ladder(id=name, version=1, steps=(LadderStep(min_days=0, max_days=None, channels=channels),))
        for name, channels in {"TODAY": ("sms", "whatsapp"), "OTHER": ("whatsapp", "sms")}.items()
    }
    inputs = book(4) | {"channel_scores": None, "collectors": TEAM.iloc[:0], "ladder": ladders["TODAY"]}
    inputs["features"] = inputs["features"].assign(past_due_days=[40, 30, 20, 10])
    other = Variant(experiment_id="e1", arm_code="other", ladder=ladders["OTHER"])
    limits = dict.fromkeys(COSTS, 0) | {"sms": 2, "whatsapp": 2}
    found = run(inputs, daily_capacity=limits, **halves(["m00000", "m00001", "m00002", "m00003"], other))
    rows = found.decisions
    assert rows["action"].tolist() == ["sms", "whatsapp", "whatsapp", "sms"]
    assert rows["arm_code"].tolist() == ["today", "other"] * 2
    assert rows["propensity"].tolist() == pytest.approx([0.5, 1.0, 0.5, 0.5])
    assert rows["rank"].tolist() == [1, 1, 2, 2]
    assert all("LADDER_STEP" in codes for codes in rows["reason_codes"])
    assert found.summary["changed_arms"]["e1/other"] == {
        "changes": {"ladder": "OTHER v1"}, "member_count": 2, "contact_count": 2
    }  # fmt: skip


def test_members_of_an_arm_of_weights_are_told_its_values() -> None:
    inputs = weighed_book(120)
    names = inputs["features"]["customer_id"].tolist()
    found = run(inputs, provision_weight=0.25, exploration_share=0.1, **halves(names, OTHER))
    assert judged(found, {name: inputs[name] for name in inputs if name != "stakes"}) == []
    by_weight = {
        weight: run(inputs, provision_weight=weight).details.set_index(["customer_id", "channel_code"])
        for weight in (0.25, 1.0)
    }
    details = found.details.set_index(["customer_id", "channel_code"])
    arm = found.decisions.set_index("customer_id")["arm_code"]
    for code, weight in (("today", 0.25), ("other", 1.0)):
        mine = details.index.get_level_values(0).map(arm) == code
        for column in ("provision_avoided_amount", "net_amount", "gain_amount"):
            wanted = by_weight[weight].loc[details.index[mine], column].to_numpy()
            np.testing.assert_allclose(details.loc[mine, column].to_numpy(), wanted)
    assert not np.allclose(by_weight[0.25]["net_amount"], by_weight[1.0]["net_amount"])
    chosen = found.decisions[found.decisions["action"] != "none"]
    parts = chosen["expected_gain_amount"] + chosen["provision_avoided_amount"] + chosen["fee_amount"]
    assert (chosen["value_amount"] - parts + chosen["contact_cost_amount"]).abs().max() < 1e-9
    # what decided is what is told: the surplus over the prices that the own plan paid
    planned = chosen[~chosen["is_exploration"]]
    best = planned["reason_codes"].str.contains("HIGH_GAIN|BEST_CHANNEL|AVOIDS_PROVISION")
    assert best.groupby(planned["arm_code"]).mean().min() > 0.9
    shown = details.loc[details["is_chosen"] & ~details.index.get_level_values(0).isin(
        chosen.loc[chosen["is_exploration"], "customer_id"])]  # fmt: skip
    assert (shown["net_amount"] - shown["price_amount"] > -1e-6).all()
    assert found.summary["changed_arms"]["e1/other"]["changes"] == {"decision.provision_weight": 1.0}
    assert found.summary["changed_arms"]["e1/other"]["member_count"] == 60


def test_an_arm_may_follow_another_version_of_the_model() -> None:
    inputs = weighed_book(80)
    names = inputs["features"]["customer_id"].tolist()
    model = Variant(experiment_id="e1", arm_code="model", channel_model="other")
    theirs = inputs["channel_scores"].assign(model_version="other")
    theirs["gain_amount"] = np.where(theirs["channel_code"] == "email", 30.0, -1.0)
    found = run(inputs, **halves(names, model, channel_scores=theirs))
    rows = found.decisions.set_index("arm_code")
    assert set(rows.loc["model", "action"]) == {"email"}
    assert rows.loc["model", "expected_gain_amount"].unique().tolist() == [30.0]
    assert len(set(rows.loc["today", "action"])) > 3
    # a version that is in force needs no scores of its own
    same = run(inputs, **halves(names, model.model_copy(update={"channel_model": "today"})))
    assert same.decisions["action"].nunique() > 3
    with pytest.raises(RuleError, match="no channel scores of the version other"):
        run(inputs, **halves(names, model))


def test_an_arm_that_nobody_can_follow_today_does_not_stop_the_day() -> None:
    """Two experiments, one with nobody left (its population is gone): its model scored nobody, and its part is nobody's."""
    inputs = weighed_book(40)
    mine = halves(inputs["features"]["customer_id"].tolist(), OTHER)
    alone = run(inputs, **mine)
    deserted = Variant(experiment_id="e2", arm_code="model", channel_model="v2")
    chances, none = mine["variants"].chances, inputs["channel_scores"].iloc[:0].assign(model_version="v2")
    never = chances.assign(plan_code=deserted.code, probability=0.0)
    for known in (chances, pd.concat([chances, never])):
        for scores in (None, none):
            found = run(inputs, arms=mine["arms"], variants=Variants((deserted, OTHER), known, scores))
            pd.testing.assert_frame_equal(found.decisions, alone.decisions, check_exact=True)
            assert found.summary == alone.summary and list(found.summary["changed_arms"]) == ["e1/other"]
    one = never.iloc[:1].assign(probability=0.5)
    with pytest.raises(RuleError, match="no channel scores of the version v2"):
        run(inputs, arms=mine["arms"], variants=Variants((deserted, OTHER), pd.concat([chances, one]), none))


@pytest.mark.parametrize(
    "options",
    [
        {"hour_bands": {"call": {"08:00-12:00": 5, "12:00-18:00": 4}}, "daily_budget": 30.0},
        {
            "duties": duties(
                *({"customer_id": f"m{number:05d}", "is_last_chance": number % 2 == 0} for number in range(9))
            )
        },
        {"policies": FREE, "actions_per_person": 2, "second_action_share": 0.9},
        {"hour_bands": {"sms": {"08:00-12:00": 5, "12:00-18:00": 4}}, "channel_scores": None},
    ],
    ids=["bands and budget", "duties", "second", "two ladders with bands"],
)
def test_capacities_are_kept_whatever_the_arms_and_the_day(options: dict[str, Any]) -> None:
    inputs = weighed_book(90, seed=5) | {"collectors": PEOPLE}
    names = inputs["features"]["customer_id"].tolist()
    steps = (LadderStep(min_days=0, max_days=None, channels=("visit", "call", "whatsapp", "sms")),)
    ladder = Variant(experiment_id="e1", arm_code="steps", ladder=Ladder(id="X", version=1, steps=steps))
    plans = [ladder] if "channel_scores" in options else [OTHER, ladder]
    earlier = pd.DataFrame({"as_of_date": pd.Timestamp("2026-06-29"), "customer_id": names, "action": "sms"})
    limits = LIMITS | {"call": 9}
    more = {
        "exploration_share": 0.1,
        "provision_weight": 0.25,
        "stay_amount": 0.5,
        "earlier": earlier.assign(collector_id=None),
    }
    found = run(inputs | options, daily_capacity=limits, **more, **halves(names, *plans, held=0.1))
    assert (found.prices["used_count"] <= found.prices["capacity_count"]).all()
    rows = found.decisions
    assert rows.groupby("arm_code")["action"].apply(lambda actions: (actions != "none").any()).all()
    known = rows["propensity"].dropna()
    # beside a budget nobody knows for certain what another plan would have done
    assert ((known > 0) & (known <= 1 + 1e-9)).all()
    assert known.empty if "daily_budget" in options else len(known) > 60
    codes = [line["code"] for line in found.summary["warnings"]]
    assert ("unknown_propensity" in codes) == ("daily_budget" in options)
    must = rows[rows["reason_codes"].str.contains("MINIMUM_DUTY")]
    if "duties" in options:
        assert set(must["arm_code"]) == {"today", "other", "steps"} and must["propensity"].isna().all()
        # a duty is the product's whatever the arm: its values are those of today's weights
        plain = run(inputs | options, provision_weight=0.25).details.set_index(["customer_id", "channel_code"])
        mine = found.details[found.details["customer_id"].isin(must["customer_id"])]
        wanted = plain.loc[pd.MultiIndex.from_frame(mine[["customer_id", "channel_code"]]), "net_amount"]
        np.testing.assert_allclose(mine["net_amount"].to_numpy(), wanted.to_numpy())
    if options.get("actions_per_person"):
        seconds = found.second_contacts
        assert len(seconds) and not set(seconds["arm_code"]) & {"steps"}
        # of everybody by today's weights: what is left is drawn to no arm by its own
        plain = run(inputs | options, provision_weight=0.25).details.set_index(["customer_id", "channel_code"])
        keys = pd.MultiIndex.from_frame(seconds[["customer_id", "action"]])
        wanted = 0.9 * plain.loc[keys, "provision_avoided_amount"].to_numpy()
        np.testing.assert_allclose(seconds["provision_avoided_amount"].to_numpy(), wanted)


def test_what_an_arm_does_not_need_of_its_part_stays_idle_and_is_told() -> None:
    """Ten texts for two arms of one half, each 5 within one; the other arm's model wants three of its own 20 members."""
    inputs = weighed_book(40)
    names = inputs["features"]["customer_id"].tolist()
    scores = inputs["channel_scores"].assign(is_supported=True, gain_amount=-1.0, model_version="today")
    scores.loc[scores["channel_code"] == "sms", "gain_amount"] = 5.0
    few = names[1:6:2]  # members with odd numbers are of the other arm
    theirs = scores.assign(model_version="v2")
    theirs.loc[~theirs["customer_id"].isin(few), "gain_amount"] = -1.0
    model = Variant(experiment_id="e1", arm_code="other", channel_model="v2")
    limits = dict.fromkeys(COSTS, 0) | {"sms": 10}
    found = run(
        inputs | {"channel_scores": scores, "collectors": TEAM.iloc[:0]},
        daily_capacity=limits,
        **halves(names, model, channel_scores=theirs),
    )
    rows = found.decisions[found.decisions["action"] == "sms"]
    assert sorted(rows.loc[rows["arm_code"] == "other", "customer_id"]) == few
    served = int((rows["arm_code"] == "today").sum())
    (texts,) = found.prices.loc[found.prices["channels"].str.contains("sms"), "used_count"]
    assert served == 5 and texts == 8
    assert found.summary["idle_capacity"] == {"product": {}, "e1/other": {"messages:sms": 2}}
    # of a budget in whole units of money: half of 4 less what three texts cost
    money = run(inputs | {"channel_scores": scores}, daily_capacity=limits, daily_budget=4.0,
                **halves(names, model, channel_scores=theirs))  # fmt: skip
    assert money.summary["idle_capacity"]["e1/other"]["budget:day"] == int(2.0 - 3 * COSTS["sms"])


def test_the_head_start_of_a_duty_in_another_arm_is_no_planned_value() -> None:
    """The product's plan serves duties of all arms: its value is that of their contacts, without what yesterday adds."""
    inputs = weighed_book(40)
    names = inputs["features"]["customer_id"].tolist()
    earlier = pd.DataFrame(
        {"as_of_date": pd.Timestamp("2026-06-29"), "customer_id": names, "action": "call", "collector_id": None}
    )
    owed = duties(*({"customer_id": name, "is_last_chance": True} for name in names[:12]))
    found = run(inputs, duties=owed, earlier=earlier, stay_amount=5.0, **halves(names, OTHER))
    rows = found.decisions[found.decisions["action"] != "none"]
    is_duty = rows["reason_codes"].str.contains("MINIMUM_DUTY")
    assert (is_duty & (rows["arm_code"] == "other") & (rows["action"] == "call")).any()
    mine = rows.loc[is_duty | (rows["arm_code"] == "today"), "value_amount"].sum()
    assert found.summary["planned_value_amount"] == pytest.approx(mine, abs=0.01)


def test_an_unfinished_list_leaves_of_every_arm_its_part() -> None:
    """The other arm counts a provision of up to 200: by value alone its members would stand first on every list."""
    inputs = weighed_book(160)
    names = inputs["features"]["customer_id"].tolist()
    limits = dict.fromkeys(COSTS, 0) | {"sms": 100}
    found = run(inputs | {"collectors": TEAM.iloc[:0]}, daily_capacity=limits, **halves(names, OTHER))
    rows = found.decisions[found.decisions["action"] == "sms"].sort_values("rank")
    assert rows["rank"].tolist() == list(range(1, len(rows) + 1)) and len(rows) > 40
    is_other = (rows["arm_code"] == "other").to_numpy()
    share = is_other.mean()
    for worked in range(1, len(rows) + 1):
        assert abs(is_other[:worked].sum() - share * worked) <= 1.0
    for code in ("today", "other"):
        values = rows.loc[rows["arm_code"] == code, "value_amount"]
        assert values.is_monotonic_decreasing
    assert not rows["value_amount"].is_monotonic_decreasing


def test_a_head_start_is_by_the_values_of_the_own_plan() -> None:
    inputs = weighed_book(40)
    names = inputs["features"]["customer_id"].tolist()
    earlier = pd.DataFrame(
        {"as_of_date": pd.Timestamp("2026-06-29"), "customer_id": names, "action": "call", "collector_id": None}
    )
    found = run(inputs, earlier=earlier, stay_share=0.5, provision_weight=0.0, **halves(names, OTHER))
    calls = found.details[found.details["channel_code"] == "call"]
    np.testing.assert_allclose(calls["stay_amount"], 0.5 * np.maximum(calls["net_amount"], 0.0))
    mine = calls["customer_id"].map(found.decisions.set_index("customer_id")["arm_code"]) == "other"
    assert (calls.loc[mine, "provision_avoided_amount"] > 0).any()


def test_what_if_changes_today_and_leaves_what_an_arm_says_itself() -> None:
    inputs = weighed_book(40)
    names = inputs["features"]["customer_id"].tolist()
    arguments = inputs | halves(names, OTHER) | {
        "default_risk": None, "policies": worlds.policies(), "ladder": load_ladder(worlds.POLICIES),
        "holidays": worlds.calendar(), "costs": COSTS, "daily_capacity": LIMITS, "as_of": worlds.TUESDAY,
        "timezone": worlds.QUITO, "exploration_share": 0.0, "provision_weight": 0.25,
    }  # fmt: skip
    found = what_if(arguments, [Change.parse("decision.provision_weight=0")])
    for outcome, today in ((found.before, 0.25), (found.after, 0.0)):
        most = outcome.details.groupby(outcome.details["customer_id"].map(
            outcome.decisions.set_index("customer_id")["arm_code"]))["provision_avoided_amount"].max()  # fmt: skip
        # at most the whole roll of 200 times the rest of certainty, 0.8
        assert most["other"] > 40 and most["today"] <= today * 160
        assert (most["today"] > 0) == (today > 0)


def test_what_an_arm_changes_cannot_be_decided_in_silence() -> None:
    inputs = weighed_book(10)
    names = inputs["features"]["customer_id"].tolist()
    with pytest.raises(RuleError, match="e1/other changes the product, which is the ladder without a channel model"):
        run(inputs | {"channel_scores": None}, **halves(names, OTHER))
    twice = halves(names, OTHER)
    twice["variants"] = Variants((OTHER,), pd.concat([twice["variants"].chances] * 2))
    with pytest.raises(RuleError, match="two probabilities of one plan"):
        run(inputs, **twice)


def test_the_archive_gives_the_same_decision_back(tmp_path) -> None:
    inputs = weighed_book(30)
    names = inputs["features"]["customer_id"].tolist()
    steps = (LadderStep(min_days=0, max_days=None, channels=("visit", "sms")),)
    plans = [
        OTHER,
        Variant(experiment_id="e1", arm_code="steps", ladder=Ladder(id="X", version=1, steps=steps)),
        Variant(experiment_id="e1", arm_code="model", channel_model="v2"),
    ]
    scores = inputs["channel_scores"].assign(model_version="v2").sample(frac=1, random_state=1)
    arguments = {
        **inputs,
        **halves(names, *plans, channel_scores=scores.reset_index(drop=True)),
        "default_risk": None,
        "policies": worlds.policies(),
        "ladder": Ladder(id="T", version=1, steps=steps),
        "holidays": worlds.calendar(),
        "costs": COSTS,
        "daily_capacity": LIMITS,
        "as_of": worlds.TUESDAY,
        "timezone": worlds.QUITO,
        "exploration_share": 0.1,
    }
    archive = Archive(tmp_path / "archive", tmp_path / "draft")
    stored = dump(decide, arguments, archive)
    assert {"variants.chances", "variants.channel_scores"} <= set(stored.frames)
    given = load(decide, Arguments.model_validate_json(stored.model_dump_json()), archive)
    assert given["variants"].plans == tuple(plans)
    one, other = decide(**arguments), decide(**given)
    pd.testing.assert_frame_equal(one.decisions, other.decisions, check_exact=True)
    pd.testing.assert_frame_equal(one.details, other.details, check_exact=True)
    assert json.dumps(one.summary, sort_keys=True) == json.dumps(other.summary, sort_keys=True)
