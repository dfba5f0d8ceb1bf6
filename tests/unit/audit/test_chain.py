"""The log grows with publications and with nothing else, and a crash at any step leaves it whole."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import timedelta

import pytest

import puntual.audit.chain as chain_module
import puntual.disk as disk_module
import puntual.publish as publish_module
from puntual.audit.chain import ENTRY, INPUTS, AuditLog, File, Head, as_archived, read_entry
from puntual.audit.digests import canonical, code_digest, sha256
from puntual.audit.inputs import load
from puntual.audit.log import person
from puntual.audit.verify import verify
from puntual.decision.decide import decide
from puntual.errors import AuditError, PublishError
from puntual.paths import Home
from puntual.snapshot import Snapshot
from tests.unit.audit import logged
from tests.unit.audit.logged import DAY, arguments, chain_of, content, run_day

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def home(tmp_path) -> Home:
    home = Home(tmp_path / "home")
    run_day(home, arguments())
    return home


def test_each_entry_names_the_one_before(home):
    run_day(home, arguments(as_of=NEXT))
    assert chain_of(home) == [(1, "2026-06-30", None), (2, "2026-07-01", None)]
    first, second = AuditLog(home).entries()
    assert second.previous == chain_module.sha256(first.content())
    assert AuditLog(home).head().sha256 == chain_module.sha256(second.content())
    assert verify(home).problems == []


def test_the_same_run_again_adds_nothing(home):
    before = content(home)
    run_day(home, arguments(), run_id="another")
    assert content(home) == before


def test_another_run_of_the_date_is_appended_and_in_force(home):
    run_day(home, arguments(seed=2))
    assert chain_of(home) == [(1, "2026-06-30", None), (2, "2026-06-30", 1)]
    assert AuditLog(home).in_force(DAY).sequence == 2
    run_day(home, arguments())  # back to the first: it is not what is in force
    assert chain_of(home)[2] == (3, "2026-06-30", 2)
    assert AuditLog(home).in_force(DAY).identity == AuditLog(home).entries()[0].identity
    assert verify(home).problems == []


def test_other_inputs_with_the_same_choice_are_another_entry(home):
    changed = arguments()
    changed["customers"]["province"] = changed["customers"]["province"].str.upper()  # no rule and no list reads it so
    run_day(home, changed)
    assert len(chain_of(home)) == 2


def test_an_older_date_is_logged_when_it_is_caught_up(home):
    run_day(home, arguments(as_of=DAY - timedelta(days=3)))
    assert chain_of(home)[-1] == (2, "2026-06-27", None)
    assert Snapshot.current(home.root).as_of_date == DAY
    assert AuditLog(home).newest().as_of_date == DAY
    assert verify(home).problems == []


def test_the_row_of_a_person_has_everything_that_was_weighed(home):
    entry = AuditLog(home).in_force(DAY)
    inputs = arguments()
    outcome = decide(**inputs)
    row = person(AuditLog(home).log_file(entry), "m00007")
    details = outcome.details[outcome.details["customer_id"] == "m00007"].reset_index(drop=True)
    (decision,) = outcome.decisions[outcome.decisions["customer_id"] == "m00007"].to_dict("records")
    assert [one["channel_code"] for one in row["channels"]] == list(logged.COSTS)
    for position, one in enumerate(row["channels"]):
        for name in ("gain_amount", "cost_amount", "is_allowed", "blocked_by", "is_chosen", "explore_probability"):
            assert one[name] == details[name].iloc[position]
    assert (row["action"], row["propensity"]) == (decision["action"], decision["propensity"])
    assert row["inputs_sha256"] == AuditLog(home).inputs(entry).decision.digest
    assert {"model_versions", "rules_sha256", "settings_sha256", "code_sha256"} <= set(row)
    assert entry.people == len(outcome.decisions) == 40
    assert person(AuditLog(home).log_file(entry), "nobody") is None


def test_a_password_in_an_address_is_not_logged(tmp_path):
    home = Home(tmp_path)
    run_day(home, arguments(5), keep=logged.settings(warehouse={"url": "postgresql://ana:secreta@db1/coop"}))
    log = AuditLog(home)
    assert log.context(log.newest())["settings"]["warehouse"]["url"] == "postgresql://ana:***@db1/coop"
    assert not [name for name, bytes_ in content(home).items() if b"secreta" in bytes_]


def test_the_institution_s_own_files_are_archived(tmp_path):
    home = Home(tmp_path)
    (home.policies / "more").mkdir(parents=True)
    (home.policies / "more" / "own.yaml").write_text("a: ñ", encoding="utf-8")
    (tmp_path / "roads.csv").write_bytes(b"from_id,to_id\n")
    run_day(home, arguments(5), keep=logged.settings(visits={"distances": "roads.csv"}))
    log = AuditLog(home)
    own = log.inputs(log.newest()).own_files
    assert list(own) == ["policies/more/own.yaml", "roads.csv"]
    assert log.archive().read(own["policies/more/own.yaml"].sha256).decode() == "a: ñ"
    assert verify(home).problems == []
    log.archive().place(own["roads.csv"].sha256).write_bytes(b"other")
    (problem,) = verify(home).problems
    assert "roads.csv of 2026-06-30): altered" in problem


def test_only_the_owner_may_enter(home):
    assert home.audit.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in home.audit.rglob("*") if file.is_file())


def test_a_publication_that_fails_logs_nothing(home, monkeypatch):
    before = content(home)

    def refused(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish_module, "_flip", refused)
    with pytest.raises(OSError, match="No space"):
        run_day(home, arguments(as_of=NEXT))
    monkeypatch.undo()
    logged_now = {name: bytes_ for name, bytes_ in content(home).items() if not name.startswith("drafts/")}
    assert logged_now == before
    assert verify(home).problems == []
    run_day(home, arguments(as_of=NEXT))
    assert chain_of(home)[-1] == (2, "2026-07-01", None)


class Crash(BaseException):
    """Like the process dying: nobody's clean-up of errors may run, so the test copies the disk and raises."""


