"""No byte of the log or of the archive can be altered, removed, added or moved without being found and named."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from puntual.audit.chain import ENTRY, LOG, ROWS, AuditLog, Entry, File, Head, sha256
from puntual.audit.digests import row_digests
from puntual.audit.log import parquet_bytes
from puntual.audit.verify import verify
from puntual.cli import app
from puntual.paths import Home
from tests.unit.audit import logged


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Home:
    home = logged.history(tmp_path_factory.mktemp("original") / "home")
    shutil.rmtree(home.audit / "drafts", ignore_errors=True)
    return home


@pytest.fixture(scope="module")
def files(original) -> list[str]:
    return sorted(logged.content(original))


@pytest.fixture
def home(original, tmp_path) -> Home:
    shutil.copytree(original.root, tmp_path / "home", symlinks=True)
    return Home(tmp_path / "home")


def test_what_was_written_is_whole(original, files):
    found = verify(original)
    assert found.problems == found.notes == []
    assert (found.entries, found.days) == (4, 3)
    assert found.head == AuditLog(original).head().sha256
    assert len(files) > 25


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_single_byte_that_is_altered_is_found_and_its_file_named(original, files, data):
    name = data.draw(st.sampled_from(files))
    file = original.audit / name
    whole = file.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[place] ^ data.draw(st.integers(1, 255))
    try:
        file.write_bytes(whole[:place] + bytes([flipped]) + whole[place + 1 :])
        problems = verify(original).problems
    finally:
        file.write_bytes(whole)
    assert problems
    named = [line for line in problems if Path(name).name in line or "HEAD.json" in line or "entries" in line]
    assert named, problems


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_file_that_is_missing_cut_or_longer_is_found(original, files, data):
    name = data.draw(st.sampled_from(files))
    file = original.audit / name
    whole = file.read_bytes()
    how = data.draw(st.sampled_from(["missing", "cut", "longer", "empty"]))
    try:
        if how == "missing":
            file.unlink()
        else:
            file.write_bytes({"cut": whole[:-1], "longer": whole + b"\n", "empty": b""}[how])
        assert verify(original).problems
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("name", ["log/stray.txt", "log/2026-06-30/stray", "log/2026-06-30/000001/more.parquet",
                                  "archive/ab/" + "ab" * 32, "archive/note.txt"])  # fmt: skip
def test_a_file_that_was_added_is_found(home, name):
    file = home.audit / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")
    (problem,) = verify(home).problems
    assert name in problem
    assert "added" in problem


def rewrite(home: Home, entry: Entry, **changed) -> Entry:
    other = entry.model_copy(update=changed)
    (AuditLog(home).place(entry) / ENTRY).write_bytes(other.content())
    return other


def test_entries_that_changed_places_are_found(home):
    log = AuditLog(home)
    first, second, *_ = log.entries()
    one, other = log.place(first), log.place(second)
    # each with the other's number and link, so that the numbers are in order
    (one / ENTRY).write_bytes(second.model_copy(update={"sequence": 1, "previous": first.previous}).content())
    (other / ENTRY).write_bytes(first.model_copy(update={"sequence": 2, "previous": second.previous}).content())
    assert any("moved" in line or "out of order" in line for line in verify(home).problems)


def test_an_entry_in_another_day_s_folder_is_found(home):
    log = AuditLog(home)
    entry = log.entries()[0]
    target = home.audit / "log" / "2026-06-29" / "000001"
    target.parent.mkdir()
    log.place(entry).replace(target)
    assert any("moved" in line for line in verify(home).problems), verify(home).problems


def test_a_missing_day_and_a_missing_last_day_are_found(home):
    log = AuditLog(home)
    entries = log.entries()
    shutil.rmtree(log.place(entries[1]))
    assert any("missing or altered: the entries 2" in line for line in verify(home).problems)
    shutil.rmtree(log.place(entries[-1]))
    assert any("the entries 4" in line for line in verify(home).problems)


def test_an_entry_slipped_in_at_the_end_is_found(home):
    log = AuditLog(home)
    last = log.entries()[-1]
    forged = last.model_copy(update={"sequence": 5, "previous": log.head().sha256, "replaces": 4})
    target = log.place(forged)
    shutil.copytree(log.place(last), target)
    (target / ENTRY).write_bytes(forged.content())
    assert any("added; the log ends with the entry 4" in line for line in verify(home).problems)


def altered_table(home: Home, row: int, column: str, value) -> None:
    """Another value in one row of the first day's table, written as a proper file."""
    log = AuditLog(home)
    file = log.place(log.entries()[0]) / LOG
    table = pq.read_table(file)
    values = table.column(column).to_pylist()
    values[row] = value
    place = table.schema.get_field_index(column)
    file.write_bytes(parquet_bytes(table.set_column(place, column, pa.array(values, table.schema.field(place).type))))


