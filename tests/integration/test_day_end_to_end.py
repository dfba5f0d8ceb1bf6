"""The main road: from landing files to a published list, once, twice, after a crash and on another warehouse."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest

from models.registry import ModelRegistry
from pipelines.run import run_day
from pipelines.steps.replaying import replay
from puntual.audit.chain import AuditLog
from puntual.audit.compare import compare
from puntual.audit.log import people
from puntual.contracts.schema import load_contract
from puntual.errors import PuntualError
from puntual.paths import Home
from puntual.publish import verify
from puntual.settings import load_settings
from puntual.snapshot import Snapshot
from puntual.warehouse import Warehouse
from tests.dbt.warehouses import create_database
from tests.integration.filled_lists import give_back_a_list, the_list_came_back

DECISION_COLUMNS = [
    "as_of_date", "customer_id", "loan_id", "action", "eligible", "blocked_by", "window_start", "window_end",
    "collector_id", "rank", "arrears_amount", "past_due_days", "default_probability", "expected_gain_amount",
    "provision_avoided_amount", "fee_amount", "chargeable_fee_amount", "contact_cost_amount", "value_amount", "propensity", "is_exploration", "reason_codes", "experiment_id", "arm_code", "duties",
]  # fmt: skip


EXPERIMENT = """
id: reserva
title: {{es: Grupo de reserva, en: Hold-out}}
salt: a
arms:
  - {{code: product, share: 0.3, policy: puntual}}
  - {{code: weights, share: 0.2, policy: puntual, changes: {{decision.provision_weight: 1.0}}}}
  - {{code: model, share: 0.3, policy: puntual, changes: {{channel_model: "{version}"}}}}
  - {{code: held, share: 0.2, policy: hold_out}}
control: held
start: {start}
end: 2027-01-31
"""


def the_held_out_are_left_alone(snapshot: Snapshot) -> None:
    """A fifth of the members are in no list and no campaign, and the report of the experiment counts them."""
    decisions = pd.read_parquet(snapshot.folder / "decisions.parquet").set_index("customer_id")
    held = decisions[decisions["arm_code"] == "held"]
    assert 0.1 * len(decisions) < len(held) < 0.3 * len(decisions)
    assert set(decisions["experiment_id"]) == {"reserva"} and set(held["action"]) == {"none"}
    assert held["blocked_by"].str.contains("experiment:reserva:hold_out").all()
    assert (decisions["action"] != "none").any()
    campaigns = [file for file in snapshot.folder.glob("campaigns/*.csv") if not file.stem.endswith("_suppressed")]
    for file in [*campaigns, snapshot.folder / "worklists" / "all.csv"]:
        assert not [member for member in held.index if member in file.read_text(encoding="utf-8-sig")], file
    said = pd.read_parquet(snapshot.table_path("rpt_experiments")).set_index("arm_code")
    assert said["exposed_count"].to_dict() == decisions["arm_code"].value_counts().to_dict()
    assert said.loc["product", "verdict_code"] == "too_few" and said.loc["held", "verdict_code"] == "control"
    assert list(snapshot.manifest["experiments"]) == ["reserva"]


def another_model(home: Path, as_of: date) -> str:
    """A version of the channel model beside the champion, which trusts fewer of its estimates."""
    registry = ModelRegistry(home / "artifacts" / "models")
    champion = registry.champion("contact_channel", as_of)
    stricter = replace(champion.settings, support_propensity=0.3)
    version = registry.register("contact_channel", replace(champion, settings=stricter), card={})
    assert version != champion.version
    return version


def arms_follow_their_own_plan(home: Path, version: str) -> None:
    """Members are told their arm's weights and model, the log names them, and a replay makes the same bytes."""
    snapshot = Snapshot.current(home)
    decisions = pd.read_parquet(snapshot.folder / "decisions.parquet").set_index("customer_id")
    details = pd.read_parquet(snapshot.folder / "decision_details.parquet")
    details["arm_code"] = details["customer_id"].map(decisions["arm_code"])
    weight = load_settings(Home(home)).decision.provision_weight
    scored = pd.read_parquet(snapshot.folder / "channel_scores.parquet")
    keys = ["customer_id", "channel_code"]
    both = details.merge(scored, on=keys, suffixes=("", "_of_champion"))
    differs = (both["is_supported"] != both["is_supported_of_champion"]).groupby(both["arm_code"]).any()
    assert differs[["product", "weights", "model"]].tolist() == [False, False, True]
    log = AuditLog(Home(home))
    entry = log.newest()
    arms = log.context(entry)["summary"]["changed_arms"]
    assert arms["reserva/weights"]["changes"] == {"decision.provision_weight": 1.0} and weight != 1.0
    assert arms["reserva/model"]["changes"] == {"channel_model": version}
    assert sum(one["member_count"] for one in arms.values()) == decisions["arm_code"].isin(["weights", "model"]).sum()
    said = people(log.log_file(entry), ["customer_id", "model_versions"]).set_index("customer_id")["model_versions"]
    said = said.map(lambda text: json.loads(text)["contact_channel"])
    own = decisions["arm_code"].eq("model") & ~decisions["reason_codes"].str.contains("MINIMUM_DUTY")
    assert set(said[own[own].index]) == {version}
    assert set(said[own[~own].index]) == {snapshot.manifest["model_versions"]["contact_channel"]}
    archive = log.inputs(entry).decision
    assert {"variants.chances", "variants.channel_scores"} <= set(archive.frames)
    compared = compare(log, entry, replay(log, entry, home.parent / "again"))
    assert [one for one in compared if one.state != "same"] == [] and len(compared) > 15
    reported = pd.read_parquet(snapshot.table_path("rpt_experiments")).set_index("arm_code")["changes_es"]
    assert reported["model"] == f"modelo de canales {version}" and reported[["product", "held"]].isna().all()


