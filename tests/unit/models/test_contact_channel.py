from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.artifacts import json_bytes
from models.contact_channel.amounts import fit_amount
from models.contact_channel.card import chosen_texts, decision_texts, render
from models.contact_channel.claims import PRIOR_SCALE, measure_scale, trusted_scale
from models.contact_channel.judge import (
    choose_learner,
    decide_promotion,
    doubly_robust,
    overlap,
    r_gain,
)
from models.contact_channel.learners import fit_learner
from models.contact_channel.nuisance import Nuisance, cross_fit
from models.contact_channel.plans import plan_within
from models.contact_channel.rows import NONE, ChannelRows, bin_rows
from models.contact_channel.score import ChannelModelOff, ContactChannelModel
from models.contact_channel.settings import BEST_ARM, CANDIDATES, CONSTANT, ContactChannelSettings
from models.contact_channel.train import train
from models.estimators import BoosterSettings
from models.features import CONTACT_CHANNELS, CUSTOMER_FEATURES
from puntual.errors import ModelError

CHANNELS = list(CONTACT_CHANNELS)
SMALL = BoosterSettings(rounds=40)
FAST = ContactChannelSettings(
    candidates=("effect_through_reach", "x_learner", "s_learner", "constant_effect"),
    bootstrap_draws=100,
    support_rows=5_000,
    base=replace(SMALL, rounds=80),
    reach=SMALL,
    effect=replace(SMALL, learning_rate=0.06, l2=30.0),
    amount=SMALL,
    difference=SMALL,
    propensity=replace(SMALL, rounds=15),
)


@pytest.fixture(scope="module")
def world(contact_world: Callable):
    return contact_world(members=1500, weeks=20)


@pytest.fixture(scope="module")
def model(world) -> ContactChannelModel:
    found = train(world.features, world.labels, as_of=world.as_of, channels=CHANNELS, settings=FAST)
    assert isinstance(found, ContactChannelModel)
    return found