def test_the_row_that_was_altered_is_named(home):
    altered_table(home, 6, "propensity", 0.123)
    (problem,) = verify(home).problems
    assert "log/2026-06-30/000001/decisions.parquet" in problem
    assert "row 7 (customer m00006) is not what was logged" in problem


def test_a_removed_row_is_counted(home):
    log = AuditLog(home)
    file = log.place(log.entries()[0]) / LOG
    table = pq.read_table(file)
    file.write_bytes(parquet_bytes(table.slice(0, 39)))
    (problem,) = verify(home).problems
    assert "it has 39 rows, logged were 40" in problem


def test_whoever_rewrites_everything_from_a_day_on_is_found_by_a_noted_head(home):
    log = AuditLog(home)
    noted = log.head().sha256
    altered_table(home, 6, "action", "none")
    previous = "0" * 64
    for entry in log.entries():
        place = log.place(entry)
        table = pq.read_table(place / LOG)
        (place / ROWS).write_bytes(row_digests(table).tobytes())
        files = {name: File.of((place / name).read_bytes()) for name in entry.files}
        entry = entry.model_copy(update={"files": files, "previous": previous})
        (place / ENTRY).write_bytes(entry.content())
        previous = sha256(entry.content())
    log.head_file.write_bytes(Head(sequence=entry.sequence, sha256=previous).content())
    named = verify(home).problems
    assert len(named) == 3 and all(
        "begun anew or rewritten" in line for line in named
    )  # by the snapshots that are kept
    shutil.rmtree(home.published)
    assert verify(home).problems == []  # the chain is sound in itself
    assert any("rewritten" in line for line in verify(home, expected=noted).problems)


def test_a_published_file_that_was_altered_is_found(home):
    entry = AuditLog(home).newest()
    (home.published / entry.snapshot / "list.csv").write_text("another list")
    (problem,) = verify(home).problems
    assert "list.csv: altered" in problem


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "a": st.one_of(st.none(), st.text(max_size=3)),
                "b": st.one_of(st.none(), st.floats(allow_nan=False)),
                "c": st.one_of(st.none(), st.booleans()),
                "d": st.lists(st.fixed_dictionaries({"x": st.one_of(st.none(), st.integers(-5, 5)),
                                                     "y": st.one_of(st.none(), st.text(max_size=2))}), max_size=3),
            }
        ),
        min_size=2, max_size=6,
    )
)  # fmt: skip
def test_rows_have_equal_digests_exactly_when_they_are_equal(rows):
    kinds = pa.schema(
        {"a": pa.string(), "b": pa.float64(), "c": pa.bool_(),
         "d": pa.list_(pa.struct({"x": pa.int64(), "y": pa.string()}))}
    )  # fmt: skip
    digests = row_digests(pa.Table.from_pylist(rows, schema=kinds))
    for one in range(len(rows)):
        for other in range(len(rows)):
            same = json.dumps(rows[one], sort_keys=True) == json.dumps(rows[other], sort_keys=True)
            assert same == bool((digests[one] == digests[other]).all())