# By letter, which is not offered: every duty is blocked, and nobody is chosen for it.
DUTY = """
id: OWN-NOTICE
version: 1
title: Written notice
scope: {{institution: own}}
timezone: institution
effective_from: null
effective_to: null
confidence: memory
sources: [BOARD-7]
rules:
  - {{id: OWN-NOTICE/notice, kind: min_count_by, channels: [letter], event: missed_due_date, days: {days}, n: 1}}
obligations: []
"""


def own_people_get_the_segment_that_is_theirs(home: Path, day: date) -> None:
    """Every call and visit of the institution's own people is with a member of the segment that owners.yaml names."""
    decided = warehouse_of(home).read(
        "select decisions.customer_id, segments.segment_code, decisions.collector_id from decisions.decisions"
        " inner join decisions.segment_members as segments on segments.as_of_date = decisions.as_of_date"
        " and segments.customer_id = decisions.customer_id and segments.set_id = 'management'"
        " inner join marts.dim_collectors as team on team.collector_id = decisions.collector_id"
        " where decisions.as_of_date = {} and team.kind_code is distinct from 'agency'",
        [day],
    )
    assert set(decided["segment_code"]) == {"broken_promise"}


def missed(home: Path, day: date) -> pd.DataFrame:
    """Open instalments that are past due on a day: customer_id, due_date and age in days."""
    spans = warehouse_of(home).read(
        "select distinct loans.customer_id, spans.due_date from intermediate.int_installments__past_due_spans as spans"
        " inner join features.feat_loan__as_of as loans on loans.loan_id = spans.loan_id and loans.is_score"
        " where spans.past_due_from_date <= {} and spans.past_due_to_date > {}",
        [day, day],
    )
    return spans.assign(age=(pd.Timestamp(day) - spans["due_date"]).dt.days)


def ask_for_a_notice(home: Path, day: date) -> int:
    """Put the duty into the home, with as many days as make some of it end on ``day``; returns the days."""
    age = missed(home, day)["age"]
    days = int(age[age >= 7].min())
    (home / "policies").mkdir(exist_ok=True)
    (home / "policies" / "OWN-NOTICE.yaml").write_text(DUTY.format(days=days), encoding="utf-8")
    return days


