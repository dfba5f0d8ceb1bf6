from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.charts import Plot
from models.default_risk.card import render
from models.default_risk.card_page import feature_names
from models.default_risk.evaluate import DEFAULT_SEGMENTS
from models.default_risk.promotion import Evidence, Verdict
from models.default_risk.score import DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import fit_curve, prior_curve, target_rows, train
from models.estimators import BoosterSettings
from models.features import LOAN_FEATURES
from models.metrics import auc, ece
from puntual.errors import ModelError
from puntual.paths import PROJECT_ROOT

FAST = DefaultRiskSettings(bootstrap_draws=10, backtest_cuts=2, n_jobs=1, booster=BoosterSettings(rounds=40))
TINY = replace(FAST, bootstrap_draws=5, backtest_cuts=1, booster=BoosterSettings(rounds=15))


@pytest.fixture(scope="module")
def world(loan_world: Callable):
    return loan_world(members=900)


@pytest.fixture(scope="module")
def model(world) -> DefaultRiskModel:
    return train(world.features, world.labels, as_of=world.as_of, settings=FAST)


@pytest.fixture(scope="module")
def small(loan_world: Callable):
    """A world for what is trained again: bytes are compared, not quality."""
    return loan_world(members=250)


@pytest.fixture(scope="module")
def people(small) -> pd.DataFrame:
    members = np.sort(small.features["customer_id"].unique())
    gender = np.where(np.arange(len(members)) % 3 == 0, "F", "M").astype(object)
    gender[:10] = None
    return pd.DataFrame({"customer_id": members, "gender": gender, "birth_date": pd.Timestamp("1980-05-05")})


@pytest.fixture(scope="module")
def small_model(small, people: pd.DataFrame) -> DefaultRiskModel:
    found = train(small.features, small.labels, as_of=small.as_of, settings=TINY, people=people)
    assert found.targets["default"].kind == "boosted"
    return found


def test_the_probability_ranks_and_is_calibrated(world, model: DefaultRiskModel) -> None:
    scores = model.predict(world.today).merge(world.truth, on="loan_id")
    below = world.today.set_index("loan_id").loc[scores["loan_id"], "past_due_days"].to_numpy() < 90
    drawn = np.random.default_rng(0).random(len(scores)) < scores["p"]
    own = auc(drawn[below], scores["default_probability"][below].to_numpy())
    assert own > auc(drawn[below], scores["p"][below].to_numpy()) - 0.05
    assert ece(scores["p"][below].to_numpy(), scores["default_probability"][below].to_numpy()) < 0.03
    assert scores["early_warning_probability"].between(0, 1).all()


def test_it_beats_past_due_days_alone_on_later_dates(model: DefaultRiskModel) -> None:
    judged = model.card["targets"]["default"]["evaluation"]
    assert judged["split"] == "time_with_gap"
    assert (min(judged["test_dates"]) - max(judged["train_dates"])).days >= 182
    assert judged["metrics"]["puntual"]["auc"]["low"] > judged["metrics"]["past_due_days"]["auc"]["value"]
    assert set(judged["metrics"]) == {"puntual", "scorecard", "default_lightgbm", "past_due_days"}
    assert judged["ahead"]["past_due_days"]["auc"] == "ahead"
    assert judged["differences"]["past_due_days"]["auc"]["low"] > 0


def test_the_procedure_is_repeated_at_past_cut_offs(model: DefaultRiskModel) -> None:
    rows = model.card["targets"]["default"]["backtest"]
    assert len({row["learnt_to"] for row in rows}) > 1
    assert [row["as_of_date"] for row in rows] == sorted({row["as_of_date"] for row in rows})
    assert all((row["as_of_date"] - row["learnt_to"]).days >= 182 for row in rows)
    assert all(row["auc"]["low"] <= row["auc"]["value"] <= row["auc"]["high"] for row in rows)


