"""What the marts lose, what a file adds and what happens meanwhile stops publication: the checker reads raw and files."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
import yaml

from pipelines.day import Day
from pipelines.steps import publishing
from pipelines.steps.contact_facts import _planned, contact_points
from pipelines.steps.decided import decided_columns, store_decided
from pipelines.steps.deciding import decide_day
from pipelines.steps.judging import _plans, evidence
from pipelines.steps.publishing import publish_day
from puntual.errors import PublishError
from puntual.paths import POLICIES, Home
from puntual.snapshot import Snapshot

LOADED = "_load_id, _source_row, _is_deleted"

pytestmark = pytest.mark.long
"""Every test spoils a copy of the finished day and has it judged anew."""


@pytest.fixture
def day(finished_home: Path, as_of: date, tmp_path: Path) -> Day:
    """The finished day once more, in a home that may be spoilt."""
    home = tmp_path / "home"
    shutil.copytree(finished_home, home, symlinks=True)
    return Day.of(home, as_of, "again")


def listed(day: Day, *channels: str) -> pd.DataFrame:
    chosen = day.warehouse.read(
        "select * from decisions.decisions where as_of_date = {} and action <> 'none' order by customer_id", [day.as_of]
    )
    return chosen[chosen["action"].isin(channels)] if channels else chosen


def core_tells(day: Day, **told: Any) -> None:
    """One more row of raw.interactions, as the core would have delivered it in a load of its own."""
    row = {"direction": "outbound", "outcome": "no_answer", "channel": "call"} | told
    names = ", ".join(row)
    values = ", ".join(f"'{value}'" for value in row.values())
    day.warehouse.execute(
        f"insert into raw.interactions ({names}, {LOADED}) select {values}, max(load_id), 999999, false from raw.loads"
    )


def published(day: Day) -> Path:
    return Home(day.home.root).current.resolve()


# ------------------------------------------------------------------------------------------------- raw and the marts


def test_raw_tells_of_the_listed_members_what_the_marts_tell(day: Day):
    """Two readings of the same deliveries, by the dbt models and by the checker's own, agree row by row."""
    who = set(listed(day)["customer_id"])
    assert len(who) > 20
    mine = evidence(day).events
    memory = pd.Timestamp(day.as_of) - pd.Timedelta(days=7)
    warehouse = day.warehouse

    def of_them(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["customer_id"].isin(who)]

    marts = of_them(warehouse.read("select * from marts.fct_interactions"))
    recent = [frame[frame["occurred_date"] >= memory] for frame in (marts, of_them(mine.interactions))]
    columns = ["interaction_id", "customer_id", "loan_id", "occurred_at", "occurred_date", "channel_code",
               "direction_code", "outcome_code"]  # fmt: skip
    told, read = (frame[columns].sort_values("interaction_id", ignore_index=True) for frame in recent)
    assert len(told) > 20
    pd.testing.assert_frame_equal(told, read, check_dtype=False)
    assert set(marts.loc[marts["outcome_code"] == "opt_out", "interaction_id"]) <= set(
        mine.interactions["interaction_id"]
    )

    promises = warehouse.read("select * from marts.fct_promises where promise_status_code = 'open'")
    everybody = warehouse.read("select distinct customer_id from marts.fct_promises")["customer_id"]
    all_promises = evidence(day, everybody).events.promises
    assert len(promises) > 2, "nothing would be compared"
    assert sorted(zip(promises["customer_id"], promises["due_date"], strict=True)) == sorted(
        zip(all_promises["customer_id"], all_promises["due_date"], strict=True)
    )

    paid = of_them(warehouse.read("select * from marts.fct_payments where paid_date >= {}", [memory.date()]))
    raw_paid = of_them(mine.payments)
    raw_paid = raw_paid[(raw_paid["paid_date"] >= memory) & (raw_paid["paid_date"] <= pd.Timestamp(day.as_of))]
    keys = ["payment_id", "customer_id", "paid_date", "is_reversal"]
    pd.testing.assert_frame_equal(
        paid[keys].sort_values("payment_id", ignore_index=True),
        raw_paid[keys].sort_values("payment_id", ignore_index=True),
        check_dtype=False,
    )

    keys = ["contact_point_id", "customer_id", "kind_code", "value", "place_code", "party_code", "has_whatsapp",
            "is_valid", "has_consent", "consent_at", "opted_out_at"]  # fmt: skip
    points, raw_points = (
        of_them(frame)[keys].sort_values("contact_point_id", ignore_index=True).astype(object)
        for frame in (contact_points(day), mine.contact_points)
    )
    pd.testing.assert_frame_equal(points.where(points.notna(), None), raw_points.where(raw_points.notna(), None))

    keys = ["customer_id", "customer_status_code", "timezone", "province", "party_code", "birth_date"]
    people, raw_people = (
        of_them(frame)[keys].sort_values("customer_id", ignore_index=True).astype(object)
        for frame in (warehouse.read_table("marts.dim_customers"), mine.customers)
    )
    pd.testing.assert_frame_equal(people.where(people.notna(), None), raw_people.where(raw_people.notna(), None))