def duties_that_nobody_met_are_alarms(home: Path, day: date, days: int) -> None:
    """Every instalment missed within the rule's days is an alarm, and what ended on the day before is overdue."""
    spans = missed(home, day)
    age = spans["age"]
    owing, late = (set(spans.loc[which, "customer_id"]) for which in (age.between(1, days), age == days + 1))
    assert owing and late
    snapshot = Snapshot.current(home)
    alarms = pd.read_parquet(snapshot.folder / "duty_alarms.parquet")
    by_state = {state: set(rows["customer_id"]) for state, rows in alarms.groupby("state_code")}
    assert by_state == {"blocked": owing, "overdue": late}
    assert set(alarms["severity"]) == {"alarm"} and set(alarms["sources"]) == {'["BOARD-7"]'}
    assert set(alarms.loc[alarms["state_code"] == "overdue", "due_date"]) == {day - timedelta(days=days + 1)}
    lines = {line["state_code"]: line for line in snapshot.manifest["duty_alarms"]}
    assert {state: line["member_count"] for state, line in lines.items()} == {
        "blocked": len(owing),
        "overdue": len(late),
    }
    assert snapshot.manifest["summary"]["duty_alarm_count"] == len(alarms)
    decisions = pd.read_parquet(snapshot.folder / "decisions.parquet").set_index("customer_id")
    assert set(decisions.index[decisions["duties"] != "[]"]) == owing | late


@pytest.fixture(scope="module")
def snapshot(finished_home) -> Snapshot:
    return Snapshot.current(finished_home)


def copy_of(home: Path, target: Path) -> Path:
    shutil.copytree(home, target, symlinks=True)
    return target


def warehouse_of(home: Path) -> Warehouse:
    return Warehouse.open(load_settings(Home(home)).warehouse.url, home)


def test_every_promised_file_is_there_with_its_digest(snapshot):
    names = set(snapshot.manifest["files"])
    assert {"decisions.parquet", "default_risk.parquet", "worklists/all.csv", "published.duckdb"} <= names
    assert any(name.startswith("worklists/") and name.endswith(".xlsx") for name in names)
    assert any(name.startswith("campaigns/") for name in names)
    assert any(name.startswith("bi/") for name in names)
    assert verify(snapshot) == []


def test_decisions_have_the_agreed_columns_and_one_row_per_eligible_member(snapshot, finished_home, as_of):
    decisions = pd.read_parquet(snapshot.folder / "decisions.parquet")
    assert list(decisions.columns) == DECISION_COLUMNS
    eligible = warehouse_of(finished_home).read(
        "select distinct customer_id from marts.fct_loan_as_of where as_of_date = {} and loan_status_code = 'active'"
        " and collectable_amount > 0.01",
        [as_of],
    )
    assert sorted(decisions["customer_id"]) == sorted(eligible["customer_id"])
    assert decisions["customer_id"].is_unique
    chosen = decisions[decisions["action"] != "none"]
    assert len(chosen) > 20
    assert chosen["propensity"].dropna().between(0, 1).all()
    assert (chosen[chosen["action"].isin(["call", "visit"])]["collector_id"].notna()).all()
    assert chosen["window_start"].notna().all()


def test_default_risk_has_every_open_loan_and_probabilities(snapshot):
    scores = pd.read_parquet(snapshot.folder / "default_risk.parquet")
    assert list(scores.columns)[:5] == [
        "as_of_date",
        "loan_id",
        "default_probability",
        "early_warning_probability",
        "model_version",
    ]
    assert scores["loan_id"].is_unique
    assert scores["default_probability"].between(0, 1).all()