def test_protected_attributes_are_reported_and_change_no_byte_and_no_score(
    small, people: pd.DataFrame, small_model: DefaultRiskModel
) -> None:
    mixed = people.assign(
        gender=people["gender"].sample(frac=1, random_state=3).to_numpy(),
        birth_date=pd.Timestamp("1950-01-01"),
        marital_state=np.where(np.arange(len(people)) % 2 == 0, "casado", "soltero"),
    )
    permuted = train(small.features, small.labels, as_of=small.as_of, settings=TINY, people=mixed)
    assert permuted.to_files() == small_model.to_files()
    pd.testing.assert_frame_equal(permuted.predict(small.today), small_model.predict(small.today))
    report, other = (one.card["targets"]["default"]["evaluation"]["disparity"] for one in (small_model, permuted))
    # Marital state is reported where it is delivered, as the institution writes it.
    assert set(report) == {"gender", "age_group"}
    assert {row["value"] for row in other["marital_state"]} == {"casado", "soltero"}
    assert "marital_state" in permuted.card["protected_attributes_reported"]
    assert "Estado civil" in render(permuted.card)
    assert "Estado civil" not in render(small_model.card)
    assert {row["value"] for row in report["gender"]} == {"F", "M", "not_recorded"}
    assert {row["value"] for row in other["age_group"]} == {"65+"}
    assert report["gender"] != other["gender"]
    assert small_model.card["protected_attributes_used"] == []
    assert "Disparidad" in render(small_model.card)


def test_an_attribute_that_nobody_has_on_record_is_not_reported(
    small, people: pd.DataFrame, small_model: DefaultRiskModel
) -> None:
    empty = people.assign(marital_state=None)
    card = train(small.features, small.labels, as_of=small.as_of, settings=TINY, people=empty).card
    assert set(card["targets"]["default"]["evaluation"]["disparity"]) == {"gender", "age_group"}
    assert card["protected_attributes_reported"] == small_model.card["protected_attributes_reported"]


def test_the_card_shows_how_stable_texts_are(small_model: DefaultRiskModel) -> None:
    found = small_model.card["targets"]["default"]
    names = {row["name"] for row in found["evaluation"]["stability"]}
    assert set(LOAN_FEATURES.category_names) <= names
    page = render(small_model.card)
    for name in LOAN_FEATURES.category_names:
        assert feature_names()[name].es in page
        assert sum(found["reference"][name]["counts"]) == found["row_count"]


def test_a_loan_past_the_threshold_has_probability_one(world, model: DefaultRiskModel) -> None:
    scores = model.predict(world.today).set_index("loan_id")
    days = world.today.set_index("loan_id")["past_due_days"]
    past = days.index[days >= 90]
    assert (scores.loc[past, "default_probability"] == 1).all()
    assert (scores.loc[past, "reason_codes"] == '["ALREADY_PAST_THRESHOLD"]').all()
    assert (scores.loc[days.index[days < 90], "default_probability"] < 1).all()
    assert (scores.loc[days.index[days >= 30], "early_warning_probability"] == 1).all()


def test_more_past_due_days_never_lower_the_probability(world, model: DefaultRiskModel) -> None:
    rows = world.today.head(50).copy()
    before = None
    for days in (0, 10, 40, 80):
        rows["past_due_days"] = days
        now = model.predict(rows)["default_probability"].to_numpy()
        assert before is None or (now >= before - 1e-12).all()
        before = now


def test_reasons_are_known_codes_at_most_four_and_true_of_the_loan(world, model: DefaultRiskModel) -> None:
    scores = model.predict(world.today).merge(world.today, on="loan_id")
    codes = scores["reason_codes"].map(json.loads)
    known = {group.code for group in LOAN_FEATURES.groups} | {"ALREADY_PAST_THRESHOLD"}
    assert codes.map(len).max() <= 4
    assert set().union(*codes) <= known
    assert not any("OVERDUE_NOW" in c for c in codes[scores["past_due_days"] == 0])
    assert not any("BROKEN_PROMISES" in c for c in codes[scores["broken_promise_count_182d"] == 0])
    assert codes[scores["past_due_days"].between(1, 89)].map(len).mean() > 1


def test_explanations_add_up_to_the_raw_score(world, model: DefaultRiskModel) -> None:
    rows = world.today.head(20)
    values = model.explain(rows)
    assert list(values.columns) == list(LOAN_FEATURES.feature_names)
    target = model.targets["default"]
    assert target.kind == "boosted"
    from models.features import encode

    matrix = encode(LOAN_FEATURES, rows, model.categories)
    raw = target.booster.predict(matrix, raw_score=True)
    rest = raw - values.sum(axis=1).to_numpy()
    np.testing.assert_allclose(rest, rest[0], atol=1e-9)