@pytest.mark.parametrize(
    ("lost", "rule"),
    [
        (
            "fct_interactions where outcome_code in ('complaint', 'dispute') and customer_id = '{member}'",
            "INST-DEFAULT/recent_complaint",
        ),
        ("fct_payments where customer_id = '{member}'", "INST-DEFAULT/recent_payment"),
        ("fct_promises where customer_id = '{member}'", "INST-DEFAULT/open_promise"),
    ],
    ids=["a complaint", "payments", "a promise"],
)
def test_what_the_marts_lose_of_a_member_is_named_by_member_and_rule(day: Day, lost: str, rule: str):
    """The engine then contacts people whom it would have left alone; the checker stops it, and nothing goes out."""
    before, standing = set(listed(day)["customer_id"]), published(day)
    # The rule blocks them, and nothing else does in some channel; the reminder of a promise is a rule of the same one.
    blocked = day.warehouse.read(
        "select distinct customer_id from decisions.details where as_of_date = {} and not is_allowed"
        f" and blocked_by in ('[\"{rule}\"]', '[\"{rule}_reminder\"]') order by customer_id",
        [day.as_of],
    )["customer_id"]
    assert len(blocked)
    for member in blocked:
        day.warehouse.execute(f"delete from marts.{lost.format(member=member)}")

    said = decide_day(day).checks["no_rule_violation"]
    member = said.split(" by ")[0]
    assert f" breaks {rule}" in said
    assert member in set(blocked)
    assert member not in before
    with pytest.raises(PublishError, match=r"the checker found [0-9]+ violations in the decision itself"):
        publish_day(day)
    assert published(day) == standing


def test_one_contact_that_never_reached_the_mart_is_found(day: Day):
    member = listed(day, "call", "sms", "whatsapp")["customer_id"].iloc[0]
    yesterday = pd.Timestamp(day.as_of) - pd.Timedelta(hours=2)
    core_tells(
        day, interaction_id="LOST-1", customer_id=member, occurred_at=yesterday, channel="email", direction="inbound",
        outcome="complaint",
    )  # fmt: skip
    said = decide_day(day).checks["no_rule_violation"]
    assert f"{member} by " in said
    assert "complaint on 2026-06-29" in said


def test_the_same_call_told_by_list_and_core_is_one_and_another_is_two(day: Day):
    """A call of today by a filled list: the core's copy of it adds nothing; at another time of the day it would."""
    member = listed(day, "call")["customer_id"].iloc[0]
    moment = pd.Timestamp(day.as_of) - pd.Timedelta(days=40)
    call = {"customer_id": member, "occurred_at": moment, "channel": "call"}
    core_tells(day, interaction_id="puntual-worklist:A", collector_id="G001", **call)
    core_tells(day, interaction_id="CORE-A", **(call | {"occurred_at": moment + pd.Timedelta(minutes=9)}))
    core_tells(day, interaction_id="puntual-worklist:B", collector_id="G001", **(call | {"outcome": "right_party"}))
    core_tells(
        day, interaction_id="puntual-worklist:C", collector_id="G001", campaign_id="puntual-worklist:withdrawn",
        **(call | {"occurred_at": moment + pd.Timedelta(days=1), "outcome": "promise"}),
    )  # fmt: skip
    told = evidence(day).events.interactions
    told = told[told["customer_id"] == member]
    mine = set(told.loc[told["occurred_date"] >= moment.normalize() - pd.Timedelta(days=1), "interaction_id"])
    assert "puntual-worklist:B" in mine
    assert not mine & {"puntual-worklist:A", "puntual-worklist:C"}


