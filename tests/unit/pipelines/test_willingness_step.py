"""The willingness in a run: fitted when something is trained, asked for in the version that a model was trained with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.default_risk.score import CurveTarget, DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.features import CUSTOMER_FEATURES, LOAN_FEATURES, RECORD_COLUMNS, WILLINGNESS_COLUMNS, FeatureSpec
from models.willingness.climate import Climate
from models.willingness.panel import TABLE
from models.willingness.record import TABLE as CONTACTS
from pipelines.day import Day
from pipelines.steps import learning, willingness
from pipelines.steps.champions import OUTDATED, RISK_MODEL, WILLINGNESS_MODEL, champion, champion_row
from pipelines.steps.feature_rows import MEMBER_WILLINGNESS, climate_of, feature_rows
from pipelines.steps.learning import _risk_verdict
from pipelines.steps.plan import _is_due, _is_risk_due
from pipelines.steps.scoring import score_default_risk
from pipelines.steps.willingness import follow_willingness, training_version
from puntual.settings import settings_text

AS_OF = date(2026, 6, 30)
TRAINING = AS_OF - timedelta(days=182)
MEMBERS, WEEKS = 150, 60


def panel(as_of: date) -> pd.DataFrame:
    random = np.random.default_rng(0)
    ends = [pd.Timestamp(as_of - timedelta(days=1 + 7 * week)) for week in range(WEEKS)]
    likely = random.random(MEMBERS)
    rows = pd.DataFrame(
        [(end, f"C{m:03d}", likely[m]) for end in ends for m in range(MEMBERS)], columns=["end", "member", "likely"]
    )
    return pd.DataFrame(
        {
            "week_end_date": rows["end"],
            "customer_id": rows["member"],
            "owing_loan_count": 1,
            "days_since_due": 0,
            "collectable_amount": 100.0,
            "installment_amount": 100.0,
            "paid_amount": np.where(random.random(len(rows)) < rows["likely"], 100.0, 0.0),
        }
    )


def contacts(as_of: date) -> pd.DataFrame:
    """A call to every member every week, which reaches every second one; the newest on the day before ``as_of``."""
    days = [pd.Timestamp(as_of - timedelta(days=1 + 7 * week)) for week in range(WEEKS)]
    rows = pd.DataFrame([(day, m) for day in days for m in range(MEMBERS)], columns=["occurred_date", "member"])
    return pd.DataFrame(
        {
            "occurred_date": rows["occurred_date"],
            "customer_id": rows["member"].map("C{:03d}".format),
            "channel_code": "call",
            "is_attempt": True,
            "is_contact": rows["member"] % 2 == 0,
            "outcome_code": "right_party",
        }
    )


def features(spec: FeatureSpec, as_of: date, flag: str) -> pd.DataFrame:
    """Today's rows and those of a training date; member C999 never owed anything."""
    frames = []
    for day, is_score in ((as_of, True), (TRAINING, False)):
        members = [f"C{m:03d}" for m in range(MEMBERS)] + ["C999"]
        values: dict[str, object] = {
            column.name: 1.0 if column.type == "number" else False if column.type == "boolean" else "x"
            for column in spec.columns
            if column.source == "table"
        }
        values |= {"as_of_date": pd.Timestamp(day), "customer_id": members, "is_score": is_score, flag: not is_score}
        if "loan_id" in spec.names:
            values["loan_id"] = [f"L{name}" for name in members]
        frames.append(pd.DataFrame(values))
    return pd.concat(frames, ignore_index=True)


def begin(day: Day, *, trains: bool) -> None:
    """What the transform leaves for the day."""
    dates = pd.DataFrame(
        {
            "as_of_date": [pd.Timestamp(TRAINING), pd.Timestamp(day.as_of)],
            "is_risk_training": [trains, False],
            "is_channel_training": False,
        }
    )
    day.warehouse.replace_table("control.as_of_dates", dates)
    day.warehouse.replace_table(TABLE, panel(day.as_of))
    day.warehouse.replace_table(CONTACTS, contacts(day.as_of))
    for spec, flag in ((LOAN_FEATURES, "is_risk_training"), (CUSTOMER_FEATURES, "is_channel_training")):
        day.warehouse.replace_table(spec.table, features(spec, day.as_of, flag))


@pytest.fixture
def day(tmp_path: Path) -> Day:
    (tmp_path / "puntual.yaml").write_text(settings_text(), encoding="utf-8")
    made = Day.of(tmp_path, AS_OF, "test")
    begin(made, trains=True)
    return made


def promoted(day: Day, willingness_version: str) -> None:
    """A champion of default risk that was trained with that version."""
    curves = {target: CurveTarget((0.0, 90.0), (0.02, 0.9)) for target in ("default", "early_warning")}
    model = DefaultRiskModel(day.as_of, DefaultRiskSettings(), {}, curves, willingness_version=willingness_version)
    version = day.registry.register(RISK_MODEL, model)
    day.registry.promote(RISK_MODEL, version, reason="test", decided_on=day.as_of)


