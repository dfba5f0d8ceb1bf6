"""A published day is made again from its archive on another machine, byte for byte; what differs is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.steps.replaying import replay
from puntual.audit.chain import CONTEXT, INPUTS, AuditLog, Entry, File
from puntual.audit.compare import compare
from puntual.audit.pack import pack, unpack
from puntual.audit.verify import verify
from puntual.cli import app
from puntual.errors import AuditError
from puntual.paths import Home
from puntual.publish import sha256_of
from puntual.snapshot import Snapshot


@pytest.fixture(scope="module")
def log(finished_home) -> AuditLog:
    return AuditLog(Home(finished_home))


@pytest.fixture(scope="module")
def packed(log, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("pack") / "day.zip"
    pack(log, log.newest(), file)
    return file


def test_the_run_logged_what_it_published(finished_home, log):
    entry = log.newest()
    snapshot = Snapshot.current(finished_home)
    assert entry.snapshot == snapshot.folder.name
    assert {name: one.sha256 for name, one in entry.published.items()} == {
        name: one["sha256"] for name, one in snapshot.manifest["files"].items()
    }
    assert entry.people == snapshot.manifest["row_counts"]["decisions"]
    covered = {name for name in entry.published if name.startswith(("worklists/", "campaigns/"))}
    assert covered | {"decisions.parquet", "decision_details.parquet", "prices.parquet"} <= set(entry.replayable)
    assert entry.versions["models"] == snapshot.manifest["model_versions"]
    assert verify(Home(finished_home)).problems == []
    assert not (finished_home / "audit" / "drafts" / entry.as_of_date.isoformat()).exists()


def test_another_machine_makes_the_same_bytes_from_the_pack_alone(packed, tmp_path):
    log, entry = unpack(packed, tmp_path / "elsewhere")
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["audit", "pack.json"]
    made = replay(log, entry, tmp_path / "again")
    compared = compare(log, entry, made)
    assert [one for one in compared if one.state != "same"] == []
    assert len(compared) == len(entry.replayable) > 15
    for name in ("decisions.parquet", "worklists/all.csv"):
        assert sha256_of(made / name) == entry.published[name].sha256


def doctored(log: AuditLog, entry: Entry, name: str, change) -> Entry:
    """The entry with something else in one of its files, and hashes that fit: an input that is not what it was."""
    file = log.folder_of(entry) / name
    content = json.loads(file.read_bytes())
    change(content)
    file.write_text(json.dumps(content))
    return entry.model_copy(update={"files": {**entry.files, name: File.of(file.read_bytes())}})


def test_another_input_is_another_list_and_the_rows_are_named(packed, tmp_path):
    log, entry = unpack(packed, tmp_path / "elsewhere")

    def dearer(content):
        content["decision"]["values"]["costs"]["call"] += 0.5

    changed = doctored(log, entry, INPUTS, dearer)
    found = {one.name: one for one in compare(log, changed, replay(log, changed, tmp_path / "again"))}
    decisions = found["decisions.parquet"]
    assert decisions.state == "different"
    assert any(line.startswith("contact_cost_amount: ") and "customer_id" in line for line in decisions.details)
    assert any(line.startswith("cost_amount: ") for line in found["decision_details.parquet"].details)


def test_other_settings_of_the_lists_are_another_file(packed, tmp_path):
    log, entry = unpack(packed, tmp_path / "elsewhere")

    def renamed(content):
        content["settings"]["institution"]["name"] = "Otra"

    changed = doctored(log, entry, CONTEXT, renamed)
    states = {one.name: one.state for one in compare(log, changed, replay(log, changed, tmp_path / "again"))}
    assert states["decisions.parquet"] == "same"
    assert states["worklists/all.csv"] == "different"


def test_a_list_that_differs_from_the_kept_snapshot_is_told_by_column(finished_home, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(finished_home, home, symlinks=True)
    log = AuditLog(Home(home))

    def renamed(content):
        content["settings"]["institution"]["name"] = "Otra"

    entry = doctored(log, log.newest(), CONTEXT, renamed)
    found = {one.name: one for one in compare(log, entry, replay(log, entry, tmp_path / "again"))}
    (line,) = found["worklists/all.csv"].details
    assert "Otra" in line
    workbook = next(one for name, one in sorted(found.items()) if name.endswith(".xlsx"))
    assert any("Otra" in line for line in workbook.details)


def test_an_altered_archive_is_refused(packed, tmp_path):
    log, entry = unpack(packed, tmp_path / "elsewhere")
    name = log.inputs(entry).decision.frames["features"].pieces[0].sha256
    file = log.archive().place(name)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(AuditError, match="altered"):
        replay(log, entry, tmp_path / "again")


def test_the_commands(finished_home, packed, tmp_path):
    runner = CliRunner()
    home, day = str(finished_home), "2026-06-30"
    head = AuditLog(Home(finished_home)).head().sha256
    done = runner.invoke(app, ["audit", "verify", home, "--expect", head])
    assert (done.exit_code, head in done.output) == (0, True)
    assert runner.invoke(app, ["audit", "verify", home, "--expect", "f" * 64]).exit_code == 1
    assert "in force" in runner.invoke(app, ["audit", "list", home], env={"COLUMNS": "200"}).output
    for arguments in ([home, day], [str(packed)], [home, day, "--archive", str(packed)]):
        done = runner.invoke(app, ["replay", *arguments])
        assert done.exit_code == 0, done.output
        assert "byte for byte" in done.output
    customer = str(decisions(finished_home).loc[lambda d: d["action"] == "call", "customer_id"].iloc[0])
    assert "Se le contacta por llamada" in runner.invoke(app, ["why", home, customer], env={"COLUMNS": "150"}).output
    out = tmp_path / "person.csv"
    assert runner.invoke(app, ["audit", "export", home, customer, "--out", str(out)]).exit_code == 0
    assert len(out.read_text(encoding="utf-8-sig").splitlines()) == 1 + 6 * len(AuditLog(Home(finished_home)).entries())
    done = runner.invoke(app, ["whatif", home, "--set", "channels.call.capacity=+10%"], env={"COLUMNS": "150"})
    assert done.exit_code == 0, done.output
    assert "Valor de los contactos" in done.output


def decisions(home: Path):
    import pandas as pd

    return pd.read_parquet(Snapshot.current(home).folder / "decisions.parquet")


def test_nothing_of_the_home_was_written(finished_home, packed):
    """By what came before: the commands read."""
    assert verify(Home(finished_home)).problems == []
    assert not (finished_home / "audit" / "pending").exists()