def test_what_the_core_tells_after_the_decision_stops_its_publication(day: Day):
    standing = published(day)
    decide_day(day)
    row = listed(day, "call", "sms", "whatsapp").iloc[0]
    core_tells(
        day, interaction_id="LATE-1", customer_id=row["customer_id"], outcome="complaint", direction="inbound",
        occurred_at=pd.Timestamp(day.as_of) + pd.Timedelta(hours=12), channel="email",
    )  # fmt: skip
    day.warehouse.execute(
        "insert into raw.loads (load_id, run_id, table_name) select max(load_id) + 1, 'later', 'interactions' from raw.loads"
    )
    with pytest.raises(PublishError, match=f"{row['customer_id']} by {row['action']} breaks .*complaint"):
        publish_day(day)
    assert published(day) == standing


def templates(day: Day, *rows: str) -> None:
    text = "\n".join(["channel_code,template_id,status_code,quality_code", *rows])
    (day.home.policies / "template_quality.csv").write_text(text, encoding="utf-8")


def test_a_paused_template_goes_out_to_nobody_and_stops_what_was_written_with_it(day: Day):
    steps = ("friendly", "firm", "formal")
    good = [f"whatsapp,whatsapp_{step},APPROVED,GREEN" for step in steps]
    templates(day, *good)
    assert not any(decide_day(day).checks.values())
    sent = {"as_of_date": day.as_of, "channel_code": "whatsapp", "is_sent": True}
    before = day.warehouse.read_table("decisions.campaign_members", where=sent)
    used = before["template_id"].value_counts().index[0]
    assert len(before)

    # paused after the decision: the written files are not published
    templates(day, *(row for row in good if used not in row), f"whatsapp,{used},PAUSED,RED")
    with pytest.raises(PublishError, match=f"messages are sent with {used}_es_v1, which is paused, of red quality"):
        publish_day(day)

    assert not any(decide_day(day).checks.values())
    members = day.warehouse.read_table("decisions.campaign_members", where={"as_of_date": day.as_of})
    assert used not in set(members["template_id"])
    held = members[members["blocked_by"].str.contains(f"template_quality/{used}/paused")]
    assert set(held["suppressed_by"]) == {"CH-WHATSAPP/service_window"} and held["suppressed_source"].notna().all()
    folder = Path(publish_day(day)["folder"])
    written = pd.concat(pd.read_parquet(file) for file in (folder / "campaigns").glob("*whatsapp.parquet"))
    assert not written["template"].str.startswith(used).any()

    # with none that a campaign sends, the channel is closed: an approved one of nobody opens nothing
    templates(day, "whatsapp,welcome,approved,green")
    decide_day(day)
    assert listed(day, "whatsapp").empty


def test_budgets_hold_when_text_messages_are_billed_by_segment(day: Day):
    file = day.home.root / "puntual.yaml"
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    written.setdefault("campaigns", {})["sms_cost"] = "per_segment"
    written["channels"]["sms"] |= {"cost": 0.03, "daily_budget": 0.30}
    written.setdefault("decision", {})["daily_budget"] = 12.0
    file.write_text(yaml.safe_dump(written, allow_unicode=True), encoding="utf-8")
    today = Day.of(day.home.root, day.as_of, "by segment")
    assert not any(decide_day(today).checks.values())
    texted = listed(today, "sms")
    # the longest template in use may take three segments
    assert 0 < len(texted) <= 3 and set(texted["contact_cost_amount"].round(6)) == {0.09}
    assert listed(today)["contact_cost_amount"].sum() <= 12.0
    sent = today.warehouse.read_table("decisions.campaign_members", where={"as_of_date": day.as_of, "is_sent": True})
    assert 0 < sent.loc[sent["channel_code"] == "sms", "cost_amount"].sum() <= 0.30


EXCLUSION = """
id: CAMPAIGNS
version: 2
exclusions:
  - {id: nobody_by_text, segments: [%s], channels: [sms, whatsapp], note: {es: "x", en: "x"}, sources: [board]}
"""