def share_of_best(gain: np.ndarray, truth: np.ndarray) -> float:
    """Value of the plan made from ``gain`` over the best possible, a tenth of the members per channel."""
    capacity = np.full(truth.shape[1], len(truth) // 10)
    index = np.arange(len(truth))

    def value(plan: np.ndarray) -> float:
        return float(np.where(plan == NONE, 0.0, truth[index, np.maximum(plan, 0)]).sum())

    return value(plan_within(gain, capacity)) / value(plan_within(truth, capacity))


def wide(scores: pd.DataFrame, column: str) -> np.ndarray:
    return scores.pivot(index="customer_id", columns="channel_code", values=column)[CHANNELS].to_numpy()


def test_the_effect_model_beats_the_response_score_under_the_same_capacities(world, model: ContactChannelModel) -> None:
    truth = world.truth.sort_values("customer_id")[CHANNELS].to_numpy()
    scores = model.predict(world.today, CHANNELS)
    # A response score ranks by the money expected from those contacted: it seeks sure payers with large instalments.
    response = wide(scores, "pay_probability") * wide(scores, "expected_amount")
    own = share_of_best(wide(scores, "gain_amount"), truth)
    assert own > 0.85
    assert own > share_of_best(response, truth) + 0.15


def test_the_claimed_gain_of_the_plan_is_near_its_true_gain(world, model: ContactChannelModel) -> None:
    gain = wide(model.predict(world.today, CHANNELS), "gain_amount")
    truth = world.truth.sort_values("customer_id")[CHANNELS].to_numpy()
    plan = plan_within(gain, np.full(len(CHANNELS), len(truth) // 10))
    rows = np.flatnonzero(plan != NONE)
    assert gain[rows, plan[rows]].sum() == pytest.approx(truth[rows, plan[rows]].sum(), rel=0.15)


def test_the_card_tells_the_comparison_and_the_decision(model: ContactChannelModel) -> None:
    judged = model.card["evaluation"]
    assert judged["split"] == "time_with_gap"
    assert (min(judged["test_weeks"]) - max(judged["train_weeks"])).days >= 7
    assert judged["r_gain"]["effect_through_reach"]["value"] > judged["r_gain"]["response_score"]["value"]
    assert model.promote == model.card["decision"]["promote"]
    assert set(judged["r_gain"]) == {*FAST.candidates, CONSTANT, BEST_ARM, "response_score"}
    # What chose the learner does not value it: the earlier held-out weeks choose, the later ones value.
    assert judged["valuing_weeks"] == judged["test_weeks"][-len(judged["valuing_weeks"]) :]
    assert 0 < len(judged["valuing_weeks"]) < len(judged["test_weeks"])
    assert judged["against_best_arm"][judged["chosen"]]["value"] > 0
    assert judged["overlap"]["effective_sample"] > 100
    page = render(model.card)
    assert "http" not in page
    assert page.index("Por qué este método") < page.index("Frente a un solo número por canal")
    assert "<script" not in page
    assert page.index("Mejor canal") < page.index("Best channel")
    assert page.count("<svg") == 4
    for raw in (*CANDIDATES, BEST_ARM, "response_score", "R-loss", ">call<", ">visit<"):
        assert raw not in page, raw


def test_the_card_says_on_what_the_claims_were_measured(model: ContactChannelModel) -> None:
    found = model.card["evaluation"]
    all_logged = render(model.card | {"evaluation": found | {"logged_propensity_share": 1.0}})
    some = render(model.card | {"evaluation": found | {"logged_propensity_share": 0.873}})
    assert "Todos los contactos juzgados tienen su probabilidad registrada" in all_logged
    assert "Todos los contactos juzgados" not in some
    assert "Solo el 87,3 % de los contactos juzgados" in some
    assert "Only 87.3% of the judged contacts" in some


def test_the_card_says_how_far_members_are_told_apart_and_the_model_does_so(world, model: ContactChannelModel) -> None:
    found = model.card["evaluation"]
    assert 0.5 < model.fit.told_apart <= 2.0
    assert model.fit.told_apart == found["told_apart"]
    half = found | {"told_apart": 0.625, "told_apart_measured": {"value": 0.4, "error": 0.25}}
    page = render(model.card | {"evaluation": half})
    assert "0,40 ± 0,25 y se usa 0,63" in page or "0,40 ± 0,25 y se usa 0,62" in page
    nobody = found | {"told_apart": 1.0, "told_apart_measured": {"value": float("nan"), "error": float("nan")}}
    assert "lo que distingue" not in render(model.card | {"evaluation": nobody})
    # with none of the differences, everybody gains by the channel's one number
    rows = world.today
    alike = replace(model, fit=replace(model.fit, told_apart=0.0)).predict(rows, CHANNELS)
    constant = replace(model, fit=replace(model.fit.only_constants())).predict(rows, CHANNELS)
    assert alike["gain_amount"].to_numpy() == pytest.approx(constant["gain_amount"].to_numpy(), rel=1e-9)
    assert (
        ContactChannelModel.from_files(replace(model, fit=replace(model.fit, told_apart=0.5)).to_files()).fit.told_apart
        == 0.5
    )


def test_a_stored_card_makes_the_page_of_the_fresh_one(model: ContactChannelModel) -> None:
    nothing = {"value": float("nan"), "error": float("nan")}
    found = model.card["evaluation"]
    unknown = {"scale_measured": found["scale_measured"] | {"call": nothing}, "told_apart_measured": nothing}
    fresh = model.card | {"evaluation": found | unknown}
    row = "<tr><td>Llamada / Call</td><td>–</td>"
    for card in (fresh, json.loads(json_bytes(fresh))):
        page = render(card)
        assert row in page
        assert "lo que distingue" not in page
    assert row not in render(json.loads(json_bytes(model.card)))


def test_the_card_gives_every_reason_in_both_languages(model: ContactChannelModel) -> None:
    found = model.card["evaluation"]
    chosen = found["chosen"]
    sure = found["against_habit"] | {chosen: {"value": 1234.5, "low": 1000.25, "high": 1500.0}}
    rich = model.card | {"currency": "USD", "evaluation": found | {"against_habit": sure}}
    es, en = decision_texts(rich)
    assert "USD 1.234,50 (1.000,25\u00a0a\u00a01.500,00)" in es
    assert "USD 1,234.50 (1,000.25\u00a0to\u00a01,500.00)" in en
    unsure = found["against_habit"] | {chosen: {"value": 1.0, "low": -1.0, "high": 3.0}}
    es, en = decision_texts(
        model.card | {"decision": {"promote": False}, "evaluation": found | {"against_habit": unsure}}
    )
    assert es.startswith("No reemplaza: no es seguro")
    assert en.startswith("Does not replace it: not surely")
    es, en = decision_texts(
        model.card | {"evaluation": found | {"overlap": found["overlap"] | {"effective_sample": 3.0, "share": 0.0}}}
    )
    assert "dice muy poco" in es
    assert "equivalen a 3 observados" in es
    assert "too little" in en
    assert "worth 3 observed ones" in en
    assert "mejor sin duda que «Efecto a través" in chosen_texts({"chosen": "x_learner"})[0]
    for reason in ("5 weeks of history are too few to hold any out", "no payment before the held-out weeks, or"):
        page = render(model.card | {"evaluation": {"split": None, "reason": reason}})
        assert "No se midió: " in page
        assert f"No se midió: {reason}" not in page


def _judged(value: float, low: float, worth: float, planned: int) -> dict:
    """What ``compare`` says of a plan whose worth in the log is given."""
    return {
        "split": "time_with_gap",
        "chosen": "x_learner",
        "overlap": {"effective_sample": worth, "planned_count": planned, "share": worth / planned, "by_channel": {}},
        "against_habit": {"x_learner": {"value": value, "low": low, "high": 2 * value - low}},
    }


@pytest.mark.parametrize(
    ("proof", "judged", "promote", "says"),
    [
        ("certain", _judged(1.0, 0.1, 500.0, 10_000), True, ("Mejor que el modo actual sin duda", "Surely better")),
        ("certain", _judged(1.0, -0.1, 500.0, 10_000), False, ("No reemplaza: no es seguro", "Does not replace it")),
        ("likely", _judged(1.0, -0.1, 500.0, 10_000), True, ("solo por la estimación", "by the estimate alone")),
        ("likely", _judged(1.0, 0.1, 500.0, 10_000), True, ("Mejor que el modo actual sin duda", "Surely better")),
        ("likely", _judged(-1.0, -2.0, 500.0, 10_000), False, ("No reemplaza: no es seguro", "Does not replace it")),
        # Three observed contacts among ten thousand planned ones: whatever they paid, nothing is decided by them.
        ("likely", _judged(1.0, -0.1, 3.0, 10_000), False, ("10.000 contactos equivalen a 3", "10,000 contacts")),
        ("likely", _judged(1.0, 0.1, 3.0, 10_000), False, ("dice muy poco", "too little")),
        ("likely", _judged(1.0, -0.1, 99.0, 10_000), False, ("dice muy poco", "too little")),
        ("likely", _judged(1.0, -0.1, 150.0, 100_000), False, ("dice muy poco", "too little")),
        (
            "likely",
            {"split": None, "reason": "5 weeks of history are too few to hold any out"},
            False,
            ("hay muy pocas semanas", "5 weeks of history"),
        ),
    ],
)
def test_an_estimate_promotes_only_where_the_log_says_enough(
    proof: Literal["certain", "likely"], judged: dict, promote: bool, says: tuple[str, str]
) -> None:
    decision = decide_promotion(judged, proof=proof)
    assert (decision["promote"], decision["proof"]) == (promote, proof)
    es, en = decision_texts({"decision": decision, "evaluation": judged})
    assert says[0] in es
    assert says[1] in en
    # No reason for staying is ever given for a promotion, nor the other way round.
    for text, stays in ((es, "No reemplaza"), (en, "Does not replace it")):
        assert text.startswith(stays) != promote


def test_what_a_plan_must_be_worth_is_a_setting() -> None:
    judged = _judged(1.0, 0.1, 60.0, 600)
    assert not decide_promotion(judged)["promote"]
    found = decide_promotion(judged, least_effective_sample=50)
    assert found["promote"]
    assert decide_promotion(judged, least_effective_sample=61)["reason"].startswith("the log says too little")
    assert decision_texts({"decision": found, "evaluation": judged})[1].startswith("Surely better")


def test_every_learner_ends_in_the_same_shape_and_finds_the_best_channel(world) -> None:
    log, _, truth = binary_log(rows=12_000)
    settings = replace(FAST, n_jobs=1)
    width = len(CUSTOMER_FEATURES.feature_names)
    log = replace(log, matrix=np.tile(log.matrix[:, :1], (1, width)), reached=log.treatment != NONE)
    binned = bin_rows(log.matrix, settings, seed=0)
    amount = fit_amount(log, binned, settings, seed=0)
    cross = cross_fit(log, binned, ["a", "b"], settings, seed=0)
    for learner in (*CANDIDATES, BEST_ARM):
        fit = fit_learner(learner, log, binned, ["a", "b"], settings, amount=amount, seed=0, cross=cross)
        found = fit.gains(log.matrix, log.collectable, log.installment)
        assert found.gain.shape == found.constant_gain.shape == truth.shape, learner
        assert found.gain.mean(axis=0) == pytest.approx(truth.mean(axis=0), rel=0.3), learner
        if learner not in (CONSTANT, BEST_ARM):
            # Channel b is worth more above x = .5 only: whoever knows members sees it.
            high = log.matrix[:, 0] > 0.5
            assert found.gain[high, 1].mean() > found.gain[~high, 1].mean() + 1.0, learner


def test_one_row_per_eligible_member_and_asked_channel(world, model: ContactChannelModel) -> None:
    today = world.today.assign(is_eligible=np.arange(len(world.today)) % 2 == 0)
    scores = model.predict(today, ["sms", "call", "pigeon"])
    assert len(scores) == 3 * int(today["is_eligible"].sum())
    assert scores["channel_code"].head(3).tolist() == ["call", "pigeon", "sms"]
    assert not scores.loc[scores["channel_code"] == "pigeon", "is_supported"].any()
    assert (scores.loc[scores["channel_code"] == "pigeon", "gain_amount"] == 0).all()
    assert scores["pay_probability"].between(0, 1).all()
    assert scores["reach_probability"].between(0, 1).all()


def test_the_same_rows_in_any_order_give_the_same_bytes(world, model: ContactChannelModel) -> None:
    again = train(
        world.features.sample(frac=1, random_state=1),
        world.labels.sample(frac=1, random_state=2),
        as_of=world.as_of,
        channels=CHANNELS[::-1],
        settings=FAST,
    )
    assert again.to_files() == model.to_files()
    assert again.card == model.card


def test_it_is_read_back_from_its_files(world, model: ContactChannelModel) -> None:
    again = ContactChannelModel.from_files(model.to_files(), model.card)
    pd.testing.assert_frame_equal(again.predict(world.today, CHANNELS), model.predict(world.today, CHANNELS))
    assert (again.version, again.promote) == (model.version, model.promote)


def test_without_contacts_it_is_off_and_says_why(world) -> None:
    silent = world.labels.assign(channel_code="none", was_reached=False)
    found = train(world.features, silent, as_of=world.as_of, channels=CHANNELS)
    assert isinstance(found, ChannelModelOff)
    assert "no outbound contact" in found.reason


def test_without_a_matured_week_it_is_off(world) -> None:
    found = train(world.features, world.labels.assign(is_matured=False), as_of=world.as_of, channels=CHANNELS)
    assert isinstance(found, ChannelModelOff)
    assert found.reason == "no eligible member-week with a matured response window"
    assert found.reason_es.startswith("ninguna semana de un socio con deuda")


def test_a_channel_hardly_used_gains_nothing_and_is_not_supported(world) -> None:
    rare = world.labels[world.labels["channel_code"].ne("visit") | (np.arange(len(world.labels)) % 50 == 0)]
    found = train(world.features, rare, as_of=world.as_of, channels=CHANNELS, settings=FAST)
    assert isinstance(found, ContactChannelModel)
    visits = found.predict(world.today, ["visit"])
    assert not visits["is_supported"].any()
    assert (visits["gain_amount"] == 0).all()


def test_a_column_from_the_future_is_refused(world) -> None:
    with pytest.raises(ModelError, match="not part of the table"):
        train(world.features.assign(paid_7d_amount=1.0), world.labels, as_of=world.as_of, channels=CHANNELS)


# --- judging -----------------------------------------------------------------------------------------------------


def toy_log(rows: int, seed: int) -> tuple[ChannelRows, Nuisance, np.ndarray]:
    """Two channels, a logged policy that depends on x, and the true mean amounts of no contact and of each channel."""
    random = np.random.default_rng(seed)
    x = random.random(rows)
    means = np.column_stack([10 * x, 10 * x + 2, 10 * x + 6 * (x > 0.5) - 1])
    chance = np.column_stack([0.5 - 0.2 * x, 0.3 + 0 * x, 0.2 + 0.2 * x])
    taken = (random.random(rows)[:, None] > chance.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    money = means[np.arange(rows), taken] + random.normal(0, 2, rows)
    log = ChannelRows(
        matrix=x[:, None].astype(np.float32),
        collectable=np.full(rows, 10.0),
        installment=np.full(rows, 10.0),
        treatment=taken - 1,
        reached=taken > 0,
        paid=(money > 0).astype(float),
        paid_amount=money,
        propensity=chance[np.arange(rows), taken],
        week=np.zeros(rows, dtype="datetime64[D]"),
        member=np.arange(rows),
    )
    return log, Nuisance(chance, means, np.full(rows, 10.0)), means


@pytest.mark.parametrize("wrong", ["nothing", "outcomes", "propensities"])
def test_the_doubly_robust_value_is_right_when_one_of_its_parts_is(wrong: str) -> None:
    log, right, means = toy_log(60_000, seed=0)
    plan = np.where(log.matrix[:, 0] > 0.5, 1, 0)
    true = means[np.arange(len(log)), plan + 1].mean()
    parts = {
        "nothing": right,
        "outcomes": replace(right, mean_amount=np.full_like(means, 3.0)),
        "propensities": replace(right, propensity=np.full_like(means, 1 / 3)),
    }[wrong]
    assert doubly_robust(log, parts, plan, clip=50.0).mean() == pytest.approx(true, abs=0.12)


def test_a_row_of_the_doubly_robust_value_by_hand() -> None:
    log, nuisance, _ = toy_log(3, seed=0)
    log = replace(log, treatment=np.array([0, 1, NONE]), paid_amount=np.array([7.0, 5.0, 1.0]))
    parts = replace(
        nuisance,
        propensity=np.array([[0.5, 0.25, 0.25]] * 3),
        mean_amount=np.array([[1.0, 3.0, 4.0]] * 3),
    )
    # Planned: channel 0 for all. Taken in the first row only: 3 + (7 - 3) / .25 = 19; the others count their mean, 3.
    assert doubly_robust(log, parts, np.zeros(3, dtype=int), clip=50.0).tolist() == [19.0, 3.0, 3.0]
    # A clip of 2 halves the weight: 3 + 2 * 4 = 11.
    assert doubly_robust(log, parts, np.zeros(3, dtype=int), clip=2.0).tolist() == [11.0, 3.0, 3.0]
    assert overlap(log, parts, np.zeros(3, dtype=int), ["a", "b"])["effective_sample"] == pytest.approx(1.0)


def binary_log(seed: int = 0, rows: int = 40_000) -> tuple[ChannelRows, Nuisance, np.ndarray]:
    """A log in which paying, not money, is moved; the true gains of two channels in money."""
    log, nuisance, _ = toy_log(rows, seed)
    x = log.matrix[:, 0].astype(float)
    chance = np.column_stack([0.2 + 0.3 * x, 0.4 + 0.3 * x, 0.2 + 0.3 * x + 0.3 * (x > 0.5)])
    paid = (np.random.default_rng(seed + 1).random(rows) < chance[np.arange(rows), log.treatment + 1]).astype(float)
    truth = 10.0 * (chance[:, 1:] - chance[:, :1])
    return replace(log, paid=paid, paid_amount=10.0 * paid), replace(nuisance, mean_amount=10.0 * chance), truth


def test_r_loss_prefers_the_true_gains() -> None:
    log, nuisance, truth = binary_log()
    samples = {
        "effect_through_reach": r_gain(log, nuisance, truth),
        "intention_to_treat": r_gain(log, nuisance, truth[:, ::-1]),
        "constant_effect": r_gain(log, nuisance, np.full_like(truth, 0.0)),
    }
    means = {name: values.mean() for name, values in samples.items()}
    assert max(means, key=means.get) == "effect_through_reach"
    assert choose_learner(samples, log.member, draws=100, seed=0)[0] == "effect_through_reach"
    swapped = samples | {
        "effect_through_reach": samples["intention_to_treat"],
        "intention_to_treat": samples["effect_through_reach"],
    }
    assert choose_learner(swapped, log.member, draws=100, seed=0)[0] == "intention_to_treat"


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_a_claim_too_large_is_measured_as_such(factor: float) -> None:
    log, nuisance, truth = binary_log()
    alone = nuisance.mean_amount[:, 0] / 10.0
    base = np.log(alone / (1 - alone))
    reach = np.full_like(truth, 0.5)
    found = measure_scale(log, nuisance, factor * truth, reach, base, clip=50.0)
    # Everybody contacted was moved by the attempt itself, so nobody "not reached" may correct the base here.
    assert np.abs(found.value - 1 / factor).max() < 0.12 / factor
    assert (found.error < 0.1 / factor).all()
    silent = measure_scale(log, nuisance, truth * [1.0, 0.0], reach, base, clip=50.0)
    assert np.isnan(silent.value[1])


def test_a_few_contacts_of_one_channel_do_not_move_the_factors_of_the_others() -> None:
    # one contact agrees with any factor exactly, and knows no error
    log, nuisance, truth = binary_log()
    alone = nuisance.mean_amount[:, 0] / 10.0
    base, reach = np.log(alone / (1 - alone)), np.full_like(truth, 0.5)
    rare = np.flatnonzero((log.treatment == 1) & (truth[:, 1] != 0))
    whole = trusted_scale(*_factors(log, nuisance, truth, reach, base, np.arange(len(log))))[0]
    for kept in (1, 2, 19, 20):
        there = np.sort(np.r_[np.flatnonzero(log.treatment != 1), rare[:kept]])
        value, error = _factors(log, nuisance, truth, reach, base, there)
        assert np.isnan(value[1]) == (kept < 20)
        assert trusted_scale(value, error)[0] == pytest.approx(whole, abs=0.1)


def _factors(log, nuisance, truth, reach, base, there) -> tuple[np.ndarray, np.ndarray]:
    found = measure_scale(log.take(there), nuisance.take(there), truth[there], reach[there], base[there], clip=50.0)
    return found.value, found.error


def test_a_hidden_leaning_that_moved_the_collectors_does_not_inflate_the_measured_factor() -> None:
    # Half of the members lean to paying, nobody sees it, and they are called twice as often. Half are reached.
    random = np.random.default_rng(5)
    rows = 120_000
    leans = random.random(rows) < 0.5
    called = random.random(rows) < np.where(leans, 0.5, 0.25)
    reached = called & (random.random(rows) < 0.5)
    paid = (random.random(rows) < np.where(leans, 0.5, 0.3) + 0.2 * reached).astype(float)
    log, _, _ = toy_log(rows, 0)
    log = replace(
        log,
        treatment=np.where(called, 0, NONE),
        reached=reached,
        paid=paid,
        propensity=np.where(leans, 0.5, 0.25),
    )
    known = np.where(called, log.propensity, 0.625)
    parts = Nuisance(np.tile([0.625, 0.375], (rows, 1)), np.full((rows, 2), 4.0), np.full(rows, 10.0), known)
    # What a base learnt on those not called says: fewer of them lean.
    alone = paid[~called].mean()
    claim = np.full((rows, 1), 10.0 * (paid[called].mean() - alone))
    assert claim.mean() / 10 > 0.115  # the true gain is half reached x .2 = .1
    base = np.full(rows, np.log(alone / (1 - alone)))
    found = measure_scale(log, parts, claim, np.full((rows, 1), 0.5), base, clip=50.0)
    assert found.value[0] * claim.mean() / 10 == pytest.approx(0.1, abs=0.012)
    # By estimated propensities, and without a look at those not reached, the confounded claim looks right.
    naive = measure_scale(log, replace(parts, taken=None), claim, np.full((rows, 1), 1.0), base, clip=50.0)
    assert naive.value[0] > found.value[0] + 0.1


@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(0.001, 5)), min_size=1, max_size=6),
)
def test_a_trusted_factor_lies_between_what_was_measured_and_expected(measured: list[tuple[float, float]]) -> None:
    value, error = (np.array(part) for part in zip(*measured, strict=True))
    trusted = trusted_scale(value, error)
    low, high = min(value.min(), PRIOR_SCALE), max(value.max(), PRIOR_SCALE)
    assert (trusted >= np.clip(low, 0.1, 1.5) - 1e-9).all()
    assert (trusted <= np.clip(high, 0.1, 1.5) + 1e-9).all()


def test_a_plan_keeps_its_capacities_and_finds_the_best_by_hand() -> None:
    gain = np.array([[5.0, 4.0], [4.0, 1.0], [3.0, 3.5], [-1.0, -2.0]])
    # One each: (0 -> second, 4) + (1 -> first, 4) = 8, or (0 -> first, 5) + (2 -> second, 3.5) = 8.5, the best.
    assert plan_within(gain, np.array([1, 1])).tolist() == [0, NONE, 1, NONE]
    assert plan_within(gain, np.array([9, 9])).tolist() == [0, 0, 1, NONE]
    assert plan_within(gain, np.array([0, 0])).tolist() == [NONE] * 4


@pytest.mark.parametrize("seed", range(8))
def test_a_plan_is_close_to_the_best_assignment(seed: int) -> None:
    from scipy.optimize import linear_sum_assignment

    random = np.random.default_rng(seed)
    gain, capacity = random.normal(1, 2, (60, 3)), np.array([5, 10, 15])
    plan = plan_within(gain, capacity)
    assert (np.bincount(plan + 1, minlength=4)[1:] <= capacity).all()
    slots = np.repeat(np.arange(3), capacity)
    worth = np.maximum(gain[:, slots], 0)
    rows, places = linear_sum_assignment(-worth)
    value = np.where(plan == NONE, 0.0, gain[np.arange(60), np.maximum(plan, 0)]).sum()
    assert value >= 0.97 * worth[rows, places].sum()


@pytest.mark.parametrize(
    ("low", "sample", "promote"),
    [
        pytest.param(0.1, 500, True, id="better"),
        pytest.param(-0.1, 500, False, id="not surely"),
        pytest.param(0.1, 5, False, id="no overlap"),
    ],
)
def test_only_a_plan_surely_better_on_a_log_that_can_tell_is_promoted(low: float, sample: float, promote: bool) -> None:
    judged = {
        "split": "time_with_gap",
        "chosen": "a",
        "overlap": {"effective_sample": sample, "share": 0.1, "planned_count": 1000},
        "against_habit": {"a": {"value": 1.0, "low": low, "high": 2.0}},
    }
    assert decide_promotion(judged)["promote"] is promote
    assert not decide_promotion({"split": None, "reason": "too short"})["promote"]