def test_the_digest_of_a_row_is_the_one_that_is_written_down():
    """By hand, as docs/audit.md says it: columns in order, lists last."""
    table = pa.table({"n": pa.array([3], pa.int64()), "t": pa.array(["ñ"]), "l": pa.array([[{"x": None}]],
                      pa.list_(pa.struct({"x": pa.float64()})))})  # fmt: skip
    by_hand = io.BytesIO()
    by_hand.write(b"\x01" + (3).to_bytes(8, "little"))
    by_hand.write(b"\x01" + bytes.fromhex(sha256("ñ".encode())))
    by_hand.write((1).to_bytes(8, "little"))
    by_hand.write(b"\x00" + bytes(8))
    assert row_digests(table)[0].tobytes().hex() == sha256(by_hand.getvalue())
    assert row_digests(table.slice(0, 0)).shape == (0, 32)
    assert row_digests(table).dtype == np.uint8


def test_a_log_that_is_removed_or_emptied_is_found_by_what_was_published(home):
    shutil.rmtree(home.audit)
    found = verify(home)
    assert len(found.problems) == 1 and "the log has no entry" in found.problems[0]
    assert home.current.resolve().name in found.problems[0]
    home.audit.mkdir()
    assert verify(home).problems == found.problems
    (home.audit / "log").mkdir()
    assert verify(home).problems == found.problems


def test_a_log_begun_anew_is_found_while_an_older_snapshot_is_kept(home):
    shutil.rmtree(home.audit)
    logged.run_day(home, logged.arguments(as_of=logged.DAY.replace(day=1, month=8), seed=9), run_id="anew")
    found = verify(home)
    # of three days and a repetition all but the first publication name an entry that is gone
    assert len([line for line in found.problems if "begun anew or rewritten" in line]) == 3
    assert len([line for line in found.notes if "in no entry of the log" in line]) == 1


def test_a_home_without_publications_and_one_older_than_the_log_have_no_problem(home, tmp_path):
    empty = Home(tmp_path / "empty")
    empty.root.mkdir()
    assert verify(empty).problems == [] and "no day was logged yet" in verify(empty).notes[0]
    shutil.rmtree(home.audit)
    for manifest in home.published.glob("*_*/manifest.json"):
        content = json.loads(manifest.read_text(encoding="utf-8"))
        del content["log"]
        manifest.write_text(json.dumps(content), encoding="utf-8")
    found = verify(home)
    assert found.problems == [] and "before there was a log" in found.notes[0]
    # once a day is logged, those before it are no matter of the log
    logged.run_day(home, logged.arguments(as_of=logged.DAY.replace(day=1, month=8), seed=9), run_id="first")
    assert verify(home).problems == verify(home).notes == []


def test_a_manifest_that_is_none_stands_for_no_older_release(home):
    shutil.rmtree(home.audit)
    (home.current.resolve() / "manifest.json").write_text("{}", encoding="utf-8")
    assert "the log has no entry" in verify(home).problems[0]


@pytest.mark.parametrize(
    "name", ["lost+found", "2026-06-30", "copy of 2026-06-30_0123456789ab", "2026-06-30_0123456789ab"]
)
def test_a_folder_that_is_no_snapshot_is_no_alarm(tmp_path, name):
    empty = Home(tmp_path / "empty")
    (empty.published / name / "inside").mkdir(parents=True)
    assert verify(empty).problems == []
    # but one that readers were shown is, whatever became of its manifest
    empty.current.symlink_to(name)
    assert f"published are {name}" in verify(empty).problems[0]


def test_a_kept_snapshot_with_a_manifest_nobody_can_read_is_an_alarm(home):
    shutil.rmtree(home.audit)
    current = home.current.resolve()
    home.current.unlink()
    for folder in home.published.glob("*_*"):
        if folder != current:
            shutil.rmtree(folder)
    (current / "manifest.json").write_text("{", encoding="utf-8")
    assert current.name in verify(home).problems[0]


@pytest.mark.parametrize("moment", ["decided", "gathered"])
def test_a_first_publication_that_was_cut_off_is_no_problem(tmp_path, moment):
    home = Home(tmp_path / "home")

    def cut(name: str) -> None:
        if name == moment:
            raise RuntimeError(name)

    with pytest.raises(RuntimeError):
        logged.run_day(home, logged.arguments(), meanwhile=cut)
    assert verify(home).problems == []


def test_the_command_leaves_with_one_when_the_log_is_gone(home):
    shutil.rmtree(home.audit)
    found = CliRunner().invoke(app, ["audit", "verify", str(home.root)])
    assert found.exit_code == 1, found.output