def test_lists_carry_documents_as_text_and_only_chosen_members(snapshot):
    decisions = pd.read_parquet(snapshot.folder / "decisions.parquet").set_index("customer_id")
    book = next(iter(sorted((snapshot.folder / "worklists").glob("*.xlsx"))))
    sheet = openpyxl.load_workbook(book).worksheets[0]
    assert sheet.freeze_panes is not None
    collector = decisions[decisions["collector_id"] == book.stem]
    text = [str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert len(collector) > 0
    assert set(collector.index) <= set(text)
    with (snapshot.folder / "worklists" / "all.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.reader(stream, delimiter=";"))
    assert len(rows) - 1 == int((decisions["action"] != "none").sum())


def test_lists_speak_of_all_the_loans_of_a_member(snapshot, finished_home):
    features = warehouse_of(finished_home).read_table("features.feat_customer__as_of", where={"is_score": True})
    loans = features.set_index("customer_id")["active_loan_count"]
    with (snapshot.folder / "worklists" / "all.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter=";"))
    seen = {"sus créditos" in row["Cómo empezar"].lower() for row in rows}
    assert seen == {False, True}
    for row in rows:
        assert ("sus créditos" in row["Cómo empezar"].lower()) == (loans[row["Código del socio"]] > 1), row


def test_nobody_is_called_where_a_stranger_answered_last(snapshot, finished_home, as_of):
    contacts = warehouse_of(finished_home).read(
        "select customer_id, outcome_code from marts.fct_interactions where occurred_date < {} and channel_code in"
        " ('call', 'ivr') and outcome_code in ('wrong_number', 'right_party', 'promise', 'refusal', 'dispute',"
        " 'callback') order by occurred_at",
        [as_of],
    )
    last = contacts.groupby("customer_id")["outcome_code"].last()
    strangers = set(last.index[last == "wrong_number"])
    decisions = pd.read_parquet(snapshot.folder / "decisions.parquet")
    theirs = decisions[decisions["customer_id"].isin(strangers)]
    assert len(theirs) > 0
    assert set(theirs["action"]) <= {"none", "email", "visit"}


def test_workplaces_and_telephones_of_references_are_in_the_files_and_on_no_list(snapshot, finished_home):
    points = warehouse_of(finished_home).read_table("marts.dim_contact_points").set_index("contact_point_id")
    details = pd.read_parquet(snapshot.folder / "decision_details.parquet")
    named = details["blocked_by"].map(json.loads).explode()
    assert {"CONTACT-POINTS/parties", "EC-BASE/parties"} <= set(named)
    eligible = points[points["customer_id"].isin(details["customer_id"])]
    assert eligible["place_code"].eq("work").any() and eligible["party_code"].eq("reference").any()
    chosen = details[details["is_chosen"]].set_index("contact_point_id")
    used = points.loc[chosen.index]
    assert len(used) and used["party_code"].isna().all()
    assert set(used.loc[chosen["channel_code"].eq("visit"), "place_code"]) == {"home"}
    told = {entry["id"] for entry in snapshot.manifest["rules_not_enforced"]}
    assert "EC-BASE/caller_id" in told and not told & {"EC-BASE/role", "EC-BASE/workplace", "CONTACT-POINTS/whose"}


def test_who_owes_on_two_loans_and_guarantees_another_has_one_decision(snapshot, finished_home):
    loans = warehouse_of(finished_home).read(
        "select loan_id, customer_id, guarantor_id from staging.stg_core__loans where source_status_code = 'active'", []
    )
    owed = loans.groupby("customer_id").size()
    both = set(owed.index[owed > 1]) & set(loans["guarantor_id"].dropna())
    decisions = pd.read_parquet(snapshot.folder / "decisions.parquet")
    theirs = decisions[decisions["customer_id"].isin(both)]
    assert len(theirs) > 0 and theirs["customer_id"].is_unique
    details = pd.read_parquet(snapshot.folder / "decision_details.parquet")
    chosen = details[details["is_chosen"] & details["customer_id"].isin(both)]
    assert chosen["customer_id"].is_unique and set(chosen["customer_id"]) == set(
        theirs.loc[theirs["action"] != "none", "customer_id"]
    )


def test_the_published_database_holds_the_same_tables(snapshot):
    with duckdb.connect(str(snapshot.folder / "published.duckdb"), read_only=True) as connection:
        for file in sorted((snapshot.folder / "bi").glob("*.parquet")):
            here = connection.execute(f"select count(*) from {file.stem}").fetchone()
            there = connection.execute(f"select count(*) from '{file}'").fetchone()
            assert here == there, file.stem


def test_the_manifest_counts_what_is_there(snapshot):
    manifest = snapshot.manifest
    decisions = pd.read_parquet(snapshot.folder / "decisions.parquet")
    assert manifest["as_of_date"] == "2026-06-30"
    assert manifest["row_counts"]["decisions"] == len(decisions)
    contacts = decisions[decisions["action"] != "none"]["action"].value_counts().to_dict()
    told = manifest["summary"]
    both = {
        name: count + told["held_back_by_channel"].get(name, 0) for name, count in told["contacts_by_channel"].items()
    }
    assert {name: count for name, count in both.items() if count} == contacts
    listed = pd.read_parquet(snapshot.folder / "worklists" / "all.parquet")["channel_code"].value_counts().to_dict()
    assert {name: count for name, count in told["contacts_by_channel"].items() if count} == listed
    assert manifest["input_digests"]
    assert manifest["model_versions"]["default_risk"]
    assert manifest["rule_versions"]
    listed_ids = pd.read_parquet(snapshot.folder / "worklists" / "all.parquet")["customer_id"]
    summary, chosen = manifest["summary"], decisions[decisions["customer_id"].isin(listed_ids)]
    assert summary["dual_bound_amount"] >= summary["planned_value_amount"] - 1e-6
    net = chosen["expected_gain_amount"].sum() - chosen["contact_cost_amount"].sum()
    assert summary["chosen_net_amount"] == pytest.approx(net, abs=0.01)
    assert summary["explored_count"] == int(decisions["is_exploration"].sum())


def test_personal_data_stays_out_of_the_tables_for_bi(snapshot):
    personal = personal_columns()
    assert {"full_name", "national_id", "value", "birth_date"} <= personal
    columns = {
        (file.stem, name) for file in (snapshot.folder / "bi").glob("*.parquet") for name in pq.read_schema(file).names
    }
    with duckdb.connect(str(snapshot.folder / "published.duckdb"), read_only=True) as connection:
        columns |= set(connection.execute("select table_name, column_name from duckdb_columns()").fetchall())
    assert ("dim_customers", "customer_id") in columns and ("decisions", "customer_id") in columns
    assert ("worklist", "full_name") not in columns
    # Where a branch is, is no secret; the value of a KPI or of a decision is not that of a contact point.
    harmless = {("fct_kpi", "province"), ("fct_kpi", "value"), ("decisions", "value_amount")}
    found = {(table, name) for table, name in columns if name in personal and table != "dim_branches"}
    assert found <= harmless
    assert {name for table, name in columns if table == "dim_branches"} & personal <= {
        "province",
        "latitude",
        "longitude",
    }


def personal_columns() -> set[str]:
    """Columns that the contract marks as personal, under their landing name and the name of an amount in the marts."""
    names = {column.name for table in load_contract().values() for column in table.columns if column.pii != "none"}
    return names | {f"{name}_amount" for name in names}


@pytest.mark.long
def test_a_second_run_changes_nothing(finished_home, tmp_path, as_of):
    home = copy_of(finished_home, tmp_path / "home")
    before = Snapshot.current(home)
    raw = warehouse_of(home).read("select count(*) as n from raw.payments")["n"].iloc[0]
    result = run_day(Home(home), as_of)
    assert result.metadata["serving/snapshot"]["is_new"] == 0
    assert Snapshot.current(home).folder == before.folder
    assert warehouse_of(home).read("select count(*) as n from raw.payments")["n"].iloc[0] == raw
    assert verify(before) == []


@pytest.mark.slow
def test_another_machine_gives_the_same_bytes(demo_home, finished_home, tmp_path, as_of):
    home = copy_of(demo_home, tmp_path / "elsewhere")
    run_day(Home(home), as_of)
    here, there = Snapshot.current(finished_home).folder, Snapshot.current(home).folder
    names = ["decisions.parquet", "worklists/all.csv", "default_risk.parquet"]
    names += [path.relative_to(here).as_posix() for path in sorted((here / "campaigns").glob("*.csv"))]
    for name in names:
        assert (here / name).read_bytes() == (there / name).read_bytes(), name
    assert here.name == there.name


@pytest.mark.long
def test_the_next_day_keeps_the_models_and_publishes_anew(finished_home, tmp_path, as_of):
    home = copy_of(finished_home, tmp_path / "home")
    tomorrow = as_of + timedelta(days=1)
    (home / "experiments").mkdir(exist_ok=True)
    version = another_model(home, as_of)
    text = EXPERIMENT.format(start=tomorrow, version=version)
    (home / "experiments" / "reserva.yaml").write_text(text, encoding="utf-8")
    days = ask_for_a_notice(home, as_of)
    (home / "policies" / "owners.yaml").write_text(
        "owners: [{owner: internal, segments: [broken_promise]}]", encoding="utf-8"
    )
    filled = give_back_a_list(home, tmp_path)
    result = run_day(Home(home), tomorrow)
    the_list_came_back(home, as_of, filled)
    the_held_out_are_left_alone(Snapshot.current(home))
    arms_follow_their_own_plan(home, version)
    duties_that_nobody_met_are_alarms(home, tomorrow, days)
    own_people_get_the_segment_that_is_theirs(home, tomorrow)
    assert result.metadata["ml/default_risk_model"]["status"] == "kept"
    assert Snapshot.current(home).as_of_date == tomorrow
    before = json.loads((Snapshot.current(finished_home).folder / "manifest.json").read_text())
    assert Snapshot.current(home).manifest["model_versions"] == before["model_versions"]


@pytest.mark.slow
def test_a_past_date_is_never_scored_by_a_model_that_saw_its_future(finished_home, tmp_path, as_of):
    home = copy_of(finished_home, tmp_path / "home")
    past = as_of - timedelta(days=60)
    result = run_day(Home(home), past)
    assert result.metadata["ml/default_risk_model"]["status"] == "trained and promoted"
    assert result.metadata["serving/snapshot"]["is_current"] == 0
    before = Snapshot.current(home)
    assert before.as_of_date == as_of
    decided = [(before.folder / name).read_bytes() for name in ("decisions.parquet", "decision_details.parquet")]
    # segments and steps of the escalation go on from the day that is there now; who is scored by what does not change
    run_day(Home(home), as_of)
    again = Snapshot.current(home)
    assert again.as_of_date == as_of
    assert again.manifest["model_versions"] == before.manifest["model_versions"]
    assert decided == [(again.folder / name).read_bytes() for name in ("decisions.parquet", "decision_details.parquet")]


def test_a_missing_required_table_publishes_nothing(finished_home, tmp_path):
    home = copy_of(finished_home, tmp_path / "home")
    for path in (home / "landing").glob("payments*"):
        path.unlink()
    with pytest.raises(PuntualError, match="payments"):
        run_day(Home(home), date(2026, 7, 1))
    assert Snapshot.current(home).as_of_date == date(2026, 6, 30)
    assert not list((home / "published").glob(".building*"))


@pytest.mark.slow
def test_a_cooperative_without_contact_history_still_gets_its_day(demo_home, tmp_path, as_of):
    home = copy_of(demo_home, tmp_path / "home")
    for name in ("interactions", "promises", "message_events"):
        for path in (home / "landing").glob(f"{name}*"):
            path.unlink()
    run_day(Home(home), as_of)
    manifest = Snapshot.current(home).manifest
    assert manifest["models"]["contact_channel"]["status"] == "off"
    assert manifest["models"]["contact_channel"]["reason"]
    assert manifest["row_counts"]["decisions"] > 0


@pytest.mark.slow
def test_postgres_gives_the_same_day(demo_home, finished_home, tmp_path, as_of, postgres_url):
    home = copy_of(demo_home, tmp_path / "home")
    file = home / "puntual.yaml"
    url = create_database(postgres_url, "whole_day")
    text = file.read_text(encoding="utf-8").replace("duckdb:///warehouse/puntual.duckdb", url)
    file.write_text(text, encoding="utf-8")
    run_day(Home(home), as_of)
    here, there = warehouse_of(finished_home), warehouse_of(home)
    names = here.read(
        "select table_schema || '.' || table_name as name from information_schema.tables"
        " where table_schema in ('marts', 'features', 'reporting', 'reference') order by 1"
    )["name"].tolist()
    assert len(names) >= 15
    for name in names:
        left, right = here.read_table(name), there.read_table(name)
        assert list(left.columns) == list(right.columns), name
        pd.testing.assert_frame_equal(in_order(left), in_order(right), check_exact=False, rtol=1e-9, obj=name)
    ours, theirs = (pd.read_parquet(Snapshot.current(h).folder / "decisions.parquet") for h in (finished_home, home))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=1e-6)


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    ordered = frame.sort_values(list(frame.columns), kind="stable", na_position="last", key=lambda s: s.astype(str))
    return ordered.reset_index(drop=True)