def every_moment(home: Home, saved, monkeypatch):
    """Copies of the home at every step that a run of the next day makes on the disk, as if the power went there."""
    moments = []

    def snap():
        target = saved / f"{len(moments):03d}"
        shutil.copytree(home.root, target, symlinks=True)
        moments.append(Home(target))

    for module, name in ((chain_module, "write_private"), (disk_module, "sync_folder"), (publish_module, "_prune")):  # fmt: skip
        real = getattr(module, name)

        def wrapped(*args, real=real):
            snap()
            return real(*args)

        monkeypatch.setattr(module, name, wrapped)
    run_day(home, arguments(8, as_of=NEXT), meanwhile=lambda _: snap())
    snap()
    monkeypatch.undo()
    return moments


def test_a_crash_at_any_step_leaves_a_valid_chain_and_the_next_run_makes_it_whole(home, tmp_path, monkeypatch):
    (tmp_path / "saved").mkdir()
    moments = every_moment(home, tmp_path / "saved", monkeypatch)
    assert len(moments) > 12
    inputs = arguments(8, as_of=NEXT)
    outcome = decide(**inputs)
    seen: Counter[tuple] = Counter()
    for moment in moments:
        assert verify(moment).problems == [], moment.root
        current = Snapshot.current(moment.root).as_of_date
        entries = chain_of(moment)
        # whoever reads a day finds it in the log, or the log's last step is to be finished
        state = (current, len(entries), (moment.audit / "pending").exists())
        seen[state] += 1
        if seen[state] > 3:
            continue  # what a run makes of such a state is known by now
        if current == NEXT and len(entries) == 1:
            assert AuditLog(moment).settle().as_of_date == NEXT
            assert chain_of(moment)[-1] == (2, "2026-07-01", None)
        run_day(moment, inputs, outcome=outcome)
        assert chain_of(moment) == [(1, "2026-06-30", None), (2, "2026-07-01", None)]
        assert verify(moment).problems == verify(moment).notes == []
        log = AuditLog(moment)
        load(decide, log.inputs(log.newest()).decision, log.archive())
    assert {(DAY, 1, False), (DAY, 1, True), (NEXT, 1, True), (NEXT, 2, False)} <= set(seen)


def test_inputs_that_are_not_those_of_the_decision_publish_nothing(home):
    inputs = arguments(as_of=NEXT)

    def lost(step):
        if step == "decided":
            shutil.rmtree(AuditLog(home).draft(NEXT))

    with pytest.raises(PublishError, match="not archived"):
        run_day(home, inputs, meanwhile=lost)
    assert Snapshot.current(home.root).as_of_date == DAY
    assert len(chain_of(home)) == 1


