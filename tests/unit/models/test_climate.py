"""The payment climate: told from the members, from the season and from chance, and what default risk makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from models.artifacts import content_version
from models.default_risk.card import render
from models.default_risk.climate import ClimateEffect, at_calibration, climate_measures, fit_climate
from models.default_risk.score import DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import fit, target_rows, train, training_frame
from models.estimators import BinnedMatrix, BoosterSettings
from models.features import LOAN_FEATURES, encode, learn_categories
from models.limits import alarms, load_limits
from models.willingness.climate import HALF_LIFE, LEAST_WEEKS, Climate
from models.willingness.kalman import FilterParameters
from models.willingness.model import WillingnessModel
from models.willingness.panel import GROUP_COUNT, weekly_panel

LAST = date(2026, 6, 29)
FAST = DefaultRiskSettings(bootstrap_draws=3, backtest_cuts=0, n_jobs=1, booster=BoosterSettings(rounds=12))


def weeks_to(last: date, count: int) -> tuple[date, ...]:
    return tuple(last - timedelta(weeks=count - 1 - k) for k in range(count))


def climate_of(level: np.ndarray, *, error: float = 0.002, last: date = LAST) -> Climate:
    return Climate(weeks_to(last, len(level)), np.asarray(level, float), np.full(len(level), error))


# --- from the members --------------------------------------------------------------------------------------------


def test_what_moves_everybody_is_told_from_how_people_differ() -> None:
    random, parameters = np.random.default_rng(3), FilterParameters(1.2, 0.9, 0.4)
    members, weeks = 1500, 40
    level = random.normal(0, np.sqrt(1.2), members)
    trouble = random.normal(0, np.sqrt(0.4), members)
    common = np.where(np.arange(weeks) < 28, 0.2, -0.5)
    rows = []
    for week, end in enumerate(weeks_to(LAST, weeks)):
        trouble = 0.9 * trouble + random.normal(0, np.sqrt(0.4 * (1 - 0.81)), members)
        paid = random.random(members) < expit(0.5 + level + trouble + common[week])
        rows.append(owing(end, [f"C{m:05d}" for m in range(members)], paid))
    panel = weekly_panel(pd.concat(rows))
    model = WillingnessModel(LAST, 0.5, (0.0,) * GROUP_COUNT, parameters)
    found = model.climate(panel)
    assert found.week_ends == panel.week_ends
    assert found.level[5:28].mean() == pytest.approx(0.2, abs=0.08)
    assert found.level[30:].mean() == pytest.approx(-0.5, abs=0.12)
    # one of a hundred weeks may lie three of its own errors away; all of a run of weeks do not
    beyond = np.abs(found.level[5:28] - found.level[5:28].mean()) / np.sqrt(found.error[5:28])
    assert np.mean(beyond < 2.5) > 0.8
    again = Climate.of_rows(found.to_rows())
    np.testing.assert_allclose(again.level, found.level)
    assert again.week_ends == found.week_ends


@pytest.mark.parametrize("old", [150, 800])
def test_newcomers_who_pay_badly_are_not_the_times(old: int) -> None:
    random, parameters = np.random.default_rng(4), FilterParameters(1.0, 0.9, 0.3)
    members, weeks, begin = 2 * old, 60, 36
    level = random.normal(0, 1.0, members) - np.where(np.arange(members) < old, 0.0, 1.2)
    rows = []
    for week, end in enumerate(weeks_to(LAST, weeks)):
        there = np.flatnonzero((np.arange(members) < old) | (week >= begin))
        paid = random.random(len(there)) < expit(0.5 + level[there])
        rows.append(owing(end, [f"C{m:05d}" for m in there], paid))
    model = WillingnessModel(LAST, 0.5, (0.0,) * GROUP_COUNT, parameters)
    found = model.climate(weekly_panel(pd.concat(rows)))
    before, joined = found.level[20:begin].mean(), found.level[begin : begin + 12].mean()
    # everybody's weeks together would say half of what the newcomers differ by
    assert joined == pytest.approx(before, abs=0.12 if old > 200 else 0.35)
    assert found.level[begin + 12 :].mean() > before - 0.4


def owing(end: date, members: list[str], paid: np.ndarray) -> pd.DataFrame:
    """One week of the panel: members who owe one instalment of 100 that is due today."""
    return pd.DataFrame(
        {
            "week_end_date": pd.Timestamp(end),
            "customer_id": members,
            "owing_loan_count": 1,
            "days_since_due": 0,
            "collectable_amount": 100.0,
            "installment_amount": 100.0,
            "paid_amount": 100.0 * paid,
        }
    )


def test_a_week_in_which_nobody_owed_is_left_out() -> None:
    rows = pd.DataFrame(
        {
            "week_end_date": [pd.Timestamp(LAST - timedelta(weeks=k)) for k in (4, 3, 0)],
            "customer_id": "C1",
            "owing_loan_count": 1,
            "days_since_due": 0,
            "collectable_amount": 100.0,
            "installment_amount": 100.0,
            "paid_amount": [100.0, 0.0, 100.0],
        }
    )
    found = WillingnessModel(LAST, 0.5, (0.0,) * GROUP_COUNT, FilterParameters()).climate(weekly_panel(rows))
    assert found.week_ends == tuple(LAST - timedelta(weeks=k) for k in (4, 3, 0))
    assert np.isfinite(found.level).all()


# --- from season and chance --------------------------------------------------------------------------------------


def test_what_comes_back_every_year_is_not_the_climate() -> None:
    ends = weeks_to(LAST, 104)
    middle = np.array([(end - timedelta(days=3)).month for end in ends])
    season = np.where(middle == 12, 0.4, np.where(middle == 1, -0.5, 0.0))
    chance = np.random.default_rng(1).normal(0, 0.05, 104)
    found = climate_of(0.3 + season + chance)
    assert np.abs(found.times() - found.times().mean()).max() < 0.12
    # the Januaries weigh no more than other months in what is learnt beside
    assert found.ahead([date(2025, 11, 30)], 91)[0] == pytest.approx(found.ahead([date(2025, 3, 1)], 91)[0], abs=0.12)


def test_a_turn_of_the_times_is_seen_within_weeks() -> None:
    level = np.r_[np.full(96, 0.4), np.full(8, -0.3)] + np.random.default_rng(2).normal(0, 0.05, 104)
    found = climate_of(level)
    mean, variance = found.expected([LAST], 182)
    # whether it lasts is not known: half of what passes is gone after HALF_LIFE weeks
    fade = 0.5 ** (np.arange(1, 27) / HALF_LIFE)
    assert -0.35 < mean[0] < 0.4 - 0.7 * fade.mean() + 0.1
    before, calm = found.expected([LAST - timedelta(weeks=8)], 182)
    assert before[0] == pytest.approx(0.4, abs=0.06)
    assert 0 < calm[0] < variance[0]


def test_one_bad_week_is_no_crisis_where_weeks_scatter() -> None:
    # wages on the 15th and the 30th: every other week pays, the last one does not
    scatter = np.where(np.arange(104) % 2 == 0, 0.3, -0.3)
    mean, _ = climate_of(0.2 + scatter).expected([LAST], 182)
    assert mean[0] == pytest.approx(0.2, abs=0.1)
    # eight weeks below all that is usual are one
    turned = 0.2 + scatter - np.where(np.arange(104) < 96, 0.0, 0.8)
    assert climate_of(turned).expected([LAST], 182)[0][0] < 0.1


@pytest.mark.parametrize("bad", [-0.6, -1.0, -2.0])
@pytest.mark.parametrize("scatter", [0.03, 0.08])
def test_a_last_week_whose_payments_have_not_arrived_is_no_crisis(bad: float, scatter: float) -> None:
    quiet = 0.3 + np.random.default_rng(8).normal(0, scatter, 104)
    last = quiet.copy()
    last[-1] = bad
    before, after = (climate_of(level).expected([LAST], 182)[0][0] for level in (quiet, last))
    assert abs(after - before) < 0.15
    # nor does such a week of a year ago make a turn of today doubtful
    turned = quiet - np.where(np.arange(104) < 96, 0.0, 0.7)
    gap = turned.copy()
    gap[50] = bad
    one, other = (climate_of(level).expected([LAST], 182)[0][0] for level in (turned, gap))
    assert one < 0.3 - 0.3
    assert abs(one - other) < 0.05


def test_a_gap_in_the_payments_is_over_when_it_is_over() -> None:
    random, members, weeks = np.random.default_rng(6), 1200, 40
    level = random.normal(0, 1.0, members)
    rows = []
    for week, end in enumerate(weeks_to(LAST, weeks)):
        paid = random.random(members) < expit(1.5 + level)
        rows.append(owing(end, [f"C{m:05d}" for m in range(members)], paid & (not 28 <= week < 32)))
    model = WillingnessModel(LAST, 1.5, (0.0,) * GROUP_COUNT, FilterParameters(1.0, 0.9, 0.3))
    found = model.climate(weekly_panel(pd.concat(rows)))
    before = found.level[14:28].mean()
    assert (found.level[28:32] < before - 1).all()
    assert np.abs(found.level[34:] - before).max() < 0.4
    assert abs(found.expected([LAST], 182)[0][0] - before) < 0.25


def test_a_day_knows_only_the_weeks_that_ended_by_it() -> None:
    level = np.random.default_rng(5).normal(0.2, 0.1, 80)
    day = LAST - timedelta(weeks=20)
    changed = level.copy()
    changed[-20:] = -3.0
    one, other = (climate_of(values).expected([day, day - timedelta(days=1)], 91) for values in (level, changed))
    np.testing.assert_array_equal(one, other)
    # the day before is a week less: its own week had not ended
    cut = climate_of(level[:-21], last=day - timedelta(weeks=1)).expected([day - timedelta(days=1)], 91)
    np.testing.assert_allclose([one[0][1], one[1][1]], [cut[0][0], cut[1][0]])


def test_too_few_weeks_say_nothing() -> None:
    found = climate_of(np.zeros(LEAST_WEEKS))
    assert np.isfinite(found.expected([LAST], 91)[0]).all()
    assert np.isnan(found.expected([LAST - timedelta(days=1)], 91)).all()
    assert np.isnan(found.ahead([LAST], 91)).all()
    assert Climate((), np.zeros(0), np.zeros(0)).times().size == 0


def test_the_horizon_begins_after_its_day_and_its_last_day_counts() -> None:
    # Levels so alike that no week is odd, hence the plain mean of the weeks of the window, without their season.
    found = climate_of(np.random.default_rng(9).normal(0.2, 0.01, 60), error=1e-3)
    net = found.level - _season(found)
    end = found.week_ends[-10]
    day = end - timedelta(days=14)
    both, one, none = (found.ahead([start], 14)[0] for start in (day, day + timedelta(days=1), end))
    # (T, T + 14] has two weeks: the one before and this one, whose end is the last day
    assert both == pytest.approx(net[[-11, -10]].mean())
    assert one == pytest.approx(net[[-11, -10]].mean())
    assert none == pytest.approx(net[[-9, -8]].mean())


def _season(climate: Climate) -> np.ndarray:
    """What is taken out of every week: with windows of one week that is seen from outside."""
    alone = [climate.ahead([end - timedelta(days=1)], 1)[0] for end in climate.week_ends]
    return climate.level - np.array(alone)


# --- what default risk makes of it -------------------------------------------------------------------------------


@given(
    probability=st.lists(st.floats(0.001, 0.999), min_size=2, max_size=20),
    variance=st.floats(0.0, 0.5),
    slope=st.floats(-3.0, -0.01),
    level=st.floats(-1.0, 1.0),
)
def test_the_probability_is_the_mean_over_how_the_climate_may_turn_out(
    probability: list[float], variance: float, slope: float, level: float
) -> None:
    said = np.sort(np.array(probability))
    effect, count = ClimateEffect(slope, 0.0), len(probability)
    sure = effect.apply(said, np.column_stack([np.full(count, level), np.zeros(count)]))
    unsure = effect.apply(said, np.column_stack([np.full(count, level), np.full(count, variance)]))
    np.testing.assert_allclose(sure / (1 - sure), said / (1 - said) * np.exp(slope * level), rtol=1e-6)
    steps = np.linspace(-8, 8, 4001)
    odds = np.log(said / (1 - said))[:, None] + slope * (level + np.sqrt(variance) * steps)
    density = np.exp(-(steps**2) / 2)
    np.testing.assert_allclose(unsure, (expit(odds) * density).sum(axis=1) / density.sum(), rtol=5e-3)
    unknown = effect.apply(said, np.full((count, 2), np.nan))
    np.testing.assert_allclose(unknown, said)


def test_the_usual_level_is_where_the_calibrated_probabilities_stand() -> None:
    random, slope = np.random.default_rng(2), -1.5
    score, ahead = random.normal(-2, 1.5, 40_000), random.normal(-0.2, 0.2, 40_000)
    outcome = (random.random(40_000) < expit(score + slope * (ahead - 0.3))).astype(float)
    # a calibration that stands at another level than the one that was usual of all rows
    calibrated = expit(score + 0.4)
    found = at_calibration(ClimateEffect(slope, 0.3), calibrated, ahead, outcome)
    assert found.usual == pytest.approx(0.3 + 0.4 / slope, abs=0.05)
    put = found.apply(calibrated, np.column_stack([ahead, np.zeros(40_000)]))
    assert put.mean() == pytest.approx(outcome.mean(), abs=1e-5)
    assert at_calibration(ClimateEffect(), calibrated, ahead, outcome) == ClimateEffect()


@pytest.fixture(scope="module")
def world(loan_world: Callable):
    """A book of loans; each test gives its members a willingness."""
    return loan_world(members=300)


def with_willingness(frame: pd.DataFrame, *, effect: float, outcome: pd.Series | None = None) -> pd.DataFrame:
    random = np.random.default_rng(7)
    level = random.normal(0, 1, len(frame))
    if outcome is not None:
        # among those with the event the level is normal around ``effect``: its log odds fall by -effect per unit
        level = level + effect * outcome.to_numpy(float)
    return frame.assign(willingness_level=level, willingness_trouble=random.normal(0, 0.5, len(frame)))


def labelled(world) -> pd.DataFrame:
    """The features with a level of which each unit changes the log odds of default by -1.2 at any past-due days."""
    outcome = world.features.merge(world.labels, on=["as_of_date", "loan_id"], how="left")["is_default"].fillna(False)
    return with_willingness(world.features, effect=-1.2, outcome=outcome.astype(float))


def long_climate(world, late: float) -> Climate:
    """A hundred quiet weeks up to the world's date, of which the last eight are at ``late``."""
    return climate_of(np.r_[np.full(122, 0.3), np.full(8, late)], last=world.as_of)


