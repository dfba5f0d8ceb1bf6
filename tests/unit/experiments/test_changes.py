"""Arms that change something: what a file may say, who follows them how likely, and what is said of them."""

from __future__ import annotations

import itertools
import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from puntual import clock
from puntual.decision.variants import CHANCE_COLUMNS
from puntual.experiments.assign import arms, chances, expose
from puntual.experiments.changes import Changes, alike, in_words
from puntual.experiments.command import told_of_check
from puntual.experiments.registry import Experiment, ExperimentError, check_unchanged, load_experiments, log_frame
from puntual.experiments.report import latest, report
from puntual.experiments.texts import changes_by_arm, report_rows
from puntual.homes import create_home
from puntual.paths import POLICIES, Home
from tests.unit.experiments.test_assign import DAY, NOBODY, members, registered
from tests.unit.experiments.test_command import called, publish
from tests.unit.experiments.test_registry import PLAIN, write
from tests.unit.experiments.test_report import START, book

LADDER = {"id": "SOFT", "version": 2, "steps": [{"min_days": 0, "max_days": None, "channels": ["sms", "call"]}]}
SHIPPED = yaml.safe_load((POLICIES / "ladder.yaml").read_text(encoding="utf-8"))
TODAY = {"code": "product", "share": 0.5, "policy": "puntual"}


def changed(policy: str = "puntual", share: float = 0.5, code: str = "other", **changes: Any) -> dict[str, Any]:
    return {"code": code, "share": share, "policy": policy, "changes": changes}