def test_what_a_campaign_holds_back_is_on_no_list_in_no_count_and_in_no_reserve(day: Day):
    text = (POLICIES / "segments.yaml").read_text(encoding="utf-8")
    codes = [one["code"] for one in yaml.safe_load(text)["sets"][0]["segments"]]
    (day.home.policies / "campaigns.yaml").write_text(EXCLUSION % ", ".join(codes), encoding="utf-8")
    assert not any(decide_day(day).checks.values())
    decided = listed(day, "sms", "whatsapp")
    where = {"as_of_date": day.as_of}
    members = day.warehouse.read_table("decisions.campaign_members", where=where)
    assert set(members.loc[members["customer_id"].isin(decided["customer_id"]), "suppressed_by"]) == {
        "exclusion/nobody_by_text"
    }
    folder = Path(publish_day(day)["folder"])
    everybody = pd.read_parquet(folder / "worklists" / "all.parquet")
    assert len(everybody) and not set(everybody["channel_code"]) & {"sms", "whatsapp"}
    assert not set(everybody["customer_id"]) & set(decided["customer_id"])
    told = Snapshot.at(folder).manifest["summary"]
    assert told["contacts_by_channel"]["sms"] == told["contacts_by_channel"]["whatsapp"] == 0
    assert told["held_back_by_channel"] == decided["action"].value_counts().to_dict()
    assert told["held_back_cost_amount"] == round(decided["contact_cost_amount"].sum(), 2)
    assert told["contact_cost_amount"] == round(
        (listed(day)["contact_cost_amount"].sum() - decided["contact_cost_amount"].sum()), 2
    )
    # the day after counts what was to be made, and no message that was not to be sent
    after = replace(day, as_of=day.as_of + timedelta(days=1))
    nothing = day.warehouse.read_table("marts.fct_interactions").iloc[:0]
    for plans in (_planned(after, nothing), _plans(after)):
        today = plans[pd.to_datetime(plans["planned_for"]) == pd.Timestamp(day.as_of)]
        assert sorted(today["customer_id"]) == sorted(everybody["customer_id"])


def test_a_second_contact_that_nobody_judged_is_judged_before_it_is_published(day: Day):
    """Ecuador's strict reading has one contact a day: a message beside the call is written, read and refused."""
    called = listed(day, "call").set_index("customer_id")
    also = day.warehouse.read(
        "select customer_id, contact_point_id from decisions.details where as_of_date = {} and channel_code = 'sms'"
        " and is_allowed order by customer_id",
        [day.as_of],
    ).set_index("customer_id")
    member = next(name for name in also.index if name in called.index)
    second = called.loc[[member]].reset_index().assign(action="sms", collector_id=None, rank=1)
    second["contact_point_id"] = also.loc[member, "contact_point_id"]
    columns = list(decided_columns("decisions.second_contacts"))
    store_decided(day.warehouse, "decisions.second_contacts", second[columns], day.as_of)
    with pytest.raises(PublishError) as stopped:
        publish_day(day)
    for way in ("sms", "call"):
        assert f"{member} by {way} breaks EC-BASE/one_a_day" in str(stopped.value)
    assert "times" not in str(stopped.value)


OVERLOOKED = """
id: OWN-BLACKOUT
version: 1
title: Nobody is contacted
scope: {institution: own}
timezone: institution
effective_from: null
effective_to: null
confidence: memory
sources: [BOARD-9]
rules:
  - {id: OWN-BLACKOUT/all, kind: forbid, channels: all}
obligations: []
"""


def test_a_rule_file_that_the_engine_overlooks_stops_the_list(day: Day):
    file = day.home.policies / "2026" / "OWN-BLACKOUT.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(OVERLOOKED, encoding="utf-8")
    with pytest.raises(PublishError, match=r"the decision was made without OWN-BLACKOUT: move it"):
        publish_day(day)
    said = decide_day(day).checks["no_rule_violation"]
    assert f"{file} is in force and the decision was made without OWN-BLACKOUT" in said
    assert "breaks OWN-BLACKOUT/all" in said


# ------------------------------------------------------------------------------------------------- the files


def one_more_in_everybodys(folder: Path, stranger: str) -> str:
    file = folder / "worklists" / "all.parquet"
    rows = pd.read_parquet(file)
    row = rows.iloc[[0]].assign(customer_id=stranger)
    pd.concat([rows, row]).to_parquet(file, index=False)
    return f"worklists/all.parquet: {stranger} by {row['channel_code'].iloc[0]} is there and was not decided"


def another_number(folder: Path, _: str) -> str:
    file = folder / "worklists" / "all.parquet"
    rows = pd.read_parquet(file)
    rows.loc[rows["channel_code"] == "call", "contact_value"] = "+593999999999"
    rows.to_parquet(file, index=False)
    return r"is not as it was decided: .*\+593999999999"


