"""The explanation says what the log says, in both languages, and nothing that names a person."""

from __future__ import annotations

import re

import pandas as pd
import pytest
import yaml

from puntual.audit import texts
from puntual.audit.chain import AuditLog
from puntual.audit.why import Why, why
from puntual.decision.decide import decide
from puntual.decision.policies import Policy
from puntual.errors import UsageError
from puntual.paths import POLICIES, Home
from tests.unit.audit import logged


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A logged day with contacts, draws, full capacities and members whom rules protect; and its decision."""
    inputs = logged.arguments(150, exploration_share=0.2)
    customers = inputs["customers"]
    customers.loc[3, "customer_status_code"] = "deceased"
    inputs["interactions"] = logged.worlds.events(
        {"customer_id": "m00005", "occurred_at": logged.worlds.at("2026-06-30 08:00"), "channel_code": "call"}
    )
    scores = inputs["channel_scores"]
    scores.loc[scores["customer_id"] == "m00010", "gain_amount"] = -1.0
    home = Home(tmp_path_factory.mktemp("why") / "home")
    logged.run_day(home, inputs)
    return AuditLog(home), decide(**inputs)


def told(world, customer: str, language: str = "es") -> Why:
    log, _ = world
    return why(log, log.in_force(logged.DAY), customer, language)


def first(world, condition) -> str:
    _, outcome = world
    return str(outcome.decisions.loc[condition(outcome.decisions), "customer_id"].iloc[0])


def test_a_contact_of_the_plan(world):
    _, outcome = world
    row = outcome.decisions[(outcome.decisions["action"] == "call") & ~outcome.decisions["is_exploration"]].iloc[0]
    found = told(world, row["customer_id"])
    assert found.headline.startswith("Se le contacta por llamada: de lo permitido, es lo que más aporta")
    facts = dict(found.facts)
    assert facts["Lista"] == row["collector_id"]
    size = int((outcome.decisions["collector_id"] == row["collector_id"]).sum())
    assert facts["Lugar en la lista"] == f"{row['rank']} de {size}"
    assert facts["Horario permitido"] == "2026-06-30 07:00 – 20:00"
    assert facts["Lo que elegía el plan"] == "Llamada"
    (chosen,) = [one for one in found.channels if one.is_chosen]
    details = outcome.details.set_index(["customer_id", "channel_code"]).loc[(row["customer_id"], "call")]
    assert chosen.verdict == "Elegida."
    assert chosen.gain == texts.figure(details["gain_amount"], "es")
    assert chosen.surplus == texts.figure(details["net_amount"] - details["price_amount"], "es")
    assert [one.channel_code for one in found.channels] == list(logged.COSTS)
    assert found.reasons


def test_the_neighbours_are_those_of_the_same_list_by_rank(world):
    _, outcome = world
    row = outcome.decisions[outcome.decisions["rank"] == 2].iloc[0]
    around = told(world, row["customer_id"]).around
    ranks = [one.rank for one in around]
    assert ranks == sorted(ranks)
    assert set(ranks) <= {1, 2, 3, 4}
    assert [one.customer_id for one in around if one.is_this] == [row["customer_id"]]
    owner = outcome.decisions.set_index("customer_id")
    for one in around:
        assert owner.loc[one.customer_id, "action"] == row["action"]


def test_a_drawn_contact_says_so_and_what_the_plan_would_have_done(world):
    customer = first(world, lambda d: d["is_exploration"] & (d["action"] != "none"))
    found = told(world, customer)
    assert "salió en el sorteo" in found.headline
    assert dict(found.facts)["Sorteo de exploración"] == "salió sorteado"
    (chosen,) = [one for one in found.channels if one.is_chosen]
    assert chosen.verdict.startswith("Elegida en el sorteo (le tocaba con")


@pytest.mark.parametrize(
    ("code", "spanish"),
    [("capacity", "los cupos se usan"), ("no_positive_value", "aportaría más de lo que cuesta"),
     ("exploration_none", "le tocó no ser contactado")],
)  # fmt: skip
def test_why_not(world, code, spanish):
    customer = first(world, lambda d: d["blocked_by"] == f'["{code}"]')
    found = told(world, customer)
    assert spanish in found.headline
    assert found.around == ()
    assert not any(one.is_chosen for one in found.channels)


def test_a_blocked_member_hears_which_rule_and_from_when(world):
    found = told(world, "m00005")
    assert "ninguna vía está permitida" in found.headline
    call = next(one for one in found.channels if one.channel_code == "call")
    assert "máximo de 1 en un día (EC-BASE/one_a_day)" in call.verdict
    assert "Permitida desde el 2026-07-01 07:00." in call.verdict
    assert "Fuente:" in call.verdict
    never = told(world, "m00003")
    assert all("No hay fecha desde la que se permita." in one.verdict for one in never.channels)


def test_english_says_the_same(world):
    found = told(world, "m00005", "en")
    assert found.headline == "Not contacted today: no channel is permitted."
    assert "the most of 1 in a day is reached" in found.channels[0].verdict


def test_a_member_who_was_not_considered(world):
    with pytest.raises(UsageError, match="no está entre las"):
        told(world, "nobody")


def test_every_kind_of_decision_of_the_day_can_be_explained_in_both_languages(world):
    _, outcome = world
    kinds = outcome.decisions.drop_duplicates(["action", "is_exploration", "blocked_by"])
    assert len(kinds) > 12
    for customer in kinds["customer_id"]:
        for language in ("es", "en"):
            found = told(world, customer, language)
            said = " ".join([found.headline, *(one.verdict for one in found.channels)])
            assert not re.search(r"[{}]|None|nan", said), said


def test_every_kind_of_rule_and_every_reason_of_no_contact_has_its_sentence():
    kinds = {
        rule.kind
        for file in POLICIES.glob("*.yaml")
        if "rules" in (content := yaml.safe_load(file.read_text()))
        for rule in Policy.model_validate(content).rules
    }
    assert [kind for kind in sorted(kinds) if not texts.known("rule_kinds", kind)] == []
    for code in ("no_positive_value", "capacity", "exploration_none", "exploration_overflow", "no_support",
                 "not_on_the_ladder"):  # fmt: skip
        assert texts.known("why", code)


def test_every_sentence_is_there_in_both_languages_with_the_same_names():
    for group, entries in texts._entries().items():
        for key, said in entries.items():
            assert isinstance(key, str), (group, key)
            assert set(said) == {"es", "en"}, (group, key)
            names = [set(re.findall(r"{(\w+)}", said[language])) for language in ("es", "en")]
            assert names[0] == names[1], (group, key)


def test_the_log_names_nobody(world):
    log, _ = world
    table = pd.read_parquet(log.log_file(log.newest()))
    assert not {"full_name", "national_id", "value", "contact_value"} & set(table.columns)


def test_duties_are_named_with_their_last_day_and_what_became_of_them(tmp_path):
    owed = pd.DataFrame(
        {
            "customer_id": ["m00001", "m00002"],
            "rule_id": "EC-OWN/notice",
            "due_date": pd.Timestamp("2026-06-16").date(),
            "due_on": logged.DAY,
            "channels": ['["call","email"]', '["letter"]'],
            "is_last_chance": True,
        }
    )
    home = Home(tmp_path / "home")
    logged.run_day(home, logged.arguments(20, duties=owed))
    log = AuditLog(home)
    said = dict(why(log, log.in_force(logged.DAY), "m00001", "en").facts)["Contact that a rule asks for"]
    assert said == "EC-OWN/notice; instalment due on 2026-06-16, by 2026-06-30: met today"
    said = dict(why(log, log.in_force(logged.DAY), "m00002", "es").facts)["Contacto que exige una regla"]
    assert said.endswith("hoy no se permite ninguna de sus vías")


def test_every_part_of_the_value_is_shown_in_both_languages(tmp_path):
    names = [f"m{number:05d}" for number in range(20)]
    stakes = pd.DataFrame({"customer_id": names, "roll_amount": 200.0, "enough_amount": 50.0})
    stakes = stakes.assign(enough_probability=1.0, fee_amount=6.38, fee_channels='["call","email"]')
    inputs = logged.arguments(20, exploration_share=0.0, stakes=stakes, provision_weight=0.5, fee_weight=0.5)
    inputs["channel_scores"] = inputs["channel_scores"].assign(expected_amount=50.0, pay_probability=0.2)
    home = Home(tmp_path / "home")
    logged.run_day(home, inputs)
    rows = decide(**inputs).decisions
    row = rows[rows["action"] == "call"].iloc[0]
    log = AuditLog(home)
    found = why(log, log.in_force(logged.DAY), row["customer_id"], "en")
    facts, money = dict(found.facts), lambda value: texts.amount(value, "USD", "en")
    assert facts["Expected extra recovery"] == money(row["expected_gain_amount"])
    assert facts["Provision avoided"].startswith(money(row["provision_avoided_amount"]) + " (counts: ")
    assert facts["Collection fee expected"].startswith(money(6.38 * 0.5 * 0.5) + " (counts: ")
    assert facts["Cost of the contact"] == money(row["contact_cost_amount"])
    assert facts["Value of the contact"] == money(row["value_amount"])
    charged = facts["Fee that may be charged to the member"]
    assert charged == f"{money(6.38)} plus VAT, if the member is spoken to (EC-FEES/one_a_month)"
    (chosen,) = [one for one in found.channels if one.is_chosen]
    assert chosen.provision == texts.figure(row["provision_avoided_amount"], "en")
    assert chosen.fee == texts.figure(row["fee_amount"], "en") and chosen.charge == texts.figure(6.38, "en")
    spanish = dict(why(log, log.in_force(logged.DAY), row["customer_id"], "es").facts)
    assert {"Provisión que evita", "Tarifa de cobranza esperada", "Valor del contacto"} <= set(spanish)
    assert "más IVA, si se habla con el socio" in spanish["Tarifa que puede cobrarse al socio"]


def test_no_fee_is_claimed_where_none_is_known(world):
    row = first(world, lambda rows: rows["action"] != "none")
    facts = dict(told(world, row, "en").facts)
    assert facts["Fee that may be charged to the member"] == "no table of fees is in force"
