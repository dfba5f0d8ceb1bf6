"""The checker's own reading: versions, lists beside the core, promises, wrong numbers, and rule files that lie anywhere."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.steps.contact_facts import unconfirmed
from puntual.decision.raw_events import RawEvents, RawVersions, agencies_of, newest, read_events, still_awaited
from puntual.decision.raw_rules import differing_rule_files, find_rule_files
from tests.unit.decision.worlds import POLICIES, QUITO, TUESDAY, at

LIST = "puntual-worklist:"


def versions(*rows: dict[str, Any], key: str, columns: str) -> pd.DataFrame:
    """Rows in the order in which they were loaded, each a load of its own."""
    lineage = [{"_load_id": number, "_source_row": 1, "_is_deleted": False} | row for number, row in enumerate(rows)]
    names = [key, *columns.split(), "_load_id", "_source_row", "_is_deleted"]
    frame = pd.DataFrame(lineage, columns=names).astype(object)
    for name in ("occurred_at", "paid_at", "made_at", "due_on", "consent_at", "opted_out_at", "updated_at"):
        if name in frame:
            frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    return frame


def read(
    contacts: tuple[dict[str, Any], ...] = (),
    promises: tuple[dict[str, Any], ...] = (),
    payments: tuple[dict[str, Any], ...] = (),
    points: tuple[dict[str, Any], ...] = (),
    as_of: date = TUESDAY,
) -> RawEvents:
    told = {"customer_id": "ana", "loan_id": None, "channel": "call", "direction": "outbound", "outcome": "no_answer"}
    raw = RawVersions(
        customers=versions(
            {"customer_id": "ana", "status": "active"},
            key="customer_id",
            columns="status timezone province birth_date party",
        ),
        loans=versions({"loan_id": "L1", "customer_id": "ana"}, key="loan_id", columns="customer_id"),
        contact_points=versions(
            *({"contact_point_id": "p", "customer_id": "ana", "kind": "mobile"} | one for one in points),
            key="contact_point_id",
            columns="customer_id kind value place party whatsapp valid consent consent_at opted_out_at updated_at",
        ),
        interactions=versions(
            *(told | {"interaction_id": f"i{number}"} | one for number, one in enumerate(contacts)),
            key="interaction_id",
            columns="customer_id loan_id occurred_at channel direction collector_id campaign_id outcome notes",
        ),
        promises=versions(
            *({"promise_id": f"r{number}", "loan_id": "L1", "amount": 50} | one for number, one in enumerate(promises)),
            key="promise_id",
            columns="interaction_id loan_id made_at due_on amount",
        ),
        payments=versions(
            *({"payment_id": f"y{number}", "loan_id": "L1"} | one for number, one in enumerate(payments)),
            key="payment_id",
            columns="loan_id paid_at amount reverses_payment_id",
        ),
    )
    return read_events(raw, as_of=as_of, timezone=QUITO, promise_grace_days=2, promise_tolerance_share=0.1)


def ids(events: RawEvents) -> list[str]:
    return sorted(events.interactions["interaction_id"])


def test_the_newest_version_counts_and_a_deletion_takes_the_key_away():
    rows = versions(
        {"interaction_id": "a", "outcome": "sent"},
        {"interaction_id": "b", "outcome": "sent"},
        {"interaction_id": "a", "outcome": "read", "_load_id": 7, "_source_row": 2},
        {"interaction_id": "a", "outcome": "failed", "_load_id": 7, "_source_row": 1},
        {"interaction_id": "b", "_load_id": 9, "_is_deleted": True},
        key="interaction_id",
        columns="outcome",
    )
    left = newest(rows, "interaction_id")
    assert left[["interaction_id", "outcome"]].to_numpy().tolist() == [["a", "read"]]


def test_days_are_those_of_the_institution():
    late, early = at("2026-06-30 23:30"), at("2026-07-01 00:30")
    assert ids(read(({"occurred_at": late}, {"occurred_at": early}))) == ["i0"]


NOON = at("2026-06-29 12:00")
FROM_A_LIST = {"interaction_id": f"{LIST}1", "occurred_at": NOON, "collector_id": "G1"}


@pytest.mark.parametrize(
    ("other", "counted"),
    [
        ({"collector_id": "G1"}, 1),
        ({"collector_id": None}, 1),
        ({"occurred_at": at("2026-06-29 23:50")}, 1),
        ({"collector_id": "G2"}, 2),
        ({"outcome": "right_party"}, 2),
        ({"channel": "visit"}, 2),
        ({"direction": "inbound"}, 2),
        ({"customer_id": "eva"}, 2),
        ({"occurred_at": at("2026-06-30 00:10")}, 2),
        ({"interaction_id": f"{LIST}2"}, 2),
    ],
    ids=["by the same", "by nobody named", "later that day", "by another", "another outcome", "another channel",
         "the other way", "another member", "the next day", "two lines of lists"],
)  # fmt: skip
def test_a_contact_told_by_list_and_core_counts_once_and_any_other_pair_twice(other: dict[str, Any], counted: int):
    told = ids(read((FROM_A_LIST, {"interaction_id": "core", "occurred_at": NOON} | other)))
    assert len(told) == counted
    assert other.get("interaction_id", "core") in told


def test_a_contact_that_was_not_made_after_all_does_not_count():
    withdrawn = FROM_A_LIST | {"campaign_id": f"{LIST}withdrawn"}
    assert ids(read((FROM_A_LIST, withdrawn))) == []
    assert ids(read((withdrawn, FROM_A_LIST))) == [f"{LIST}1"]


PROMISE = {"made_at": at("2026-06-25 10:00"), "due_on": "2026-06-29", "amount": 50}


@pytest.mark.parametrize(
    ("payments", "is_open"),
    [
        ((), True),
        (({"paid_at": at("2026-06-25 08:00"), "amount": 45},), False),
        (({"paid_at": at("2026-06-28 08:00"), "amount": 44.99},), True),
        (({"paid_at": at("2026-06-24 23:59"), "amount": 50},), True),
        (({"paid_at": at("2026-06-30 23:59"), "amount": 50},), False),
        (({"paid_at": at("2026-07-01 08:00"), "amount": 50},), True),
        (({"paid_at": at("2026-06-28 08:00"), "amount": 50, "loan_id": "L2"},), True),
        (
            (
                {"paid_at": at("2026-06-28 08:00"), "amount": 50},
                {"paid_at": at("2026-06-29 08:00"), "amount": 50, "reverses_payment_id": "y0"},
            ),
            True,
        ),
    ],
    ids=["unpaid", "paid on the day of the promise", "a cent too little", "paid before it", "paid in its grace",
         "paid tomorrow", "another loan paid", "paid and undone"],
)  # fmt: skip
def test_a_promise_is_open_until_it_is_kept(payments: tuple[dict[str, Any], ...], is_open: bool):
    assert len(read(promises=(PROMISE,), payments=payments).promises) == is_open


@pytest.mark.parametrize(
    ("as_of", "is_open"), [(date(2026, 6, 24), False), (date(2026, 6, 25), True), (date(2026, 7, 1), True),
                           (date(2026, 7, 2), False)],
)  # fmt: skip
def test_a_promise_runs_from_its_day_to_the_end_of_its_grace(as_of: date, is_open: bool):
    assert len(read(promises=(PROMISE,), as_of=as_of).promises) == is_open


@pytest.mark.parametrize(
    ("outcome", "core", "is_open"),
    [
        ("promise", {}, 1),
        ("no_answer", {}, 0),
        ("promise", {"made_at": at("2026-06-25 18:00"), "due_on": "2026-06-20"}, 0),
        ("promise", {"made_at": at("2026-06-26 18:00"), "due_on": "2026-06-20"}, 1),
    ],
    ids=["while its contact says so", "not when it was corrected", "not when the core tells it", "another day's"],
)
def test_a_promise_of_a_list(outcome: str, core: dict[str, Any], is_open: int):
    listed = PROMISE | {"promise_id": f"{LIST}1", "interaction_id": f"{LIST}1"}
    contact = FROM_A_LIST | {"occurred_at": PROMISE["made_at"], "outcome": outcome}
    promises = (listed, PROMISE | core) if core else (listed,)
    assert len(read((contact,), promises=promises).promises) == is_open


WRONG = {"occurred_at": at("2026-06-20 10:00"), "outcome": "wrong_number"}


@pytest.mark.parametrize(
    ("contacts", "point", "is_valid"),
    [
        ((), {}, True),
        ((), {"valid": False}, False),
        ((WRONG,), {}, False),
        ((WRONG,), {"kind": "email"}, True),
        ((WRONG,), {"updated_at": at("2026-06-20 10:01")}, True),
        ((WRONG,), {"updated_at": at("2026-06-20 10:00")}, False),
        ((WRONG, {"occurred_at": at("2026-06-22 10:00"), "outcome": "right_party"}), {}, True),
        ((WRONG, {"occurred_at": at("2026-06-19 10:00"), "outcome": "right_party"}), {}, False),
        ((WRONG, {"occurred_at": at("2026-06-22 10:00"), "outcome": "right_party", "channel": "visit"}), {}, False),
        ((WRONG, {"occurred_at": at("2026-06-22 10:00"), "outcome": "replied", "channel": "sms"}), {}, False),
        ((WRONG | {"occurred_at": at("2026-06-30 10:00")},), {}, True),
    ],
    ids=["nothing said", "said to be wrong", "somebody else's", "a mailbox", "delivered anew", "not delivered anew",
         "reached since", "reached before", "met in person", "a reply", "met today"],
)  # fmt: skip
def test_numbers_of_somebody_else_are_not_valid(
    contacts: tuple[dict[str, Any], ...], point: dict[str, Any], is_valid: bool
):
    assert read(contacts, points=(point,)).contact_points["is_valid"].tolist() == [is_valid]


def test_what_is_not_known_of_a_point_stays_unknown():
    point = read(points=({"whatsapp": None, "consent": None},)).contact_points.iloc[0]
    assert (point["has_whatsapp"], point["has_consent"]) == (False, None)


def test_plans_are_awaited_until_a_later_day_has_come_in_through_their_channel():
    plans = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c", "d"],
            "loan_id": None,
            "channel_code": ["call", "call", "sms", "visit"],
            "planned_for": pd.to_datetime(["2026-06-28", "2026-06-29", "2026-06-29", "2026-06-25"]),
        }
    )
    came = read(
        (
            {"occurred_at": at("2026-06-29 10:00"), "customer_id": "z"},
            {"occurred_at": at("2026-06-30 10:00"), "channel": "sms", "direction": "inbound"},
        )
    )
    nobody = plans.assign(collector_id=None)
    assert still_awaited(nobody, came.interactions, {})["customer_id"].tolist() == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("maker", "awaited"),
    [
        ("own", ["north", "south", "text"]),
        (None, ["north", "south", "text"]),
        ("somebody else", ["north", "south", "text"]),
        ("n2", ["own", "south", "text"]),
        ("s1", ["own", "north", "text"]),
    ],
)
def test_engine_and_checker_settle_a_call_by_who_hands_over_the_file(maker: str | None, awaited: list[str]):
    """Own people are one source, each agency another; a text message is settled by its channel alone."""
    plans = pd.DataFrame(
        [("own", "call", "own"), ("north", "call", "n1"), ("south", "call", "s1"), ("text", "sms", None)],
        columns=["customer_id", "channel_code", "collector_id"],
    ).assign(loan_id=None, planned_for=pd.Timestamp("2026-06-29"))
    came = read(({"occurred_at": at("2026-06-30 10:00"), "customer_id": "z", "collector_id": maker},)).interactions
    team = [("own", "internal", None), ("n1", "agency", "North"), ("n2", "agency", "North"), ("s1", "agency", None)]
    raw = versions(
        *({"collector_id": who, "kind": kind, "agency": name} for who, kind, name in team),
        key="collector_id",
        columns="kind agency",
    )
    assert still_awaited(plans, came, agencies_of(raw))["customer_id"].tolist() == awaited
    mart = pd.DataFrame(team, columns=["collector_id", "kind_code", "agency"])
    assert unconfirmed(plans, came, mart)["customer_id"].tolist() == awaited
    texted = came.assign(channel_code="sms", collector_id="n1")
    for found in (still_awaited(plans, texted, agencies_of(raw)), unconfirmed(plans, texted, mart)):
        assert found["customer_id"].tolist() == ["own", "north", "south"]


# ------------------------------------------------------------------------------------------------- rule files

OWN = """
id: {name}
scope: {{institution: own}}
effective_from: {first}
effective_to: {last}
rules: [{{id: {name}/rest, kind: cooloff, days: {days}, channels: all}}]
"""


def write(path: Path, name: str, first: str = "null", last: str = "null", days: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OWN.format(name=name, first=first, last=last, days=days), encoding="utf-8")
    return path


def test_a_policy_is_found_wherever_it_lies_and_whatever_it_is_called(tmp_path: Path):
    for number, place in enumerate(["a.yaml", "b.yml", "C.YAML", "deep/er/d.yaml", "segments.yaml"]):
        write(tmp_path / place, f"OWN-{number}")
    (tmp_path / "owners.yaml").write_text("owners: []", encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("scope: [rules", encoding="utf-8")
    assert list(find_rule_files([tmp_path, None, tmp_path / "absent"], "EC", TUESDAY).digests) == [
        f"OWN-{number}" for number in range(5)
    ]


@pytest.mark.parametrize(
    ("first", "last", "holds"),
    [("2026-06-30", "null", True), ("2026-07-01", "null", False), ("null", "2026-06-30", True),
     ("null", "2026-06-29", False)],
)  # fmt: skip
def test_a_policy_holds_from_its_first_to_its_last_day(tmp_path: Path, first: str, last: str, holds: bool):
    write(tmp_path / "a.yaml", "OWN-A", first, last)
    assert bool(find_rule_files([tmp_path], "EC", TUESDAY).files) == holds


@pytest.mark.parametrize("country", ["EC", "MX", "CO", "CL", "PE", "US", "BR"])
def test_of_the_shipped_folder_it_finds_what_the_engine_reads(country: str):
    from puntual.decision.policies import load_policies
    from puntual.decision.rules import lookback_days

    theirs, mine = load_policies(POLICIES, None, country, TUESDAY), find_rule_files([POLICIES], country, TUESDAY)
    assert set(mine.files) == set(theirs.files)
    assert differing_rule_files(mine, theirs.digests) == []
    assert mine.memory_days >= max(
        [getattr(entry.rule, "days", 0) or 0 for entry in theirs.rules if entry.rule.kind != "min_count_by"]
    )
    assert lookback_days(theirs) <= mine.memory_days + 8


def test_the_memory_is_that_of_the_longest_rule(tmp_path: Path):
    write(tmp_path / "a.yaml", "OWN-A", days=90)
    assert find_rule_files([tmp_path], "EC", TUESDAY).memory_days == 91


def test_files_that_are_not_those_of_the_run_are_named(tmp_path: Path):
    kept, changed, new = (write(tmp_path / f"{name}.yaml", name) for name in ("KEPT", "CHANGED", "NEW"))
    before = dict(find_rule_files([tmp_path], "EC", TUESDAY).digests)
    of_the_run = {"KEPT": before["KEPT"], "CHANGED": "another", "GONE": "whatever"}
    said = differing_rule_files(find_rule_files([tmp_path], "EC", TUESDAY), of_the_run)
    assert [line.split(" ")[0] for line in said[:2]] == [str(changed), str(new)]
    assert "made by GONE, of which no file in force is left" in said[2]
    assert not any(str(kept) in line for line in said)
    write(tmp_path / "twice" / "KEPT.yaml", "KEPT")
    assert (
        "claims the id of another rule file"
        in differing_rule_files(find_rule_files([tmp_path], "EC", TUESDAY), before)[0]
    )