def effect_of(world, features: pd.DataFrame, climate: Climate | None) -> ClimateEffect:
    rows = training_frame(features, world.labels, as_of=world.as_of)
    part = target_rows(rows, "default", as_of=world.as_of, settings=FAST, climate=climate)
    table = rows.loc[:, list(LOAN_FEATURES.names)]
    matrix = encode(LOAN_FEATURES, table, learn_categories(LOAN_FEATURES, table))
    binned = BinnedMatrix(matrix, LOAN_FEATURES.feature_names, LOAN_FEATURES.category_names, FAST.booster)
    return fit_climate(part, part.climate_ahead(), binned, seed=0)


def test_the_effect_is_what_peoples_own_levels_do(world) -> None:
    found = effect_of(world, labelled(world), long_climate(world, 0.3))
    assert found.slope == pytest.approx(-1.2, abs=0.15)
    assert found.usual == pytest.approx(0.3, abs=0.02)


def test_without_climate_willingness_or_a_likely_sign_there_is_no_effect(world) -> None:
    assert effect_of(world, labelled(world), None) == ClimateEffect()
    nobody = world.features.assign(willingness_level=np.nan, willingness_trouble=np.nan)
    assert effect_of(world, nobody, long_climate(world, 0.3)).slope == 0.0
    outcome = world.features.merge(world.labels, on=["as_of_date", "loan_id"], how="left")["is_default"].fillna(False)
    upside_down = with_willingness(world.features, effect=1.2, outcome=outcome.astype(float))
    assert effect_of(world, upside_down, long_climate(world, 0.3)).slope == 0.0