def weights(**named: float) -> dict[str, float]:
    return {f"decision.{name}": value for name, value in named.items()}


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        (changed(), r"one\.yaml, line 13: arms\.1\.changes: changes nothing: give decision\.provision_weight"),
        (changed(**weights(provision_weight=1.5)), r"arms\.1\.changes\.decision\.provision_weight: .*less than or equal to 1"),
        (changed(**weights(collection_fee_weight=-1.0)), r"changes\.decision\.collection_fee_weight: .*greater than"),
        (changed(**weights(stay_amount=1.0)), r"line 14: arms\.1\.changes\.decision\.stay_amount: unknown key"),
        (changed(channel_model=12), r"changes\.channel_model: .*valid string"),
        (changed(channel_model=""), r"changes\.channel_model: .*pattern"),
        (changed(ladder=LADDER), r"changes\.ladder does not go with policy puntual: it may change decision\.prov"),
        (changed("ladder", channel_model="ab"), r"changes\.channel_model does not go with policy ladder: it may change ladder"),
        (changed("hold_out", ladder=LADDER), r"changes\.ladder does not go with policy hold_out: it changes nothing"),
        (changed("ladder", ladder=LADDER | {"steps": [{"min_days": 3, "max_days": None, "channels": ["sms"]}]}),
         r"arms\.1\.changes\.ladder: the ladder must start at day 0"),
        (changed("ladder", ladder=LADDER | {"steps": [{"min_days": 0, "max_days": None, "channels": ["fax"]}]}),
         r"changes\.ladder\.steps\.0\.channels\.0: .*'call'"),
        ({**TODAY, "code": "x", "changes": "more"}, r"arms\.1\.changes: must hold keys of its own"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_change_is_said_with_its_place(tmp_path: Path, arm: dict[str, Any], message: str) -> None:
    write(tmp_path, arms=[TODAY, arm], control="product")
    with pytest.raises(ExperimentError, match=message):
        load_experiments(tmp_path)


def test_changes_are_read_as_written_and_kept_in_the_log(tmp_path: Path) -> None:
    arm = changed(**weights(provision_weight=1.0, collection_fee_weight=0.2), channel_model="ab12")
    ladder = changed("ladder", 0.25, "steps", ladder=LADDER)
    write(tmp_path, arms=[TODAY | {"share": 0.25}, arm, ladder], control="product")
    (one,) = load_experiments(tmp_path)
    first, second = one.experiment.changed_arms
    assert first.changes and (first.changes.provision_weight, first.changes.channel_model) == (1.0, "ab12")
    assert second.changes and second.changes.ladder and second.changes.ladder.steps[0].channels == ("sms", "call")
    logged = log_frame([one], DAY)
    assert Experiment.model_validate_json(logged["definition"].iloc[0]) == one.experiment
    assert json.loads(logged["definition"].iloc[0])["arms"][1]["changes"] == arm["changes"]


def test_an_arm_that_changes_nothing_has_the_fingerprint_of_before(tmp_path: Path) -> None:
    """The digest is of the release before arms could change anything: a running experiment goes on after an upgrade."""
    write(tmp_path)
    (one,) = load_experiments(tmp_path)
    assert one.fingerprint == BEFORE
    assert "changes" not in log_frame([one], DAY)["definition"].iloc[0]


BEFORE = "b4abfcf2bcd2174643b607e3a771ce420c3b5997fc66af27b0c3f9d2db07c326"


def test_changes_may_not_change_once_it_has_begun(tmp_path: Path) -> None:
    write(tmp_path, arms=[TODAY, changed(**weights(provision_weight=1.0))], control="product")
    logged = log_frame(load_experiments(tmp_path), date(2026, 7, 10))
    for arm in (changed(**weights(provision_weight=0.9)), changed(channel_model="ab"), TODAY | {"code": "other"}):
        write(tmp_path, arms=[TODAY, arm], control="product")
        with pytest.raises(ExperimentError, match=r"was running on 2026-07-10 and has been changed"):
            check_unchanged(load_experiments(tmp_path), logged, date(2026, 7, 11))


RANKS = ["hold_out", "ladder", "other_ladder", "changed", "product"]


def kinds(*shares: float) -> list[dict[str, Any]]:
    """One arm of each kind, in the order in which they come before one another."""
    return [
        {"code": "hold_out", "share": shares[0], "policy": "hold_out"},
        {"code": "ladder", "share": shares[1], "policy": "ladder"},
        changed("ladder", shares[2], "other_ladder", ladder=LADDER),
        changed("puntual", shares[3], "changed", **weights(provision_weight=1.0)),
        {"code": "product", "share": shares[4], "policy": "puntual"},
    ]


def test_a_member_of_several_experiments_follows_one_with_the_probability_of_all_their_draws() -> None:
    """Three experiments with every kind of arm: each probability against all 125 outcomes of their draws."""
    shares = [(0.1, 0.2, 0.2, 0.2, 0.3), (0.2, 0.1, 0.3, 0.1, 0.3), (0.05, 0.15, 0.1, 0.3, 0.4)]
    every = [
        registered(id=f"e{number}", layer=f"l{number}", salt=f"s{number}", arms=kinds(*mine), control="product")
        for number, mine in enumerate(shares)
    ]
    exposures = expose(every, members(300), NOBODY, DAY)
    frame = arms(every, exposures).set_index("customer_id")
    wanted: dict[tuple[str, str], float] = dict.fromkeys(itertools.product(["e0", "e1", "e2"], RANKS), 0.0)
    follows = {}
    for outcome in itertools.product(RANKS, repeat=3):
        first = min(range(3), key=lambda number: (RANKS.index(outcome[number]), number))
        chance = 1.0
        for number, code in enumerate(outcome):
            chance *= shares[number][RANKS.index(code)]
        wanted[f"e{first}", outcome[first]] += chance
        follows[outcome] = (f"e{first}", outcome[first])
    drawn = exposures.pivot(index="customer_id", columns="experiment_id", values="arm_code")
    for name, row in frame.iterrows():
        assert (row["experiment_id"], row["arm_code"]) == follows[tuple(drawn.loc[name, ["e0", "e1", "e2"]])]

    def total(code: str) -> float:
        return sum(wanted[f"e{number}", code] for number in range(3))

    assert frame["hold_out_probability"].to_numpy() == pytest.approx(total("hold_out"))
    assert frame["ladder_probability"].to_numpy() == pytest.approx(total("ladder"))
    found = chances(every, exposures)
    assert tuple(found.columns) == CHANCE_COLUMNS and not found[["customer_id", "plan_code"]].duplicated().any()
    for (experiment, code), probability in wanted.items():
        if code in {"other_ladder", "changed"}:
            mine = found.loc[found["plan_code"] == f"{experiment}/{code}", "probability"]
            assert len(mine) == 300 and mine.to_numpy() == pytest.approx(probability)
    whole = (
        found.groupby("customer_id")["probability"].sum() + frame["hold_out_probability"] + frame["ladder_probability"]
    )
    assert (whole + total("product")).to_numpy() == pytest.approx(1.0)


def test_who_is_in_one_experiment_only_has_the_share_of_its_arm() -> None:
    one = registered(arms=kinds(0.1, 0.2, 0.2, 0.2, 0.3), control="product")
    other = registered(
        (0.0, 0.4), id="two", layer="second", salt="s2", arms=kinds(0.5, 0.2, 0.1, 0.1, 0.1), control="product"
    )
    exposures = expose([one, other], members(200), NOBODY, DAY)
    both = set(exposures.loc[exposures["experiment_id"] == "two", "customer_id"])
    assert 0 < len(both) < 200
    found = chances([one, other], exposures)
    mine = found[found["plan_code"] == "one/changed"].set_index("customer_id")["probability"]
    # beside the other experiment: not its hold-out, ladder or other ladder; among equals the first by id
    assert mine[~mine.index.isin(both)].to_numpy() == pytest.approx(0.2)
    assert mine[mine.index.isin(both)].to_numpy() == pytest.approx(0.2 * 0.2)
    assert chances([registered()], expose([registered()], members(5), NOBODY, DAY)).empty


def test_changes_in_words_and_beside_today() -> None:
    both = Changes.model_validate(weights(provision_weight=1.0, collection_fee_weight=0.125))
    assert (
        in_words(both.written(), "es")
        == "cuenta el 100,0 % de la provisión evitada; cuenta el 12,5 % de la tarifa de cobranza"
    )
    none = weights(provision_weight=0.0, collection_fee_weight=0.0)
    assert in_words(none, "es") == "no cuenta la provisión evitada; no cuenta la tarifa de cobranza"
    assert in_words(none, "en") == "the provision avoided does not count; the collection fee does not count"
    steps = Changes.model_validate({"ladder": LADDER})
    assert in_words(steps.written(), "en") == "ladder SOFT v2"
    today = weights(provision_weight=1.0) | {"ladder": LADDER | {"id": "OWN"}}
    assert both.same_as(today) == ["decision.provision_weight"] and steps.same_as(today) == ["ladder"]
    assert alike(steps, today) == alike(None, today) != alike(both, today)


@pytest.fixture
def place(tmp_path: Path) -> Home:
    return create_home(
        tmp_path / "coop", name="Coop", country="EC", timezone="America/Guayaquil", currency="USD", language="es"
    )


def test_check_says_which_arms_compare_nothing_and_which_model_is_not_there(place, monkeypatch, capsys) -> None:
    arms = [
        TODAY | {"share": 0.25},
        changed(share=0.25, code="same", **weights(provision_weight=0.25)),
        changed(share=0.25, code="model", channel_model="ab12"),
        changed("ladder", 0.25, "steps", ladder=SHIPPED | {"id": "MINE"}),
    ]
    write(place.experiments, arms=arms, control="product")
    monkeypatch.setattr(clock, "today", lambda timezone: date(2026, 7, 5))
    code, text = called(monkeypatch, capsys, "check", str(place.root), "--language", "en")
    assert code == 0 and "Files of experiments: 2, all valid." in text
    assert "WARNING one: the arm same sets decision.provision_weight to the value that already holds today." in text
    assert "WARNING one: the arms product, same do the same today: between them it is an A/A test." in text
    assert (
        "WARNING one: the arm model asks for the model ab12, which is not in" in text
        and "contact_channel: the day will not run. Choose" in text
    )
    assert "WARNING one: the arm steps sets ladder to the value that already holds today." in text
    (place.models / "contact_channel" / "ab12").mkdir(parents=True)
    (place.models / "contact_channel" / "ab12" / "manifest.json").write_text("{}")
    write(place.experiments, arms=[TODAY, changed(channel_model="ab12")], control="product")
    assert "AVISO" not in called(monkeypatch, capsys, "check", str(place.root))[1]
    publish(place, START)
    manifest = place.published / "day" / "manifest.json"
    content = json.loads(manifest.read_text()) | {"model_versions": {"contact_channel": "ab12"}}
    manifest.write_text(json.dumps(content))
    text = called(monkeypatch, capsys, "check", str(place.root))[1]
    assert "AVISO one: el grupo other pone en channel_model el mismo valor que ya rige hoy." in text
    assert "los grupos product, other hacen lo mismo hoy: es una prueba A/A, no compara nada." in text


def test_check_says_from_when_a_day_will_not_run_and_nothing_of_what_is_over(place) -> None:
    missing = [TODAY, changed(channel_model="ab12")]
    for more, today, wanted in (
        ({}, date(2026, 7, 5), "contact_channel: el día no correrá. Elija"),
        ({}, date(2026, 6, 5), "contact_channel: el día no correrá desde el 2026-07-01."),
        ({"enabled": False}, date(2026, 6, 5), "contact_channel: el día no correrá desde el 2026-07-01."),
        ({"enabled": False}, date(2026, 7, 5), "contact_channel: el día no correrá desde el 2026-07-05."),
        ({}, date(2026, 9, 30), "contact_channel: el día no correrá. Elija"),
    ):
        write(place.experiments, arms=missing, control="product", **more)
        (line,) = told_of_check(place, "es", today)
        assert wanted in line, (more, today)
    assert told_of_check(place, "es", date(2026, 10, 1)) == []


def test_check_says_what_a_channel_model_that_is_off_and_a_budget_leave_unknown(place) -> None:
    ladder = {"code": "old", "share": 0.5, "policy": "ladder"}
    write(place.experiments, arms=[TODAY, ladder], control="product")
    assert told_of_check(place, "en", START) == []
    publish(place, START)
    manifest = place.published / "day" / "manifest.json"
    content = json.loads(manifest.read_text())
    # a day published by a release whose manifest does not say: it is not known
    assert told_of_check(place, "en", START) == []
    manifest.write_text(json.dumps(content | {"model_versions": {"contact_channel": None}}))
    (line,) = told_of_check(place, "en", START)
    assert "the arms product, old do the same today" in line and line.endswith("off: the product is the ladder.)")
    write(place.experiments, arms=[TODAY, changed(**weights(provision_weight=1.0))], control="product")
    (line,) = told_of_check(place, "en", START)
    assert "the arm other changes decision.provision_weight, and the channel model is off" in line
    assert "while it is, the day will not run." in line
    manifest.write_text(json.dumps(content | {"model_versions": {"contact_channel": "ab12"}}))
    assert told_of_check(place, "en", START) == []
    settings = place.root / "puntual.yaml"
    settings.write_text(settings.read_text().replace("\n  daily_budget: null", "\n  daily_budget: 50"))
    (line,) = told_of_check(place, "es", START)
    assert line.startswith("AVISO one: con decision.daily_budget") and "propensity queda vacía" in line
    write(place.experiments, arms=PLAIN["arms"])
    assert told_of_check(place, "es", START) == []


def test_a_day_published_before_arms_could_change_anything_is_still_reported(place) -> None:
    """Its tables have no ``changes_es`` and ``changes_en``; the report and the page say nothing of changes then."""
    write(place.experiments, metric={"window_days": 7})
    frame = report(load_experiments(place.experiments), *book(6.0), START)
    old = frame.drop(columns=["changes_es", "changes_en"])
    for language in ("es", "en"):
        assert report_rows(latest(old), language) == report_rows(latest(frame), language)
        assert changes_by_arm(old, language) == changes_by_arm(frame, language) == [None] * len(frame)


def test_the_report_and_the_list_say_what_an_arm_changes(place, monkeypatch, capsys) -> None:
    arms = [PLAIN["arms"][0] | {"changes": weights(provision_weight=1.0)}, PLAIN["arms"][1]]
    write(place.experiments, metric={"window_days": 7}, arms=arms)
    frame = report(load_experiments(place.experiments), *book(6.0), START)
    assert frame["changes_es"].iloc[0] == "cuenta el 100,0 % de la provisión evitada" and pd.isna(
        frame["changes_es"].iloc[1]
    )
    publish(place, START)
    assert "product cambia: cuenta el 100,0 % de la provisión evitada." in called(
        monkeypatch, capsys, "report", str(place.root), "one"
    )[1]  # fmt: skip
    text = called(monkeypatch, capsys, "report", str(place.root), "one", "--language", "en")[1]
    assert "product changes: 100.0% of the provision avoided counts." in text and "held changes" not in text
    # a cell of the table takes several lines, with other cells between them
    text = called(monkeypatch, capsys, "list", str(place.root), "--language", "en")[1]
    assert 0 < text.find("product 80% puntual: 100.0%") < text.find("provision avoided counts") < text.find("held 20%")
