"""A message that its campaign held back is told as chosen and held back, and is on no list."""

from __future__ import annotations

import csv
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from puntual.audit.chain import AuditLog
from puntual.audit.log import CAMPAIGN, campaign_of, log_table, parquet_bytes, person
from puntual.audit.person_export import history, write_history
from puntual.audit.verify import verify
from puntual.audit.why import why
from puntual.campaigns.plan import MEMBER_COLUMNS
from puntual.decision.decide import DecisionOutcome, decide
from puntual.paths import Home
from tests.unit.audit import logged
from tests.unit.decision.test_decide import LIMITS
from tests.unit.decision.test_second import TEAM, TWO

REASONS = {
    "CH-WHATSAPP/service_window": ("approved template", "sin plantilla aprobada"),
    "campaign/c_whatsapp/daily_limit": ("the daily limit of the campaign", "el límite diario de la campaña"),
    "campaign/c_whatsapp/no_template_for_firm": ("no template for the member's tone", "no hay plantilla"),
    "campaign/c_whatsapp/hello_not_in_force": ("no template in force", "no tiene una plantilla en vigor"),
    # a template may be named after anything: neither a tone without one nor the hours of the campaign
    "campaign/c_whatsapp/no_pago_firme_not_in_force": ("no template in force", "no tiene una plantilla en vigor"),
    "campaign/c_whatsapp/window_open_not_in_force": ("no template in force", "no tiene una plantilla en vigor"),
    "campaign/c_whatsapp/daily_limit_not_in_force": ("no template in force", "no tiene una plantilla en vigor"),
    "campaign/c_whatsapp/window": ("do not meet the permitted ones", "no coinciden con las permitidas"),
    "exclusion/vip": ("an exclusion of the institution", "una exclusión de la institución"),
    "template/hello/missing_next_due_date": ("the member lacks something", "falta un dato del socio"),
    "template/hello/too_long": ("would be too long", "demasiado largo"),
    "template_quality/hello/red": ("is of poor quality", "la plantilla no está aprobada, está en pausa"),
    "budget/whatsapp": ("the budget is used up", "el presupuesto ya no alcanza"),
}