def test_the_same_rows_in_any_order_give_the_same_bytes(
    small, people: pd.DataFrame, small_model: DefaultRiskModel
) -> None:
    shuffled = train(
        small.features.sample(frac=1, random_state=1),
        small.labels.sample(frac=1, random_state=2),
        as_of=small.as_of,
        settings=TINY,
        people=people.sample(frac=1, random_state=3),
    )
    assert shuffled.version == small_model.version
    assert shuffled.to_files() == small_model.to_files()
    assert shuffled.card == small_model.card


def test_later_data_changes_nothing(small, small_model: DefaultRiskModel) -> None:
    later = pd.Timestamp(small.as_of) - pd.Timedelta(days=60)
    rows = small.features[small.features["as_of_date"] == small.features["as_of_date"].max()].assign(as_of_date=later)
    labels = small.labels[small.labels["as_of_date"] == small.labels["as_of_date"].max()].assign(
        as_of_date=later, is_default=True
    )
    again = train(
        pd.concat([small.features, rows]), pd.concat([small.labels, labels]), as_of=small.as_of, settings=TINY
    )
    # Both label windows of the new rows end after as_of: they are not matured, whatever their flags say.
    assert again.to_files() == small_model.to_files()


def test_a_column_from_the_future_is_refused(world) -> None:
    with pytest.raises(ModelError, match="not part of the table"):
        train(world.features.assign(paid_next_28d_amount=1.0), world.labels, as_of=world.as_of)


def test_it_is_read_back_from_its_files(world, model: DefaultRiskModel) -> None:
    again = DefaultRiskModel.from_files(model.to_files())
    pd.testing.assert_frame_equal(again.predict(world.today), model.predict(world.today))
    assert again.version == model.version


def test_a_model_of_other_columns_is_refused(model: DefaultRiskModel) -> None:
    files = model.to_files()
    head = json.loads(files["model.json"]) | {"schema_hash": "0" * 64}
    with pytest.raises(ModelError, match="other columns"):
        DefaultRiskModel.from_files(files | {"model.json": json.dumps(head).encode()})


def test_without_matured_labels_the_prior_stands_and_says_so(loan_world: Callable) -> None:
    world = loan_world(members=40, history_start=date(2026, 3, 1))
    assert world.features.empty
    model = train(world.features, world.labels, as_of=world.as_of)
    assert model.kind == "prior"
    assert "no label" in model.card["targets"]["default"]["reason"]
    scores = model.predict(world.today).merge(world.today, on="loan_id").sort_values("past_due_days")
    assert scores["default_probability"].is_monotonic_increasing
    assert "prior" in render(model.card)


def test_few_events_give_a_curve_between_the_prior_and_the_data(loan_world: Callable) -> None:
    world = loan_world(members=30, history_start=date(2025, 9, 1))
    model = train(world.features, world.labels, as_of=world.as_of)
    assert model.kind == "curve"
    again = DefaultRiskModel.from_files(model.to_files())
    pd.testing.assert_frame_equal(again.predict(world.today), model.predict(world.today))


def test_the_curve_by_hand() -> None:
    # 20 loans with 0 days, each once, 5 with the event: prior .02 weighs 20 loans: (5 + 20 * .02) / (20 + 20) = .135.
    rows = pd.DataFrame(
        {
            "as_of_date": pd.Timestamp("2025-12-01"),
            "loan_id": [f"L{i}" for i in range(20)],
            "customer_id": [f"C{i}" for i in range(20)],
            "past_due_days": 0,
            "day_of_year": 335,
            "is_below_threshold": True,
            "is_default": [i < 5 for i in range(20)],
            "is_matured": True,
        }
    )
    part = target_rows(rows, "default", as_of=date(2026, 6, 30), settings=DefaultRiskSettings())
    curve = fit_curve(part)
    assert curve.probabilities[0] == pytest.approx(0.135)
    assert list(curve.probabilities) == sorted(curve.probabilities)
    # One loan seen on two dates is one loan.
    twice = pd.concat([rows, rows.assign(as_of_date=pd.Timestamp("2025-11-03"))], ignore_index=True)
    part = target_rows(twice, "default", as_of=date(2026, 6, 30), settings=DefaultRiskSettings())
    assert fit_curve(part).probabilities[0] == pytest.approx(0.135)