def test_both_dates_are_followed_on_a_training_day(day: Day) -> None:
    said = follow_willingness(day)
    assert said["status"] == "fitted"
    assert said["rows"] == 2 * MEMBERS
    version = training_version(day)
    assert day.registry.row_for(WILLINGNESS_MODEL)["version"] == version
    for flag in ("is_score", "is_risk_training"):
        rows = feature_rows(day, LOAN_FEATURES, flag, version)
        assert list(rows.columns) == list(LOAN_FEATURES.names)
        assert rows["loan_id"].is_monotonic_increasing
        assert rows.loc[rows["customer_id"] == "C999", list(WILLINGNESS_COLUMNS)].isna().all(axis=None)
        assert rows.loc[rows["customer_id"] != "C999", list(WILLINGNESS_COLUMNS)].notna().all(axis=None)
    customers = feature_rows(day, CUSTOMER_FEATURES, "is_score", version)
    assert customers["willingness_level"].notna().sum() == MEMBERS


def test_a_model_is_given_the_version_that_it_was_trained_with(day: Day) -> None:
    follow_willingness(day)
    first = training_version(day)
    promoted(day, first)
    then = feature_rows(day, LOAN_FEATURES, "is_score", first)
    # A week later nothing is due: the champion's version is followed, on the new weeks.
    later = replace(day, as_of=AS_OF + timedelta(days=7))
    begin(later, trains=False)
    said = follow_willingness(later)
    assert (said["status"], said["versions"], said["rows"]) == ("kept: no model is due", first, MEMBERS)
    assert training_version(later) == ""
    # The channel is trained anew: its new version stands beside the one that the risk champion knows.
    begin(later, trains=True)
    assert follow_willingness(later)["versions"].split(", ")[1] == first
    assert training_version(later) != first
    # The old date again, by the old version: the same numbers.
    begin(day, trains=False)
    follow_willingness(day)
    pd.testing.assert_frame_equal(feature_rows(day, LOAN_FEATURES, "is_score", first), then)


def test_the_climate_is_kept_for_the_versions_that_are_followed(day: Day) -> None:
    follow_willingness(day)
    version = training_version(day)
    promoted(day, version)
    climate = climate_of(day, version)
    assert climate is not None
    assert len(climate.week_ends) == panel(day.as_of)["week_end_date"].nunique()
    assert np.isfinite(climate.level).all()
    assert (climate.error > 0).all()
    assert climate_of(day, "") is None
    # a week later, when nothing is due, there is a week more and nothing of the day before is left
    later = replace(day, as_of=AS_OF + timedelta(days=7))
    begin(later, trains=False)
    follow_willingness(later)
    rows = later.warehouse.read("select count(*) as n, count(distinct week_end_date) as weeks from ml.payment_climate")
    assert rows["n"].iloc[0] == rows["weeks"].iloc[0] == panel(later.as_of)["week_end_date"].nunique()
    moved = climate_of(later, version)
    assert moved is not None
    assert moved.week_ends[-1] - climate.week_ends[-1] == timedelta(days=7)


class Stop(Exception):
    """What was wanted of a step has been seen."""