def one_less_in_a_csv(folder: Path, _: str) -> str:
    file = next(path for path in sorted((folder / "worklists").glob("*.csv")) if path.with_suffix(".xlsx").exists())
    lines = file.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8-sig")
    return f"worklists/{file.name}: .* was decided and is missing"


def one_more_in_a_workbook(folder: Path, stranger: str) -> str:
    file = min((folder / "worklists").glob("*.xlsx"))
    book = openpyxl.load_workbook(file)
    sheet = book.worksheets[0]
    values = [cell.value for cell in sheet[2]]
    place = next(at for at, cell in enumerate(sheet[1]) if cell.value == "Código del socio")
    values[place] = stranger
    for at, value in enumerate(values, start=1):
        sheet.cell(row=sheet.max_row + (at == 1), column=at, value=value)
    book.save(file)
    return f"worklists/{file.name}: {stranger} by .* is there and was not decided"


def one_more_in_a_campaign(folder: Path, stranger: str) -> str:
    file = next(
        path
        for path in sorted((folder / "campaigns").glob("*.parquet"))
        if not path.stem.endswith("_suppressed") and path.stem != "previews" and len(pd.read_parquet(path))
    )
    rows = pd.read_parquet(file)
    pd.concat([rows, rows.iloc[[0]].assign(customer_id=stranger)]).to_parquet(file, index=False)
    return f"campaigns/{file.name}: {stranger} by .* is there and was not decided"


def a_message_twice(folder: Path, _: str) -> str:
    file = next(
        path
        for path in sorted((folder / "campaigns").glob("*.csv"))
        if not path.stem.endswith("_suppressed") and len(list(csv.reader(path.open(encoding="utf-8-sig")))) > 1
    )
    lines = file.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    file.write_text("".join([*lines, lines[1]]), encoding="utf-8-sig")
    return f"campaigns/{file.name}: .* is there 2 times"


def a_list_for_nobody(folder: Path, _: str) -> str:
    shutil.copyfile(folder / "worklists" / "all.csv", folder / "worklists" / "G999.csv")
    return "worklists/G999.csv is a list of nobody that was decided"


@pytest.mark.parametrize(
    "spoil",
    [
        one_more_in_everybodys,
        another_number,
        one_less_in_a_csv,
        one_more_in_a_workbook,
        one_more_in_a_campaign,
        a_message_twice,
        a_list_for_nobody,
    ],
    ids=lambda spoil: spoil.__name__.replace("_", " "),
)
def test_files_that_do_not_tell_the_decision_are_not_published(
    spoil: Callable[[Path, str], str], day: Day, monkeypatch: pytest.MonkeyPatch
):
    chosen = set(listed(day)["customer_id"])
    known = day.warehouse.read("select customer_id from marts.dim_customers order by customer_id")["customer_id"]
    stranger = next(name for name in known if name not in chosen)
    standing, said, write = published(day), [], publishing.write_decision

    def written(*given: Any) -> dict[str, int]:
        counts = write(*given)
        said.append(spoil(given[1], stranger))
        return counts

    monkeypatch.setattr(publishing, "write_decision", written)
    with pytest.raises(PublishError) as stopped:
        publish_day(day)
    message = str(stopped.value)
    assert pd.Series([message]).str.contains(said[0]).all(), message
    assert "nothing was published and the snapshot before stands" in message
    assert f"puntual run {day.home.root} --as-of {day.as_of}" in message
    assert published(day) == standing
    assert not list(day.home.published.glob(".building-*"))


def test_a_stranger_in_a_list_is_named_with_the_rule_that_forbids_it(day: Day, monkeypatch: pytest.MonkeyPatch):
    """Somebody with a promise open: not decided, and forbidden too."""
    promised = day.warehouse.read(
        "select customer_id from marts.fct_promises where promise_status_code = 'open' and due_date > {}"
        " order by customer_id",
        [day.as_of],
    )["customer_id"]
    stranger = next(name for name in promised if name not in set(listed(day)["customer_id"]))
    write = publishing.write_decision

    def written(*given: Any) -> dict[str, int]:
        counts = write(*given)
        one_more_in_everybodys(given[1], stranger)
        return counts

    monkeypatch.setattr(publishing, "write_decision", written)
    monkeypatch.setattr("pipelines.steps.judging._SHOWN", 50)
    with pytest.raises(PublishError, match=f"{stranger} by [a-z]+ breaks [A-Z-]+/[a-z_]*promise"):
        publish_day(day)