def test_worse_times_raise_everybody_and_the_same_times_nobody(world) -> None:
    features = labelled(world)
    today = with_willingness(world.today, effect=0.0)
    calm, bad = long_climate(world, 0.3), long_climate(world, -0.4)
    model = fit(features, world.labels, as_of=world.as_of, settings=FAST, climate=calm).model
    same = fit(features, world.labels, as_of=world.as_of, settings=FAST).model
    below = today["past_due_days"].to_numpy() < FAST.past_due_days
    usual, quiet, worse, plain = (
        one.probabilities(today, climate)["default"].to_numpy()[below]
        for one, climate in ((model, None), (model, calm), (model, bad), (same, None))
    )
    # in times as usual the climate is nothing but a little doubt
    assert np.abs(quiet - usual).max() < 0.02
    assert abs(quiet.mean() - plain.mean()) < 0.01
    assert (worse > quiet).all()
    effect = model.targets["default"].climate
    (before,), (after,) = (climate.expected([world.as_of], 182)[0] for climate in (calm, bad))
    odds = np.log(worse / (1 - worse)) - np.log(quiet / (1 - quiet))
    assert np.median(odds) == pytest.approx(effect.slope * (after - before), rel=0.1)


def test_a_judged_row_is_scored_by_the_weeks_before_it_alone(world) -> None:
    calm, level = long_climate(world, 0.3), long_climate(world, 0.3).level.copy()
    level[-30:] = -3.0
    other = climate_of(level, last=world.as_of)
    day = calm.week_ends[-31]
    parts = []
    for climate in (calm, other):
        rows = training_frame(world.features, world.labels, as_of=world.as_of)
        part = target_rows(rows, "default", as_of=world.as_of, settings=FAST, climate=climate)
        parts.append(part.take(np.flatnonzero(part.dates <= pd.Timestamp(day))))
    assert len(parts[0].rows)
    np.testing.assert_array_equal(parts[0].climate_expected, parts[1].climate_expected)
    # what it is learnt by looks ahead, but no farther than the last horizon of the rows
    last = parts[0].dates.max() + pd.Timedelta(days=182)
    assert (parts[0].climate_ahead() != parts[1].climate_ahead()).any()
    early = [part.take(np.flatnonzero(part.dates <= pd.Timestamp(day) - pd.Timedelta(days=182))) for part in parts]
    assert len(early[0].rows)
    assert last > pd.Timestamp(day)
    np.testing.assert_array_equal(early[0].climate_ahead(), early[1].climate_ahead())


