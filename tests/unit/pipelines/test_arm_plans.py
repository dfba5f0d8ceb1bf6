"""Arms that a day cannot honour stop it, and say which, why and what to do; what it can is asked for and no more."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from pipelines.steps import arm_plans
from pipelines.steps.arm_plans import AtStake, models_of_arms, variants_of
from puntual.decision.variants import SCORE_COLUMNS
from puntual.errors import ModelError
from puntual.experiments.assign import expose
from puntual.experiments.registry import Experiment, ExperimentError, Registered
from tests.unit.experiments.test_assign import DAY, NOBODY, members
from tests.unit.experiments.test_changes import LADDER, TODAY, changed, weights
from tests.unit.experiments.test_registry import PLAIN

KNOWN = AtStake(pd.DataFrame(), True, True, True)


class Model:
    """Scores that say which version made them."""

    def __init__(self, version: str) -> None:
        self.version, self.willingness_version = version, f"w-{version}"

    def predict(self, features: pd.DataFrame, channels: list[str]) -> pd.DataFrame:
        rows = features[["customer_id"]].merge(pd.DataFrame({"channel_code": channels}), how="cross")
        more = dict.fromkeys(SCORE_COLUMNS[2:-1], 1.0)
        return rows.assign(**more, as_of_date=DAY, model_version=self.version)[["as_of_date", *SCORE_COLUMNS]]


class Registry:
    """Versions a (in force), b and c (trained later)."""

    def list(self, name: str) -> list[dict[str, Any]]:
        assert name == "contact_channel"
        return [
            {"version": version, "trained_as_of": trained}
            for version, trained in {"a": "2026-06-01", "b": "2026-06-08", "c": "2026-07-02"}.items()
        ]

    def load(self, name: str, version: str) -> Model:
        return Model(version)


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Any:
    place = SimpleNamespace(
        as_of=DAY,
        home=SimpleNamespace(root=Path("coop")),
        registry=Registry(),
        settings=SimpleNamespace(institution=SimpleNamespace(country="EC"), channels={"sms": 1, "call": 1}),
        asked=[],
    )
    monkeypatch.setattr(arm_plans, "champion_row", lambda day, name: {"version": "a"})
    monkeypatch.setattr(arm_plans, "fits", lambda day, name, version: True)

    def feature_rows(day: Any, spec: Any, flag: str, willingness: str) -> pd.DataFrame:
        place.asked.append(willingness)
        return members(50)

    monkeypatch.setattr(arm_plans, "feature_rows", feature_rows)
    return place


def one(*arms: dict[str, Any], **more: Any) -> Registered:
    given = PLAIN | {"arms": [TODAY, *arms], "control": "product"} | more
    return Registered(Experiment.model_validate(given), 0.0, 1.0, Path("experiments/one.yaml"))


def refused(day: Any, arm: dict[str, Any], at_stake: AtStake = KNOWN) -> str:
    with pytest.raises(ExperimentError) as stopped:
        variants_of(day, [one(arm)], expose([one(arm)], members(50), NOBODY, DAY), at_stake)
    text = str(stopped.value)
    assert text.startswith("experiments/one.yaml: the arm other of the experiment one cannot be decided on this day")
    assert text.endswith("end the experiment: set its end to a day that has passed (enabled: false if it never ran).")
    return text


def test_a_version_that_cannot_be_used_stops_the_day(day: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = refused(day, changed(channel_model="x"))
    assert "(changes.channel_model): there is no version x of contact_channel; there are: a, b, c" in text
    assert "puntual models list coop" in text
    assert "the version c was trained on 2026-07-02, after 2026-07-01" in refused(day, changed(channel_model="c"))
    monkeypatch.setattr(arm_plans, "fits", lambda day, name, version: version != "b")
    assert "b cannot be used: it was trained on other columns than today's" in refused(day, changed(channel_model="b"))

    def broken(name: str, version: str) -> Model:
        raise ModelError("base.txt is not the file that was registered.")

    monkeypatch.setattr(day.registry, "load", broken)
    assert "a cannot be used: base.txt is not the file" in refused(day, changed(channel_model="a"))


def test_what_counts_for_nothing_stops_the_day(day: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    provision, fee = (changed(**weights(**{name: 0.5})) for name in ("provision_weight", "collection_fee_weight"))
    text = refused(day, provision, KNOWN._replace(has_provisions=False))
    assert "(changes.decision.provision_weight): no rating table of EC that asks for more provision" in text
    assert "kpis.rating_table" in text and "fee" not in text
    text = refused(day, fee, KNOWN._replace(has_fees=False))
    assert "no table of collection fees of EC is in force on 2026-07-01" in text and "rating_table" not in text
    text = refused(day, fee, KNOWN._replace(is_chargeable=False))
    assert "no rule of EC that lets a contact be charged is in force" in text and "rule of kind fee" in text
    monkeypatch.setattr(arm_plans, "champion_row", lambda day, name: None)
    for arm in (provision, changed(channel_model="b")):
        assert "the channel model is off on 2026-07-01" in refused(day, arm)
    # two ladders can be compared all the same
    steps = one(changed("ladder", ladder=LADDER))
    found = variants_of(day, [steps], expose([steps], members(50), NOBODY, DAY), AtStake(None, False, False, False))
    assert found is not None and [plan.code for plan in found.plans] == ["one/other"]


def test_only_members_who_may_follow_an_arm_are_scored_and_only_by_what_is_not_in_force(day: Any) -> None:
    arms = [
        changed(share=0.2, code="model", channel_model="b"),
        changed(share=0.1, code="today", channel_model="a"),
        changed(share=0.2, code="fee", **weights(collection_fee_weight=0.5)),
    ]
    mine = one(*arms, population={"branches": ["b1"]})
    features = members(50, branch_id=["b1"] * 20 + ["b2"] * 30)
    found = variants_of(day, [mine], expose([mine], features, NOBODY, DAY), KNOWN)
    assert found is not None and found.channel_scores is not None
    assert [plan.code for plan in found.plans] == ["one/model", "one/today", "one/fee"]
    assert tuple(found.channel_scores.columns) == SCORE_COLUMNS and day.asked == ["w-b"]
    assert set(found.channel_scores["model_version"]) == {"b"} and found.channel_scores["customer_id"].nunique() == 20
    assert found.chances.groupby("plan_code")["probability"].unique().map(list).to_dict() == {
        "one/model": [0.2], "one/today": [0.1], "one/fee": [0.2]
    }  # fmt: skip


def test_an_experiment_whose_members_are_gone_asks_for_no_scores(day: Any) -> None:
    mine = one(changed(channel_model="b"))
    gone = expose([mine], members(20, is_eligible=False), NOBODY, DAY)
    found = variants_of(day, [mine], gone, KNOWN)
    assert found is not None and [plan.code for plan in found.plans] == ["one/other"]
    assert found.chances.empty and found.channel_scores is None and day.asked == []
    # what the day cannot honour stops it all the same: somebody may come back tomorrow
    with pytest.raises(ExperimentError, match="there is no version x"):
        variants_of(day, [one(changed(channel_model="x"))], gone, KNOWN)


def test_a_day_without_such_arms_asks_for_nothing(day: Any) -> None:
    plain = one({"code": "held", "share": 0.5, "policy": "hold_out"})
    later = one(changed(channel_model="x"), start=date(2026, 8, 1))
    off = one(changed(channel_model="x"), enabled=False)
    every = [plain, later, off]
    assert variants_of(day, every, expose(every, members(9), NOBODY, DAY), AtStake(None, False, False, False)) is None
    assert models_of_arms(day, every) == {} and day.asked == []