def test_the_prior_stretches_to_the_threshold() -> None:
    assert prior_curve(90).days[-1] == 90
    assert prior_curve(60).days[-1] == 60


def test_a_short_history_is_judged_by_members_and_says_so(loan_world: Callable) -> None:
    world = loan_world(members=700, history_start=date(2025, 9, 15))
    model = train(world.features, world.labels, as_of=world.as_of, settings=FAST)
    judged = model.card["targets"]["default"]["evaluation"]
    assert judged["split"] == "members_without_gap"
    assert "Historia corta" in render(model.card)


def test_calibration_is_by_the_institutions_own_segments(world, model: DefaultRiskModel) -> None:
    def stages(one: DefaultRiskModel) -> dict[str, int]:
        rows = one.card["targets"]["default"]["evaluation"]["segments"]
        return {row["value"]: row["row_count"] for row in rows if row["segment"] == "past_due_days"}

    assert set(stages(model)) == {"preventive", "early", "middle"}  # a default can only come below ninety days
    own = train(
        world.features, world.labels, as_of=world.as_of, settings=FAST, segments=[("b", 8), ("a", 0), ("c", 61)]
    )
    assert set(stages(own)) == {"a", "b", "c"}
    assert sum(stages(own).values()) == sum(stages(model).values())
    assert own.to_files() == model.to_files()


def test_the_default_ladder_is_the_shipped_one() -> None:
    seed = pd.read_csv(PROJECT_ROOT / "dbt_project" / "seeds" / "segments.csv")
    assert list(zip(seed["segment_code"], seed["min_days"], strict=True)) == list(DEFAULT_SEGMENTS)


def test_early_warning_takes_dates_that_default_cannot() -> None:
    rows = pd.DataFrame(
        {
            "as_of_date": pd.to_datetime(["2025-12-30", "2026-03-31", "2026-04-01"]),
            "loan_id": ["L1", "L2", "L3"],
            "customer_id": ["C1", "C2", "C3"],
            "past_due_days": 0,
            "day_of_year": 1,
            "is_below_threshold": True,
            "is_default": False,
            "is_matured": True,
            "is_below_early": True,
            "is_early_default": False,
            "is_early_matured": True,
        }
    )
    taken = {
        target: target_rows(rows, target, as_of=date(2026, 6, 30), settings=DefaultRiskSettings()).loans.tolist()
        for target in ("default", "early_warning")
    }
    assert taken == {"default": ["L1"], "early_warning": ["L1", "L2"]}


def test_the_card_shows_what_was_compared_for_both_targets(model: DefaultRiskModel) -> None:
    measures = {code: {"value": 0.1234, "low": 0.1, "high": 0.2} for code in ("log_loss", "auc", "ece")}
    early = Evidence((date(2026, 3, 31),), 900, 80, measures, measures, measures)
    whole = Evidence((date(2025, 12, 30),), 800, 70, measures, measures, measures, early)
    page = render(model.card | {"promotion": Verdict(True, "newer", "es", "en", whole).to_card()})
    assert "2025-12-30" in page and "900, 80" in page and "0,1234" in page
    assert "actual / present" not in render(model.card | {"promotion": Verdict(True, "age", "es", "en").to_card()})
    assert "también las juzgadas" in page


def test_the_card_is_one_page_without_outside_addresses(model: DefaultRiskModel) -> None:
    page = render(model.card)
    assert "http" not in page
    assert "<svg" in page
    assert "<script" not in page
    assert page.index("Riesgo de incumplimiento") < page.index("Default risk")
    for name in LOAN_FEATURES.feature_names:
        assert name not in page, name


def test_every_column_that_is_learnt_from_has_a_name_for_people() -> None:
    learnt = {column.name for column in LOAN_FEATURES.columns if column.role in {"feature", "season"}}
    assert set(feature_names()) == learnt | {"score"}


def test_no_date_of_a_chart_is_cut() -> None:
    plot = Plot((0, 5), (0, 1), width=450, x_names=[f"2026-0{n}" for n in range(1, 7)])
    svg = plot.svg()
    places = [float(x) for x in re.findall(r"<text x='([\d.]+)' y='[\d.]+' text-anchor='middle'>2026", svg)]
    assert len(places) == 6
    # A name of seven letters is about 49 pixels wide and stands around its place.
    assert min(places) >= 24.5
    assert max(places) <= 450 - 24.5
