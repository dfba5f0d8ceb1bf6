"""The log and the explanation of a member whose arm changes something: that arm's model, weights and name."""

from __future__ import annotations

import json

import pytest

from puntual.audit.chain import AuditLog
from puntual.audit.log import SECOND, people
from puntual.audit.verify import verify
from puntual.audit.why import why
from puntual.decision.decide import decide
from puntual.decision.policies import Ladder, LadderStep
from puntual.decision.variants import Variant
from puntual.paths import Home
from tests.unit.audit import logged
from tests.unit.decision.test_decide import in_arms
from tests.unit.decision.test_minimums import duties
from tests.unit.decision.test_second import TEAM, TRIED
from tests.unit.decision.test_variants import OTHER, halves, weighed_book

MODEL = Variant(experiment_id="e1", arm_code="model", channel_model="0123456789abcdef", fee_weight=0.5)
STEPS = Variant(
    experiment_id="e1",
    arm_code="steps",
    ladder=Ladder(id="SOFT", version=3, steps=(LadderStep(min_days=0, max_days=None, channels=("email", "call")),)),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    inputs = logged.arguments(120, exploration_share=0.05) | weighed_book(120)
    names = inputs["features"]["customer_id"].tolist()
    theirs = inputs["channel_scores"].assign(model_version=MODEL.channel_model)
    inputs |= halves(names, OTHER, MODEL, STEPS, channel_scores=theirs) | {"provision_weight": 0.25}
    inputs |= TRIED | {"collectors": TEAM}
    inputs["duties"] = duties(*({"customer_id": name, "is_last_chance": True} for name in names[:8]))
    home = Home(tmp_path_factory.mktemp("arms") / "home")
    logged.run_day(home, inputs)
    return AuditLog(home), decide(**inputs).decisions.set_index("customer_id")


def test_the_model_of_the_log_is_that_of_the_arm(world) -> None:
    log, rows = world
    entry = log.in_force(logged.DAY)
    assert verify(log.home).problems == []
    said = people(log.log_file(entry), ["customer_id", "model_versions"]).set_index("customer_id")["model_versions"]
    assert list(said.index) == list(rows.index)
    is_duty = rows["reason_codes"].str.contains("MINIMUM_DUTY")
    of_model = (rows["arm_code"] == "model") & ~is_duty
    assert of_model.sum() > 20 and (is_duty & (rows["arm_code"] == "model")).any()
    for name, text in said.items():
        wanted = {"default_risk": "v1"} | ({"contact_channel": MODEL.channel_model} if of_model[name] else {})
        assert json.loads(text) == wanted, name


def facts(world, customer: str, language: str) -> dict[str, str]:
    log, _ = world
    found = why(log, log.in_force(logged.DAY), customer, language)
    return dict(found.facts) | dict(found.versions)


def test_the_explanation_names_the_arm_and_weighs_as_it_does(world) -> None:
    _, rows = world
    planned = rows[(rows["action"] != "none") & ~rows["is_exploration"]]
    duty = planned["reason_codes"].str.contains("MINIMUM_DUTY")
    one = {
        code: planned.index[(planned["arm_code"] == code) & ~duty][0] for code in ("today", "other", "model", "steps")
    }
    assert facts(world, one["today"], "en")["Experiment"] == "e1, arm today"
    assert facts(world, one["today"], "en")["Provision avoided"].endswith("(counts: 25.0%)")
    other = facts(world, one["other"], "en")
    assert other["Experiment"] == (
        "e1, arm other: 100.0% of the provision avoided counts. Amounts and reasons are those of this arm"
    )
    assert other["Provision avoided"].endswith("(counts: 100.0%)")
    model = facts(world, one["model"], "es")
    assert model["Experimento"] == (
        "e1, grupo model: cuenta el 50,0 % de la tarifa de cobranza; modelo de canales 0123456789abcdef. "
        "Montos y motivos son los de este grupo"
    )
    assert "50,0" in model["Tarifa de cobranza esperada"] and "contact_channel 0123456789ab" in model["Modelos"]
    steps = facts(world, one["steps"], "en")
    assert steps["Experiment"] == "e1, arm steps: ladder SOFT v3"
    # a duty is the product's in every arm, and so are its figures
    served = planned.index[duty & (planned["arm_code"] == "other")][0]
    assert facts(world, served, "en")["Experiment"] == "e1, arm other"
    assert facts(world, served, "en")["Provision avoided"].endswith("(counts: 25.0%)")


def test_capacity_is_that_of_the_group_where_the_day_is_shared_out(world, tmp_path) -> None:
    """An arm's part that its members do not need stays idle: nothing is said of members of other arms."""
    log, rows = world
    entry = log.in_force(logged.DAY)
    summary = log.context(entry)["summary"]
    assert set(summary["idle_capacity"]) == {"product", "e1/other", "e1/model", "e1/steps"}
    short = rows.index[(rows["blocked_by"] == '["capacity"]') & (rows["arm_code"] == "other")]
    found = why(log, entry, short[0], "es")
    assert found.headline == (
        "Hoy no se le contacta: valdría la pena, pero los cupos de su grupo se usan en socios para los que aportan más."
    )
    told = " ".join(one.verdict for one in found.channels)
    assert "El cupo vale más en otros socios de su grupo." in told and "otros socios." not in told
    assert found.notes[1].endswith("en su grupo (en el de una escalera, el del producto).")
    assert "its group's places" in why(log, entry, short[0], "en").headline
    # a day of today's ladder beside the product is shared out too; one without experiments is not
    kinds = ["ladder", "puntual"]
    for name, sentence in (("ladder", "los cupos de su grupo"), ("plain", "los cupos se usan")):
        inputs = logged.arguments(120)
        names = inputs["features"]["customer_id"].tolist()
        if name == "ladder":
            inputs["arms"] = in_arms(*((one, kinds[place % 2]) for place, one in enumerate(names)))
        logged.run_day(Home(tmp_path / name), inputs)
        day = AuditLog(Home(tmp_path / name))
        decided = decide(**inputs)
        assert "idle_capacity" not in decided.summary
        short = decided.decisions.set_index("customer_id")["blocked_by"] == '["capacity"]'
        assert sentence in why(day, day.in_force(logged.DAY), short.index[short][0], "es").headline


def test_a_second_contact_says_that_it_is_valued_by_today(world) -> None:
    log, rows = world
    seconds = people(log.log_file(log.in_force(logged.DAY)), ["customer_id", SECOND]).dropna().set_index("customer_id")
    arm, is_duty = rows["arm_code"][seconds.index], rows["reason_codes"][seconds.index].str.contains("MINIMUM_DUTY")
    other = seconds.index[(arm == "other") & ~is_duty][0]
    said = facts(world, other, "es")["Valor del segundo contacto"]
    assert said.endswith("de su beneficio (valorado con los pesos y el modelo de hoy)")
    assert facts(world, other, "en")["Value of the second contact"].endswith("(valued by today's weights and model)")
