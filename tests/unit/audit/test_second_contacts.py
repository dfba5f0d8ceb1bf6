"""A second contact of a day is in the log, the explanation and the export; days without one are as they were."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.steps import publishing
from puntual.audit import texts
from puntual.audit.chain import AuditLog
from puntual.audit.log import CHANNELS, SECOND, log_table, parquet_bytes, person
from puntual.audit.person_export import history, write_history
from puntual.audit.verify import verify
from puntual.audit.why import why
from puntual.decision.decide import decide
from puntual.errors import AuditError
from puntual.paths import Home
from tests.unit.audit import logged
from tests.unit.decision.test_second import TEAM, TRIED


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    inputs = logged.arguments(60, seed=2, exploration_share=0.0, **TRIED) | {"collectors": TEAM}
    outcome = decide(**inputs)
    assert len(outcome.second_contacts) > 1
    home = Home(tmp_path_factory.mktemp("second") / "home")
    keep = logged.settings(decision={"actions_per_person": 2, "second_after": "attempted"})
    logged.run_day(home, inputs, outcome=outcome, keep=keep)
    return AuditLog(home), outcome


def test_every_second_contact_is_in_the_log_with_its_value_and_rule(world):
    log, outcome = world
    rows = pq.read_table(log.log_file(log.newest())).to_pylist()
    told = {row["customer_id"]: json.loads(row[SECOND]) for row in rows if row[SECOND] is not None}
    second = outcome.second_contacts.set_index("customer_id")
    assert set(told) == set(second.index)
    assert len(rows) > len(told)
    for customer, one in told.items():
        assert one["action"] == second.loc[customer, "action"]
        assert one["value_amount"] == pytest.approx(second.loc[customer, "value_amount"], abs=0)
        assert one["rank"] == second.loc[customer, "rank"]
        assert one["second_after"] == "attempted"
    assert verify(log.home).problems == []


def test_a_day_without_second_contacts_keeps_its_bytes(world):
    _, outcome = world
    versions = {"code_sha256": "x"}
    plain = log_table(outcome.decisions, outcome.details, versions)
    none = log_table(outcome.decisions, outcome.details, versions, outcome.second_contacts.iloc[:0], "attempted")
    assert parquet_bytes(plain) == parquet_bytes(none)
    assert SECOND not in plain.column_names


def test_a_second_contact_of_nobody_or_twice_is_refused(world):
    _, outcome = world
    second = outcome.second_contacts
    for wrong in (second.assign(customer_id="nobody").head(1), second.iloc[[0, 0]]):
        with pytest.raises(AuditError, match="second contact"):
            log_table(outcome.decisions, outcome.details, {}, wrong)


@pytest.mark.parametrize("language", ["es", "en"])
def test_why_shows_it_with_its_value_and_the_rule_that_had_to_hold(world, language):
    log, outcome = world
    row = outcome.second_contacts.iloc[0]
    first = outcome.decisions.set_index("customer_id").loc[row["customer_id"]]
    found = why(log, log.newest(), row["customer_id"], language)
    facts = dict(found.facts)
    place = facts[texts.say("why", "second", language)]
    assert texts.channel_name(row["action"], language) in place and str(row["rank"]) in place
    assert str(row["collector_id"]) in place
    value = facts[texts.say("why", "second_value", language)]
    for amount in ("value_amount", "expected_gain_amount", "contact_cost_amount"):
        assert texts.amount(row[amount], "USD", language) in value
    rule = facts[texts.say("why", "second_rule", language)]
    assert "attempted" in rule and texts.channel_name(first["action"], language) in rule
    (verdict,) = [one.verdict for one in found.channels if one.channel_code == row["action"]]
    assert texts.say("why", "chosen_second", language) in verdict


def test_the_size_of_a_list_counts_second_contacts(world):
    log, outcome = world
    row = outcome.second_contacts.iloc[0]
    listed = [frame["collector_id"] == row["collector_id"] for frame in (outcome.decisions, outcome.second_contacts)]
    size = int(sum(one.sum() for one in listed))
    neighbour = outcome.decisions[listed[0]].iloc[0]
    facts = dict(why(log, log.newest(), neighbour["customer_id"], "en").facts)
    assert facts["Place in the list"] == f"{neighbour['rank']} of {size}"


def test_the_export_has_it_whole(world, tmp_path):
    log, outcome = world
    row = outcome.second_contacts.iloc[0]
    (found,) = history(log, row["customer_id"])
    assert found[SECOND]["action"] == row["action"]
    write_history([found], tmp_path / "one.json")
    assert json.loads((tmp_path / "one.json").read_text())[0][SECOND]["value_amount"] == row["value_amount"]
    write_history([found], tmp_path / "one.csv")
    lines = list(csv.DictReader((tmp_path / "one.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert len(lines) == len(found[CHANNELS])
    assert {line[f"{SECOND}.action"] for line in lines} == {row["action"]}


def test_entries_of_before_are_read_as_having_none(tmp_path):
    home = Home(tmp_path / "home")
    logged.run_day(home, logged.arguments(12))
    log = AuditLog(home)
    (row,) = history(log, "m00001")
    assert row[SECOND] is None
    assert person(log.log_file(log.newest()), "m00001").get(SECOND) is None
    assert why(log, log.newest(), "m00001", "en").facts


def test_the_summary_of_the_manifest_names_every_figure_of_them(world):
    _, outcome = world
    figures = {name for name in outcome.summary if name.startswith("second_")}
    assert len(figures) == 5
    assert figures <= set(publishing._PARTS_OF_THE_PLAN)


def test_the_column_is_a_text(world):
    log, _ = world
    assert pq.read_schema(log.log_file(log.newest())).field(SECOND).type == pa.string()