def campaigns_of(outcome: DecisionOutcome, held: dict[str, str]) -> pd.DataFrame:
    """A campaign for each channel; the messages of ``held`` do not go out, by the rule that it names."""
    rows = outcome.decisions[["customer_id", "action"]].rename(columns={"action": "channel_code"})
    second = outcome.second_contacts.set_index("customer_id")["action"]
    rows["channel_code"] = [second.get(name, first) for name, first in rows.itertuples(index=False)]
    # whom the decision gave a call is suppressed in the campaign of another channel
    is_message = ~rows["channel_code"].isin(["call", "visit", "none"])
    rows["channel_code"] = rows["channel_code"].where(is_message, "sms")
    by = rows["customer_id"].map(held).where(is_message, "decision/other_channel:call").astype(object)
    by = by.where(by.notna(), None)
    rows = rows.assign(
        campaign_id="c_" + rows["channel_code"],
        is_sent=pd.array(by.isna(), dtype="boolean"),
        suppressed_by=by,
        suppressed_source=by,
        blocked_by=by.map(lambda one: json.dumps([] if one is None else [one])),
        template_id="hello",
        template_version=2.0,  # a whole number that may be missing, as a warehouse may give it
    )
    return rows.reindex(columns=list(MEMBER_COLUMNS))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A day whose WhatsApp messages of rank 2, 4, … are held back, each by another rule."""
    inputs = logged.arguments(150, exploration_share=0.0)
    outcome = decide(**inputs)
    messages = outcome.decisions[outcome.decisions["action"] == "whatsapp"].sort_values("rank")
    late = outcome.decisions[outcome.decisions["action"] == "email"].sort_values("rank")
    names = [*messages["customer_id"].iloc[1::2], *late["customer_id"].iloc[::3]]
    codes = (list(REASONS) * len(names))[: len(names)]
    held = dict(zip(names, codes, strict=True))
    home = Home(tmp_path_factory.mktemp("held") / "home")
    logged.run_day(home, inputs, outcome=outcome, campaigns=campaigns_of(outcome, held))
    assert set(held.values()) == set(REASONS)
    return AuditLog(home), outcome, held


def told(world, customer: str, language: str = "en"):
    log, _, _ = world
    return why(log, log.in_force(logged.DAY), customer, language)


def test_a_message_that_was_held_back_says_so_and_by_what(world):
    _, outcome, held = world
    actions = outcome.decisions.set_index("customer_id")["action"]
    for customer, code in held.items():
        for language, said in zip(("en", "es"), REASONS[code], strict=True):
            found = told(world, customer, language)
            assert said in found.headline and code in found.headline and f"c_{actions[customer]}" in found.headline
            assert not found.headline.startswith(("Contacted", "Se le contacta"))
            (chosen,) = [one for one in found.channels if one.is_chosen]
            assert said in chosen.verdict and chosen.verdict.startswith(("Chosen", "Elegida"))
            assert found.around == ()
            facts = dict(found.facts)
            place = facts["Place in the list" if language == "en" else "Lugar en la lista"]
            assert place.startswith(("in none", "en ninguna"))
            assert "hello v2" in facts["Campaign" if language == "en" else "Campaña"]


@pytest.mark.parametrize("why_not", ["paused", "red", "not_listed", "rejected"])
def test_a_template_that_may_not_be_sent_is_the_cause_and_not_the_rule_of_the_channel(tmp_path, why_not):
    """The plan names the contact rule first; its words are of messages without any approved template."""
    inputs = logged.arguments(60, exploration_share=0.0)
    outcome = decide(**inputs)
    customer = outcome.decisions.loc[outcome.decisions["action"] == "whatsapp", "customer_id"].iloc[0]
    rule, cause = "CH-WHATSAPP/service_window", f"template_quality/hello/{why_not}"
    given = campaigns_of(outcome, {customer: rule})
    given.loc[given["customer_id"] == customer, "blocked_by"] = json.dumps([rule, cause])
    home = Home(tmp_path / "home")
    logged.run_day(home, inputs, outcome=outcome, campaigns=given)
    log = AuditLog(home)
    row = person(log.log_file(log.newest()), customer)
    assert campaign_of(row)["suppressed_by"] == rule and json.loads(campaign_of(row)["blocked_by"]) == [rule, cause]
    found = why(log, log.in_force(logged.DAY), customer, "en")
    assert "the template is not approved, is paused or is of poor quality" in found.headline
    assert cause in found.headline and rule not in found.headline and "within" not in found.headline


def test_an_entry_that_has_only_the_first_rule_tells_that_one(tmp_path):
    """As entries were written before every rule was logged."""
    inputs = logged.arguments(60, exploration_share=0.0)
    outcome = decide(**inputs)
    customer = outcome.decisions.loc[outcome.decisions["action"] == "whatsapp", "customer_id"].iloc[0]
    given = campaigns_of(outcome, {customer: "exclusion/vip"}).assign(blocked_by=None)
    home = Home(tmp_path / "home")
    logged.run_day(home, inputs, outcome=outcome, campaigns=given)
    log = AuditLog(home)
    assert "exclusion/vip" in why(log, log.in_force(logged.DAY), customer, "en").headline


def test_places_are_those_among_what_goes_out(world):
    _, outcome, held = world
    for channel in ("whatsapp", "email"):
        mine = outcome.decisions[outcome.decisions["action"] == channel].sort_values("rank")
        sent = mine[~mine["customer_id"].isin(held)]
        for place, row in enumerate(sent.itertuples(), start=1):
            found = told(world, row.customer_id)
            expected = f"{place} of {len(sent)}"
            if place != row.rank:
                expected += f" that go out (no. {row.rank} of the list)"
            facts = dict(found.facts)
            assert facts["Place in the list"] == expected
            assert facts["Campaign"].endswith("goes out today")
            near = [one.customer_id for one in found.around]
            assert near == sent["customer_id"].iloc[max(place - 3, 0) : place + 2].tolist()
            assert found.headline.startswith("Contacted by")


def test_a_call_has_no_verdict_of_a_campaign_and_its_list_is_whole(world):
    log, outcome, _ = world
    row = outcome.decisions[outcome.decisions["action"] == "call"].iloc[0]
    assert campaign_of(person(log.log_file(log.newest()), row["customer_id"])) is None
    found = told(world, row["customer_id"])
    size = int((outcome.decisions["collector_id"] == row["collector_id"]).sum())
    facts = dict(found.facts)
    assert facts["Place in the list"] == f"{row['rank']} of {size}" and "Campaign" not in facts


def test_the_log_has_the_verdict_of_every_chosen_message_and_is_whole(world):
    log, outcome, held = world
    rows = pq.read_table(log.log_file(log.newest())).to_pylist()
    messages = outcome.decisions[~outcome.decisions["action"].isin(["none", "call", "visit"])]
    said = {row["customer_id"]: campaign_of(row) for row in rows if row[CAMPAIGN] is not None}
    assert set(said) == set(messages["customer_id"])
    assert {name: one["suppressed_by"] for name, one in said.items() if not one["is_sent"]} == held
    assert all(one["template_version"] == 2 and one["template_id"] == "hello" for one in said.values())
    assert verify(log.home).problems == []


def test_the_export_of_a_person_has_it(world, tmp_path):
    log, _, held = world
    customer, code = next(iter(held.items()))
    rows = history(log, customer)
    assert rows[0][CAMPAIGN]["suppressed_by"] == code
    write_history(rows, tmp_path / "one.csv")
    with (tmp_path / "one.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["campaign.suppressed_by"] for line in lines} == {code}


def test_an_entry_without_campaigns_is_as_it_was(world, tmp_path):
    _, outcome, held = world
    versions = {"code_sha256": "x"}
    plain = log_table(outcome.decisions, outcome.details, versions)
    none = log_table(outcome.decisions, outcome.details, versions, campaigns=campaigns_of(outcome, held).iloc[:0])
    assert parquet_bytes(plain) == parquet_bytes(none) and CAMPAIGN not in plain.column_names
    home = Home(tmp_path / "home")
    logged.run_day(home, logged.arguments(150, exploration_share=0.0), outcome=outcome)
    log = AuditLog(home)
    found = why(log, log.in_force(logged.DAY), next(iter(held)), "en")
    assert found.headline.startswith("Contacted by") and "Campaign" not in dict(found.facts)


def test_a_second_contact_that_was_held_back_says_so(tmp_path):
    room = LIMITS | {"sms": 60, "whatsapp": 60}
    inputs = logged.arguments(60, seed=2, exploration_share=0.0, **TWO) | {"collectors": TEAM, "daily_capacity": room}
    outcome = decide(**inputs)
    messages = outcome.second_contacts[~outcome.second_contacts["action"].isin(["call", "visit"])]
    customer = messages["customer_id"].iloc[0]
    home = Home(tmp_path / "home")
    keep = logged.settings(decision={"actions_per_person": 2, "second_after": "reached"})
    given = campaigns_of(outcome, {customer: "exclusion/vip"})
    logged.run_day(home, inputs, outcome=outcome, keep=keep, campaigns=given)
    log = AuditLog(home)
    found = why(log, log.in_force(logged.DAY), customer, "en")
    assert found.headline.startswith("Contacted by")
    second = messages.set_index("customer_id").at[customer, "action"]
    (line,) = [one for one in found.channels if one.channel_code == second]
    assert "Second contact of the day. It does not go out today" in line.verdict and "exclusion/vip" in line.verdict
    row = person(log.log_file(log.newest()), customer)
    assert json.loads(row[CAMPAIGN])["channel_code"] == second
