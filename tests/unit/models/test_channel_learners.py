"""What the learners of the channel model rest on: contact points, the outline, the policy tree, the honest forest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.special import expit

from models.contact_channel.forest import honest_forest
from models.contact_channel.learners import ChannelFit, contact_points
from models.contact_channel.outline import EffectOutline, basis, fit_outline
from models.contact_channel.policy_tree import LEAF, PolicyTree, grow_policy_tree
from models.contact_channel.rows import ChannelRows
from models.contact_channel.settings import ContactChannelSettings
from models.estimators import BinnedMatrix, BoosterSettings, raw_score
from models.features import CHANNEL_POINTS, CONTACT_CHANNELS, CUSTOMER_FEATURES

NAMES = CUSTOMER_FEATURES.feature_names
KINDS = {
    "mobile": "has_mobile",
    "mobile_with_whatsapp": "has_whatsapp",
    "landline": "has_landline",
    "email": "has_email",
    "address": "has_address",
}


def matrix_of(rows: int, **columns: np.ndarray | float) -> np.ndarray:
    """A matrix of the feature table with zeros but for the columns given."""
    matrix = np.zeros((rows, len(NAMES)), dtype=np.float32)
    for name, value in columns.items():
        matrix[:, NAMES.index(name)] = value
    return matrix


def log_of(matrix: np.ndarray, treatment: np.ndarray, reached: np.ndarray) -> ChannelRows:
    count = len(matrix)
    nothing = np.full(count, np.nan)
    return ChannelRows(
        matrix=matrix,
        collectable=np.full(count, 50.0),
        installment=np.full(count, 50.0),
        treatment=treatment,
        reached=reached,
        paid=np.zeros(count),
        paid_amount=np.zeros(count),
        propensity=nothing,
        week=np.zeros(count, dtype="datetime64[D]"),
        member=np.arange(count),
    )


def test_channels_need_the_contact_points_that_the_rules_of_contact_ask_for() -> None:
    rules = yaml.safe_load((Path(__file__).parents[3] / "data" / "policies" / "CONTACT-POINTS.yaml").read_text())[
        "rules"
    ]
    kinds = next(rule["point_kinds"] for rule in rules if rule["id"] == "CONTACT-POINTS/available")
    assert {name: set(points) for name, points in CHANNEL_POINTS.items()} == {
        name: {KINDS[kind] for kind in kinds[name]} for name in CONTACT_CHANNELS
    }


def test_a_list_of_contact_points_that_the_past_refutes_is_not_used() -> None:
    # 400 attempts by e-mail, half on members with a mailbox: with it 40 % answer.
    has = np.repeat([1.0, 0.0], 200)
    matrix, treatment = matrix_of(400, has_email=has), np.zeros(400, dtype=np.int64)
    answers = np.tile([True, True, False, False, False], 80)
    settings = ContactChannelSettings()
    place = NAMES.index("has_email")
    silent = log_of(matrix, treatment, answers & (has == 1))
    assert contact_points(silent, ["email"], settings) == {"email": (place,)}
    # The institution keeps its mailboxes elsewhere: those without one answer as often.
    assert contact_points(log_of(matrix, treatment, answers), ["email"], settings) == {}


def test_the_outline_finds_the_stage_from_which_visits_work_and_shrinks_what_is_rare() -> None:
    random = np.random.default_rng(0)
    count = 6000
    days = random.choice([0.0, 10.0, 45.0], count)
    matrix = matrix_of(count, past_due_days=days)
    base = random.normal(0, 1, count)
    treatment = np.where(np.arange(count) < 400, 1, 0)  # few visits
    shift = np.where(treatment == 1, np.where(days == 45, 2.0, 0.0), 0.8)
    paid = (random.random(count) < expit(base + shift)).astype(float)
    outline = fit_outline(matrix, base, treatment, paid, ("call", "visit", "sms"))
    asked = matrix_of(3, past_due_days=np.array([0.0, 10.0, 45.0]))
    visit, call = (outline.effect(asked, np.zeros(3), place) for place in (1, 0))
    assert visit[2] > visit[0] + 0.3
    assert call == pytest.approx([0.8, 0.8, 0.8], abs=0.2)
    assert (
        EffectOutline.from_json({"channels": outline.channels, "weights": [list(w) for w in outline.weights]})
        == outline
    )
    again = fit_outline(matrix, base, treatment, paid, ("call", "visit", "sms"))
    assert again == outline


def test_the_hats_of_the_outline_share_each_base_between_two_knots() -> None:
    # -0.5 is a knot; 0 lies half-way to .5; beyond the last knot the last one holds.
    found = basis(matrix_of(3), np.array([-0.5, 0.0, 9.0]), "call")
    hats = found[:, 7:15]
    assert hats.sum(axis=1) == pytest.approx([1.0, 1.0, 1.0])
    assert hats[0].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    assert hats[1].tolist() == [0, 0, 0, 0.5, 0.5, 0, 0, 0]
    assert hats[2, -1] == 1


def test_a_policy_tree_parts_where_the_best_channel_changes() -> None:
    random = np.random.default_rng(1)
    x = random.random((8000, 3)).astype(np.float32)
    true = np.column_stack([np.where(x[:, 1] > 0.5, 4.0, -1.0), np.where(x[:, 1] > 0.5, 1.0, 2.0)])
    tree = grow_policy_tree(x, true + random.normal(0, 5, true.shape), columns=[0, 1], depth=2, least_rows=200)
    assert tree.column[0] == 1
    assert tree.threshold[0] == pytest.approx(0.5, abs=0.05)
    gains = tree.gains(np.array([[0.2, 0.9, 0.0], [0.2, 0.1, 0.0], [0.2, np.nan, 0.0]], dtype=np.float32))
    assert gains[0].argmax() == 0
    assert gains[1].argmax() == 1
    assert gains[2].tolist() == gains[1].tolist()  # what is missing goes to the left, as in the nodes' words
    assert (
        PolicyTree.from_json(
            {k: [list(v) if isinstance(v, tuple) else v for v in values] for k, values in tree.to_json().items()}
        )
        == tree
    )


def test_a_policy_tree_of_depth_0_is_one_number_per_channel() -> None:
    scores = np.array([[1.0, 0.0], [3.0, 2.0]])
    tree = grow_policy_tree(np.zeros((2, 1)), scores, columns=[0], depth=0, least_rows=1)
    assert tree.column == (LEAF,)
    assert tree.worth == ((2.0, 1.0),)


def test_leaves_of_the_forest_are_counted_on_other_members_and_drawn_to_the_mean() -> None:
    random = np.random.default_rng(2)
    x = random.random((4000, 2)).astype(np.float32)
    effect = np.where(x[:, 0] > 0.5, 0.3, 0.0)
    target = effect + random.normal(0, 0.5, 4000)
    settings = BoosterSettings(rounds=20, num_leaves=4, min_rows_in_leaf=50, feature_share=1.0, n_jobs=1)
    binned = BinnedMatrix(x, ["a", "b"], [], settings)
    places, weight, member = np.arange(4000), np.full(4000, 0.25), np.arange(4000) // 4

    def grown(values: np.ndarray) -> np.ndarray:
        forest = honest_forest(binned, x, places, values, weight, member, settings=settings)
        return raw_score(forest, np.array([[0.9, 0.5], [0.1, 0.5]], dtype=np.float32), n_jobs=1)

    high, low = grown(target)
    assert high == pytest.approx(0.3, abs=0.06)
    assert low == pytest.approx(0.0, abs=0.06)
    # Of noise alone, what trees find on one half is not there on the other.
    noise = grown(random.normal(0, 0.5, 4000))
    assert np.abs(noise).max() < 0.06


def test_no_member_without_a_contact_point_gains_anything() -> None:
    binned = BinnedMatrix(matrix_of(50), NAMES, [], BoosterSettings(rounds=1, n_jobs=1))
    flat = binned.grow(np.tile([0.0, 1.0], 25))
    place = NAMES.index("has_email")
    fit = ChannelFit(
        learner="constant_effect",
        channels=("email",),
        base=flat,
        amount=flat,
        amount_level=0.0,
        constants={"email": 1.0},
        reach={},
        effect_all=None,
        effect_one={},
        n_jobs=1,
        points={"email": (place,)},
    )
    asked = matrix_of(2, has_email=np.array([1.0, 0.0]))
    found = fit.gains(asked, np.full(2, 50.0), np.full(2, 50.0))
    assert found.gain[0, 0] > 0
    assert found.gain[1, 0] == found.reach[1, 0] == found.constant_gain[1, 0] == 0
    assert replace(fit, points={}).gains(asked, np.full(2, 50.0), np.full(2, 50.0)).gain[1, 0] > 0
