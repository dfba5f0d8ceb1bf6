"""What the learners of the channel model rest on: contact points, the outline, the policy tree, the honest forest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.special import expit

from models import ContactEffect
from models.contact_channel.amounts import AmountModel, fit_amount
from models.contact_channel.forest import honest_forest
from models.contact_channel.learners import ChannelFit, contact_points
from models.contact_channel.outline import EffectOutline, basis, fit_outline
from models.contact_channel.policy_tree import LEAF, PolicyTree, grow_policy_tree
from models.contact_channel.rows import ChannelRows, bin_rows
from models.contact_channel.settings import ContactChannelSettings
from models.contact_channel.times import LEAST_ROWS, fit_times
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
        amount=AmountModel(flat, 1.0, 0.0),
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


def weeks_of(level: np.ndarray, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of so many weeks in which everybody's log odds lie by the week's level above what is known of them."""
    random = np.random.default_rng(seed)
    week = np.repeat(np.datetime64("2025-01-06") + 7 * np.arange(len(level)), rows)
    known = random.normal(-0.5, 1.0, len(week))
    return week, known, (random.random(len(week)) < expit(known + np.repeat(level, rows))).astype(float)


def test_the_level_of_the_times_follows_a_season_and_ends_where_the_newest_weeks_are() -> None:
    true = 0.25 * np.sin(np.arange(104) / 104 * 4 * np.pi + 1.0)
    times = fit_times(*weeks_of(true, 2000))
    assert np.abs(times.level - true).max() < 0.12
    assert times.last == pytest.approx(true[-1], abs=0.08)
    # A week alone errs more than its neighbours together let it.
    alone = np.array([fit_times(*weeks_of(true[at : at + 1], 2000, seed=at)).last for at in range(0, 104, 8)])
    assert np.abs(times.level[::8] - true[::8]).mean() < np.abs(alone - true[::8]).mean()


def test_where_the_times_do_not_change_no_change_is_found() -> None:
    times = fit_times(*weeks_of(np.zeros(104), 500))
    assert np.abs(times.level).max() < 0.05


def test_a_week_that_nobody_learnt_from_has_the_level_of_the_one_before() -> None:
    week, known, paid = weeks_of(np.array([-0.2, -0.2, 0.2, 0.2]), 4000)
    times = fit_times(week, known, paid)
    day = np.datetime64("2025-01-06")
    asked = np.array([day - 70, day, day + 3, day + 21, day + 700])
    found = times.of(asked)
    assert found[0] == found[1] == found[2] == times.level[0]
    assert found[3] == found[4] == times.last
    assert (times.level[0], times.last) == (pytest.approx(-0.2, abs=0.1), pytest.approx(0.2, abs=0.1))
    assert fit_times(week[:0], known[:0], paid[:0]).last == 0.0


def test_a_week_of_few_rows_does_not_move_the_level() -> None:
    week, known, paid = weeks_of(np.zeros(20), 500)
    few = np.flatnonzero(week == week[-1])[: LEAST_ROWS - 1]
    kept = np.concatenate([np.flatnonzero(week < week[-1]), few])
    moved = paid.copy()
    moved[few] = 1.0  # all of the few paid
    assert fit_times(week[kept], known[kept], moved[kept]).last == pytest.approx(0.0, abs=0.05)


def test_who_owes_much_pays_more_than_an_instalment_and_the_sum_of_money_is_right() -> None:
    # Whoever pays brings .9 of the next instalment of 100 and half of what is owed beyond it: 90 alone, 590 of 1,100.
    random = np.random.default_rng(1)
    count = 4000
    collectable = np.where(np.arange(count) % 40 == 0, 1100.0, 100.0)
    money = (90.0 + 0.5 * (collectable - 100.0)) * random.uniform(0.8, 1.2, count)
    log = replace(
        log_of(matrix_of(count), np.full(count, -1), np.zeros(count, dtype=bool)),
        collectable=collectable,
        installment=np.full(count, 100.0),
        paid=np.ones(count),
        paid_amount=money,
    )
    settings = ContactChannelSettings(n_jobs=1)
    amount = fit_amount(log, bin_rows(log.matrix, settings, seed=0), settings, seed=0)
    asked = amount.expected(matrix_of(2), np.array([100.0, 1100.0]), np.array([100.0, 100.0]), n_jobs=1)
    assert asked == pytest.approx([90.0, 590.0], rel=0.03)
    assert amount.of(log, n_jobs=1).sum() == pytest.approx(money.sum(), rel=0.01)
    # Without an instalment (all fallen due), all of what is collectable counts as one.
    assert amount.expected(matrix_of(1), np.array([50.0]), np.array([0.0]), n_jobs=1) == pytest.approx([45.0], rel=0.03)


def test_where_being_reached_tells_of_paying_the_attempt_is_learnt() -> None:
    # Half of the members have moved away: nobody reaches them, and they pay far less. No column says who.
    random = np.random.default_rng(0)
    members, weeks, amount = 800, 20, 50.0
    member, week = np.repeat(np.arange(members), weeks), np.tile(np.arange(weeks), members)
    gone = (random.random(members) < 0.5)[member]
    x = random.normal(size=len(member))
    channel = random.choice(["none", "call", "visit"], len(member), p=[0.6, 0.3, 0.1])
    contacted = channel != "none"
    alone = -0.5 + 0.8 * x - 2.0 * gone
    paid = amount * (random.random(len(member)) < expit(alone + 0.3 * (contacted & ~gone)))
    frame = pd.DataFrame(
        {
            "x": x,
            "channel_code": channel,
            "date": pd.Timestamp("2025-01-05") + pd.to_timedelta(7 * week, unit="D"),
            "member": [f"M{one:04d}" for one in member],
            "reached": contacted & ~gone,
        }
    )
    model = ContactEffect(date="date", member="member", reached="reached", least_attempts=100).fit(frame, paid)
    judged = model.backtest_
    assert set(judged["by_attempt"]) == {"call", "visit"}
    assert judged["reach_check"]["call"]["z"] < -5
    true = amount * np.where(gone, 0.0, expit(alone + 0.3) - expit(alone)).mean()
    # through reach it would be five times that
    assert model.predict(frame)["call"].mean() < 2 * true
    assert max(judged["scale"].values()) < 1.3
    assert model.fit_.reach == {}