def test_the_effect_is_stored_and_the_card_says_it(world) -> None:
    bad = long_climate(world, -0.4)
    model = train(labelled(world), world.labels, as_of=world.as_of, settings=FAST, climate=bad)
    again = DefaultRiskModel.from_files(model.to_files())
    assert again.targets["default"].climate == model.targets["default"].climate != ClimateEffect()
    today = with_willingness(world.today, effect=0.0)
    pd.testing.assert_frame_equal(again.predict(today, bad), model.predict(today, bad))
    said = model.card["targets"]["default"]["climate"]
    assert said["odds_factor"] > 1.2
    assert len(model.card["climate"]) == 130
    page = render(model.card)
    assert "Clima de pago por semana" in page
    assert f"multiplied by {said['odds_factor']:.2f}" in page
    without = render(replace(model, card=model.card | {"climate": []}).card | {"targets": _without_climate(model)})
    assert "Clima de pago" not in without


def test_the_odds_that_the_climate_moves_are_measured_for_the_limits() -> None:
    climate = climate_of(np.full(60, 0.3))
    ((measure, feature, value),) = climate_measures(ClimateEffect(-2.0, 0.8), climate, LAST, 91)
    assert (measure, feature) == ("climate_odds_ratio", None)
    assert value == pytest.approx(np.exp(-2.0 * (0.3 - 0.8)), rel=0.03)
    assert climate_measures(ClimateEffect(-2.0, 0.8), None, LAST, 91) == []
    assert climate_measures(ClimateEffect(-2.0, 0.8), climate_of(np.zeros(5)), LAST, 91) == []
    limits = load_limits("default_risk")
    found = alarms(limits, "default_risk", "default", [(measure, feature, value)], version="v1")
    assert [one.severity for one in found] == ["alarm"]


def _without_climate(model: DefaultRiskModel) -> dict[str, object]:
    return {name: entry | {"climate": None} for name, entry in model.card["targets"].items()}


def test_a_model_without_a_climate_keeps_the_bytes_and_the_version_that_it_had(world) -> None:
    model = fit(world.features, world.labels, as_of=world.as_of, settings=FAST).model
    files = model.to_files()
    assert "climate" not in json.loads(files["model.json"])["targets"]["default"]
    found = DefaultRiskModel.from_files(files)
    assert found.version == model.version == content_version(files)
    pd.testing.assert_frame_equal(found.probabilities(world.today), model.probabilities(world.today))
    pd.testing.assert_frame_equal(
        found.probabilities(world.today, long_climate(world, -2.0)), model.probabilities(world.today)
    )