def test_training_judging_and_scoring_are_given_the_climate_of_their_version(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_willingness(day)
    version = training_version(day)
    promoted(day, version)
    expected = climate_of(day, version)
    assert expected is not None
    given: dict[str, object] = {}

    def told(name: str) -> Callable[..., None]:
        def record(*values: object, climate: object = None, **_: object) -> None:
            given[name] = values[-1] if climate is None else climate
            raise Stop

        return record

    monkeypatch.setattr(DefaultRiskModel, "predict_with_reasons", told("score"))
    with pytest.raises(Stop):
        score_default_risk(day)
    monkeypatch.setattr(learning, "train_default_risk", told("train"))
    monkeypatch.setattr(learning, "_is_planned", lambda *_: True)
    monkeypatch.setattr(learning, "keep_training_rows", lambda *_: 0)
    monkeypatch.setattr(learning, "_people", lambda _: None)
    monkeypatch.setattr(learning, "_segments", lambda _: [])
    monkeypatch.setattr(type(day.warehouse), "read_table", lambda *_, **__: pd.DataFrame())
    with pytest.raises(Stop):
        learning.learn_default_risk(day)
    monkeypatch.setattr(learning, "matured_evidence", told("judge"))
    monkeypatch.setattr(DefaultRiskModel, "kind", "boosted")
    row = champion_row(day, RISK_MODEL)
    assert row is not None
    with pytest.raises(Stop):
        _risk_verdict(day, day.registry.load(RISK_MODEL, row["version"]), pd.DataFrame(), DefaultRiskSettings())
    assert given.keys() == {"score", "train", "judge"}
    for climate in given.values():
        assert isinstance(climate, Climate)
        np.testing.assert_array_equal(climate.level, expected.level)


def test_without_history_there_is_no_climate(day: Day) -> None:
    few = panel(AS_OF)
    day.warehouse.replace_table(TABLE, few[few["week_end_date"] >= pd.Timestamp(AS_OF - timedelta(days=22))])
    follow_willingness(day)
    assert day.warehouse.read("select count(*) as n from ml.payment_climate")["n"].iloc[0] == 0
    assert climate_of(day, "") is None


def test_the_channel_reads_the_record_of_contacts_and_default_risk_does_not(day: Day) -> None:
    follow_willingness(day)
    rows = feature_rows(day, CUSTOMER_FEATURES, "is_score", training_version(day)).set_index("customer_id")
    assert list(rows.columns)[-len(RECORD_COLUMNS) :] == list(RECORD_COLUMNS)
    # Sixty calls each: all of the even ones answered, none of the odd, and half is usual.
    assert rows.loc["C000", "call_reach_score"] == pytest.approx((60 + 4 * 0.5) / 64, abs=1e-6)
    assert rows.loc["C001", "call_reach_score"] == pytest.approx(4 * 0.5 / 64, abs=1e-6)
    assert rows.loc["C999", list(RECORD_COLUMNS)].isna().all()
    assert not set(RECORD_COLUMNS) & set(feature_rows(day, LOAN_FEATURES, "is_score", training_version(day)))


def test_too_little_history_leaves_the_columns_empty(day: Day) -> None:
    few = panel(AS_OF)
    day.warehouse.replace_table(TABLE, few[few["week_end_date"] >= pd.Timestamp(AS_OF - timedelta(days=22))])
    said = follow_willingness(day)
    assert said["status"].startswith("off: 4 weeks")
    assert training_version(day) == ""
    rows = feature_rows(day, LOAN_FEATURES, "is_score", "")
    assert len(rows) == MEMBERS + 1
    assert rows[list(WILLINGNESS_COLUMNS)].isna().all(axis=None)


def test_members_are_followed_slice_by_slice_alike(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    follow_willingness(day)
    order = ["as_of_date", "customer_id", "model_version"]
    whole = day.warehouse.read_table(MEMBER_WILLINGNESS, order_by=order)
    monkeypatch.setattr(willingness, "SLICE_MEMBERS", 40)
    follow_willingness(day)
    pd.testing.assert_frame_equal(day.warehouse.read_table(MEMBER_WILLINGNESS, order_by=order), whole)


def test_a_champion_of_other_columns_is_left_out_and_due_again(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    promoted(day, "")
    assert champion(day, RISK_MODEL) is not None
    assert _is_risk_due(day, has_dates=True) == (False, "the newest model is 0 days old")
    monkeypatch.setattr("models.features.FeatureSpec.schema_hash", lambda spec: "upgraded")
    assert day.registry.row_for(RISK_MODEL) is not None
    assert champion_row(day, RISK_MODEL) is None
    assert champion(day, RISK_MODEL) is None
    for is_due, why in (
        _is_risk_due(day, has_dates=True),
        _is_risk_due(day, has_dates=False),
        _is_due(day, RISK_MODEL, 30),
    ):
        assert is_due
        assert OUTDATED in why


def test_a_rollback_of_default_risk_outlives_the_next_training(day: Day) -> None:
    """The older champion is past every limit of age, and new versions of the kind replace one another by the rule."""
    versions, level = [], 0.02
    for age in (200, 100):
        curves = {target: CurveTarget((0.0, 90.0), (level, 0.9)) for target in ("default", "early_warning")}
        model = DefaultRiskModel(day.as_of - timedelta(days=age), DefaultRiskSettings(), {}, curves)
        versions.append(day.registry.register(RISK_MODEL, model))
        day.registry.promote(RISK_MODEL, versions[-1], reason="test", decided_on=model.trained_as_of)
    new = replace(model, trained_as_of=day.as_of)
    none = pd.DataFrame()
    assert _risk_verdict(day, new, none, DefaultRiskSettings()).promote
    assert day.registry.rollback(RISK_MODEL, day.as_of, "odd scores") == versions[0]
    verdict = _risk_verdict(day, new, none, DefaultRiskSettings())
    assert (verdict.promote, verdict.code) == (False, "held")
    assert "odd scores" in verdict.reason_es and "odd scores" in verdict.reason_en
    # A curve this old is due for trees, and would be every day again: no training replaces it.
    day.registry.register(RISK_MODEL, replace(new, trained_as_of=day.as_of - timedelta(days=1)))
    is_due, why = _is_risk_due(day, has_dates=True)
    assert not is_due and "gone back to" in why
    day.registry.promote(RISK_MODEL, versions[0], reason="let the rule go on", decided_on=day.as_of)
    assert _is_risk_due(day, has_dates=True)[0]
    assert _risk_verdict(day, new, none, DefaultRiskSettings()).promote


def test_a_champion_whose_willingness_reads_another_panel_is_left_out(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_willingness(day)
    promoted(day, training_version(day))
    assert champion(day, RISK_MODEL) is not None
    monkeypatch.setattr("pipelines.steps.champions.panel_hash", lambda: "upgraded")
    assert champion(day, RISK_MODEL) is None