def test_lists_that_are_published_again_alone_stand_on_the_logged_inputs(home):
    """The step of publication run by itself: its decision was made, and archived, before."""

    def lost(step):
        if step == "decided":
            shutil.rmtree(AuditLog(home).draft(DAY))

    run_day(home, arguments(), meanwhile=lost, text="another layout")
    assert chain_of(home) == [(1, "2026-06-30", None), (2, "2026-06-30", 1)]
    first, second = (AuditLog(home).inputs(entry).decision.digest for entry in AuditLog(home).entries())
    assert first == second
    assert verify(home).problems == []


def test_retention_removes_the_inputs_of_old_days_and_says_so_in_the_chain(tmp_path):
    home = Home(tmp_path)
    few = logged.settings(audit={"keep_inputs_days": 2})
    for number in range(4):
        run_day(home, arguments(seed=number, as_of=DAY + timedelta(days=number)), keep=few)
    log = AuditLog(home)
    kinds = [(one.kind, one.as_of_date.isoformat()) for one in log.entries()]
    assert kinds == [
        ("decision", "2026-06-30"), ("decision", "2026-07-01"), ("decision", "2026-07-02"),
        ("retention", "2026-07-02"), ("decision", "2026-07-03"), ("retention", "2026-07-03"),
    ]  # fmt: skip
    found = verify(home)
    assert found.problems == []
    assert "2026-07-01" in found.notes[0]
    with pytest.raises(AuditError, match="missing"):
        load(decide, log.inputs(log.in_force(DAY)).decision, log.archive())
    load(decide, log.inputs(log.in_force(DAY + timedelta(days=2))).decision, log.archive())
    assert person(log.log_file(log.in_force(DAY)), "m00001") is not None
    # an old day that is run again is logged, and its inputs go at once
    run_day(home, arguments(seed=9, as_of=DAY), keep=few)
    assert verify(home).problems == []


def test_a_day_that_was_never_logged_is_said_with_those_that_were(home):
    with pytest.raises(AuditError, match=r"2026-07-01.*from 2026-06-30 to 2026-06-30"):
        AuditLog(home).in_force(NEXT)
    with pytest.raises(AuditError, match="Nothing is logged"):
        AuditLog(Home(home.root / "elsewhere")).newest()


def written_by_another_release(home: Home, change) -> AuditLog:
    """The home with its last entry as an older release would have written it: ``change`` takes the inputs as JSON."""
    log = AuditLog(home)
    entry = log.newest()
    file = log.place(entry) / INPUTS
    inputs = json.loads(file.read_bytes())
    change(inputs)
    file.write_bytes(canonical(inputs))
    versions = {**entry.versions, "software": {"puntual": "0.3.0"}, "code_sha256": "0ld" * 10}
    older = entry.model_copy(
        update={"files": {**entry.files, INPUTS: File.of(file.read_bytes())}, "versions": versions}
    )
    (log.place(entry) / ENTRY).write_bytes(older.content())
    log.head_file.write_bytes(Head(sequence=entry.sequence, sha256=sha256(older.content())).content())
    read_entry.__globals__["_read_entry"].cache_clear()
    return log


def test_an_entry_of_another_release_says_what_where_why_and_what_to_do(home):
    log = written_by_another_release(home, lambda inputs: inputs.pop("own_files"))
    with pytest.raises(AuditError, match="own_files: Field required") as told:
        log.inputs(log.newest())
    text = str(told.value)
    assert "000001/inputs.json, entry 1 of 2026-06-30" in text and "puntual 0.3.0" in text
    assert f"puntual run HOME --as-of {DAY}" in text
    found = verify(home)
    assert found.problems == []
    assert "written by another release" in " ".join(found.notes)
    # the next day is appended all the same, and the archive keeps what the older one names
    run_day(home, arguments(8, as_of=NEXT))
    assert verify(home).problems == []


def test_a_column_that_another_release_did_not_archive_is_told_as_that(home):
    log = written_by_another_release(home, lambda inputs: inputs["decision"]["frames"].pop("channel_scores"))
    entry = log.newest()
    with pytest.raises(AuditError, match=r"'collectable_amount'.*written by puntual 0\.3\.0"), as_archived(entry):
        raise KeyError("collectable_amount")
    ours = entry.model_copy(update={"versions": {"code_sha256": code_digest()}})
    with pytest.raises(KeyError), as_archived(ours):
        raise KeyError("a defect of ours")
