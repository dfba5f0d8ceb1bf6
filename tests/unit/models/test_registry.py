from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from models.default_risk.score import DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import prior_curve
from models.ledger import DATABASE, KNOWN_SCHEMAS, Ledger, Run
from models.provenance import git_commit, label_definition
from models.registry import ModelRegistry, hold_of
from models.willingness.kalman import FilterParameters
from models.willingness.model import WillingnessModel
from models.willingness.panel import GROUP_COUNT
from pipelines.dbt import dbt_vars
from puntual.errors import ModelError
from puntual.settings import Settings, settings_text

TODAY = date(2026, 6, 30)


def model(day: date = TODAY) -> DefaultRiskModel:
    card = {
        "trained_as_of": day,
        "kind": "prior",
        "feature_count": 0,
        "past_threshold": "",
        "targets": {"default": {}, "early_warning": {}},
    }
    made = DefaultRiskModel(
        day,
        DefaultRiskSettings(),
        {"product_code": ["a"], "province": [], "collateral_code": [], "occupation": []},
        {"default": prior_curve(90), "early_warning": prior_curve(30)},
    )
    for entry in card["targets"].values():
        entry |= {"threshold_days": 90, "horizon_days": 182, "row_count": 0, "loan_count": 0, "event_loan_count": 0}
        entry |= {"first_date": None, "last_date": None, "date_count": 0, "kind": "prior"}
    return replace(made, card=card)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, made once: making them takes a second."""
    folder = tmp_path_factory.mktemp("store")
    Ledger(folder)._client  # noqa: B018
    return folder / DATABASE


@pytest.fixture
def registry(tmp_path: Path, empty_store: Path) -> ModelRegistry:
    (tmp_path / "models").mkdir()
    shutil.copy(empty_store, tmp_path / "models" / DATABASE)
    return ModelRegistry(tmp_path / "models")


def test_the_version_is_its_content(registry: ModelRegistry) -> None:
    version = registry.register("default_risk", model())
    assert version == model().version == registry.register("default_risk", model())
    assert version != model(date(2026, 6, 1)).version
    assert len(registry.list("default_risk")) == 1


def test_a_registered_model_is_no_champion_until_somebody_decides(registry: ModelRegistry) -> None:
    version = registry.register("default_risk", model())
    assert registry.champion("default_risk") is None
    assert registry.last_trained_on("default_risk") == TODAY
    registry.promote("default_risk", version, "first model", TODAY)
    champion = registry.champion("default_risk")
    assert champion.version == version
    assert registry.list()[0]["status"] == "champion"
    assert registry.list()[0]["reason"] == "first model"


def test_the_registry_says_why_a_challenger_was_not_promoted(registry: ModelRegistry) -> None:
    old = registry.register("default_risk", model(date(2026, 6, 1)))
    registry.promote("default_risk", old, "first model", date(2026, 6, 1))
    new = registry.register("default_risk", model())
    registry.decline("default_risk", new, "no mejor · not better", TODAY)
    registry.decline("default_risk", old, "not better either", TODAY)  # in use: its own reason stays
    first, second = registry.list("default_risk")
    assert (first["status"], first["reason"]) == ("champion", "first model")
    assert (second["status"], second["reason"], second["decided_on"]) == (
        "challenger",
        "no mejor · not better",
        TODAY.isoformat(),
    )
    registry.promote("default_risk", new, "the committee said so", TODAY)
    assert registry.list("default_risk")[1]["reason"] == "the committee said so"
    assert registry.rollback("default_risk", TODAY) == old


def test_there_is_one_champion_and_the_way_back_is_one_call(registry: ModelRegistry) -> None:
    versions = [registry.register("default_risk", model(date(2026, month, 1))) for month in (4, 5, 6)]
    for version in versions:
        registry.promote("default_risk", version, "better", TODAY)
    assert [row["status"] for row in registry.list()] == ["retired", "retired", "champion"]
    assert registry.rollback("default_risk", TODAY) == versions[1]
    assert registry.champion("default_risk").version == versions[1]
    assert registry.rollback("default_risk", TODAY) == versions[0]
    with pytest.raises(ModelError, match="no earlier champion"):
        registry.rollback("default_risk", TODAY)


def test_what_was_gone_back_to_is_held_until_somebody_promotes(registry: ModelRegistry) -> None:
    versions = three(registry)
    assert hold_of(registry.row_for("default_risk")) is None
    registry.rollback("default_risk", TODAY, "odd scores")
    again = ModelRegistry(registry.root)
    row = again.row_for("default_risk")
    assert (row["version"], row["held_since"]) == (versions[1], TODAY.isoformat())
    es, en = hold_of(row)
    assert all(part in es and part in en for part in (versions[1], TODAY.isoformat(), "odd scores"))
    newest = again.register("default_risk", model(TODAY))
    again.decline("default_risk", newest, "not better", TODAY)
    assert hold_of(again.row_for("default_risk")) is not None
    # By hand, the same version: it stays in force and is let go.
    again.promote("default_risk", versions[1], "it is fine", TODAY)
    row = ModelRegistry(registry.root).row_for("default_risk")
    assert (row["version"], row["reason"]) == (versions[1], "it is fine")
    assert "held_since" not in row
    # Another one, after a second rollback: nothing of the hold is left on either.
    again.promote("default_risk", newest, "better", TODAY)
    again.rollback("default_risk", TODAY)
    again.promote("default_risk", newest, "the committee said so", TODAY)
    assert again.row_for("default_risk")["version"] == newest
    assert not any("held_since" in row for row in again.list())
    assert not any("held_since" in entry.tags for entry in again._ledger.entries())


def test_willingness_is_gone_back_to_and_not_held(registry: ModelRegistry) -> None:
    """Nothing that trains would keep to it: each model keeps the version that it was trained with."""
    parameters = FilterParameters(level_variance=1.2, persistence=0.9, trouble_variance=0.5)
    versions = [
        registry.register("willingness", WillingnessModel(date(2026, month, 1), 0.5, (0.0,) * GROUP_COUNT, parameters))
        for month in (4, 5, 6)
    ]
    for version in versions:
        registry.promote("willingness", version, "better", TODAY)
    assert registry.rollback("willingness", TODAY, "odd scores") == versions[1]
    row = registry.row_for("willingness")
    assert (row["version"], row["reason"]) == (versions[1], "odd scores")
    assert "held_since" not in row and hold_of(row) is None


def test_a_champion_chosen_in_mlflow_after_a_rollback_is_not_held(registry: ModelRegistry) -> None:
    three(registry)
    registry.rollback("default_risk", TODAY)
    registry._ledger._client.set_registered_model_alias("default_risk", "champion", "1")
    assert hold_of(registry.row_for("default_risk")) is None


@pytest.mark.parametrize("name", ["model.json", "card.json", "manifest.json"])
def test_changed_bytes_are_refused(registry: ModelRegistry, name: str) -> None:
    version = registry.register("default_risk", model())
    registry.promote("default_risk", version, "x", TODAY)
    path = registry.root / "default_risk" / version / name
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(ModelError, match="registered"):
        registry.champion("default_risk")


def test_a_missing_file_and_a_broken_registry_say_what_to_do(registry: ModelRegistry) -> None:
    version = registry.register("default_risk", model())
    registry.promote("default_risk", version, "x", TODAY)
    (registry.root / "default_risk" / version / "card.json").unlink()
    with pytest.raises(ModelError, match="roll back"):
        registry.champion("default_risk")
    (registry.root / DATABASE).write_bytes(b"not a database, and longer than its header" * 100)
    with pytest.raises(ModelError, match="restore it from a backup"):
        ModelRegistry(registry.root).champion("default_risk")


def test_a_manifest_that_matches_its_changed_files_is_still_refused(registry: ModelRegistry) -> None:
    from models.artifacts import file_digest

    version = registry.register("default_risk", model())
    folder = registry.root / "default_risk" / version
    changed = (folder / "model.json").read_bytes().replace(b"0.02", b"0.99")
    (folder / "model.json").write_bytes(changed)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.json"]["sha256"] = file_digest(changed)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=r"manifest\.json is not the one"):
        registry.load("default_risk", version)


def test_the_manifest_and_the_run_say_label_and_commit_and_the_version_does_not(registry: ModelRegistry) -> None:
    label = label_definition("default_risk", dbt_vars(Settings.model_validate(yaml.safe_load(settings_text()))))
    version = registry.register("default_risk", model(), label=label)
    assert version == model().version
    manifest = registry.manifest("default_risk", version)
    assert manifest["label"] == label
    assert manifest["git_commit"] == git_commit()
    tags = registry._ledger._client.search_runs(["1"])[0].data.tags
    assert (tags["label.table"], tags["label.sha256"]) == ("features.label_loan__default", label["sha256"])
    assert tags.get("git_commit") == git_commit()
    other = registry.register("default_risk", model(date(2026, 5, 1)))
    assert registry.manifest("default_risk", other)["label"] is None


@pytest.mark.parametrize("version", ["../../etc", "", ".hidden", "a/b"])
def test_a_version_is_never_a_path(registry: ModelRegistry, version: str) -> None:
    registry.register("default_risk", model())
    with pytest.raises(ModelError):
        registry.load("default_risk", version)
    with pytest.raises(ModelError):
        registry.manifest("default_risk", version)


def test_an_unknown_model_is_refused(registry: ModelRegistry) -> None:
    with pytest.raises(ModelError, match="not a model"):
        registry.register("horoscope", model())


def test_nothing_half_written_is_left_and_no_pickle_is_stored(registry: ModelRegistry) -> None:
    version = registry.register("default_risk", model())
    folder = registry.root / "default_risk" / version
    assert sorted(path.name for path in folder.iterdir()) == ["card.html", "card.json", "manifest.json", "model.json"]
    assert not [path for path in registry.root.rglob("*.new")]
    manifest = registry.manifest("default_risk", version)
    assert manifest["version"] == version
    assert set(manifest["libraries"]) >= {"lightgbm", "numpy", "pandas"}
    assert len(manifest["schema_hash"]) == 64
    assert ["gender", "category", "feature"] not in manifest["features"]


# --- MLflow ---------------------------------------------------------------------------------------------------------


def three(registry: ModelRegistry) -> list[str]:
    versions = [registry.register("default_risk", model(date(2026, month, 1))) for month in (4, 5, 6)]
    for version in versions:
        registry.promote("default_risk", version, "better", TODAY)
    return versions


def test_mlflow_shows_the_alias_the_tags_and_the_run(registry: ModelRegistry) -> None:
    versions = three(registry)
    client = registry._ledger._client
    champion = client.get_model_version_by_alias("default_risk", "champion")
    assert champion.tags["version"] == versions[2]
    assert champion.tags["status"] == "champion"
    assert client.get_model_version("default_risk", "1").tags["status"] == "retired"
    run = client.get_run(champion.run_id).data
    assert run.params["past_due_days"] == "90"
    assert run.metrics["default/row_count"] == 0
    assert run.tags["trained_as_of"] == "2026-06-01"
    assert len(run.tags["schema_hash"]) == 64
    assert run.tags["library.lightgbm"].startswith("4.")


def test_reading_directly_and_reading_through_mlflow_agree(registry: ModelRegistry) -> None:
    three(registry)
    registry.rollback("default_risk", TODAY, "ó 'quoted' {json}")
    registry.register("default_risk", model(TODAY))
    direct = registry._ledger.entries()
    assert len(direct) == 4
    assert sorted(direct, key=lambda one: one.number) == sorted(
        registry._ledger._read_through_mlflow(), key=lambda one: one.number
    )


def test_the_schema_that_the_installed_mlflow_makes_is_one_that_is_read_directly(empty_store: Path) -> None:
    assert Ledger(empty_store.parent)._read_directly() == []
    assert len(KNOWN_SCHEMAS) >= 1


def test_another_schema_is_read_through_mlflow(registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    version = three(registry)[2]
    monkeypatch.setattr("models.ledger.KNOWN_SCHEMAS", frozenset())
    assert registry._ledger._read_directly() is None
    assert registry.champion("default_risk").version == version


def test_reading_a_champion_does_not_import_mlflow_and_nothing_chatters(tmp_path: Path) -> None:
    write = """
import sys
from pathlib import Path
from datetime import date
from models.ledger import Ledger, Run
Ledger(Path(sys.argv[1])).add("default_risk", {"version": "a", "status": "challenger"}, Run("a", {}, {}, {}))
"""
    read = """
import sys
from pathlib import Path
from models.registry import ModelRegistry
assert ModelRegistry(Path(sys.argv[1])).row_for("default_risk") is None
assert "mlflow" not in sys.modules and "sqlalchemy" not in sys.modules
"""
    root = Path(__file__).parents[3]
    for script in (write, read):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], cwd=root, capture_output=True, text=True, check=True
        )
        assert done.stdout == ""
        assert done.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == [DATABASE]


def test_a_home_may_be_moved_and_no_path_of_the_machine_is_stored(registry: ModelRegistry, tmp_path: Path) -> None:
    versions = three(registry)
    elsewhere = tmp_path / "another machine" / "models #2"
    shutil.copytree(registry.root, elsewhere)
    shutil.rmtree(registry.root)
    moved = ModelRegistry(elsewhere)
    assert moved.champion("default_risk").version == versions[2]
    assert moved.rollback("default_risk", TODAY) == versions[1]
    assert moved.register("default_risk", model(TODAY)) not in versions
    assert not registry.root.exists()
    assert str(tmp_path).encode() not in (elsewhere / DATABASE).read_bytes()


class Crash(BaseException):
    """What a killed process looks like to the code."""


def crash_after(registry: ModelRegistry, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the given number of writes to MLflow happen, then die."""
    client, left = registry._ledger._client, [steps]
    for name in ("set_model_version_tag", "delete_model_version_tag", "set_registered_model_alias", "log_batch",
                 "create_run", "create_registered_model", "create_model_version", "set_terminated"):  # fmt: skip
        monkeypatch.setattr(client, name, _counted(getattr(client, name), left))


def _counted(real: Any, left: list[int]) -> Any:
    def call(*args: Any, **named: Any) -> Any:
        if left[0] == 0:
            raise Crash
        left[0] -= 1
        return real(*args, **named)

    return call


@pytest.mark.parametrize("decision", ["promote", pytest.param("rollback", marks=pytest.mark.slow)])
def test_a_crash_anywhere_leaves_the_old_decision_or_the_new_one(
    registry: ModelRegistry, decision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = three(registry)
    versions.append(registry.register("default_risk", model(TODAY)))
    before = registry.list()
    home = registry.root.with_name("kept")
    shutil.copytree(registry.root, home)

    def decide(of: ModelRegistry) -> None:
        if decision == "promote":
            of.promote("default_risk", versions[3], "new", TODAY)
        else:
            of.rollback("default_risk", TODAY, "back")

    decide(registry)
    after = registry.list()
    assert after != before
    seen = set()
    for steps in range(40):
        place = home.with_name(f"try{steps}")
        shutil.copytree(home, place)
        again = ModelRegistry(place)
        with monkeypatch.context() as patch:
            crash_after(again, steps, patch)
            try:
                decide(again)
                finished = True
            except Crash:
                finished = False
        rows = ModelRegistry(place).list()
        assert rows in (before, after)
        seen.add(rows == after)
        if rows == before:
            decide(again)
            assert again.list() == after
        if finished:
            break
    assert finished
    assert seen == {True, False}


def test_a_crash_while_registering_leaves_nothing_or_the_version(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for steps in range(6):
        place = registry.root.with_name(f"try{steps}")
        shutil.copytree(registry.root, place)
        again = ModelRegistry(place)
        with monkeypatch.context() as patch, pytest.raises(Crash):
            crash_after(again, steps, patch)
            again.register("default_risk", model())
        assert again.list() == []
        version = again.register("default_risk", model())
        assert [row["version"] for row in again.list()] == [version]
        client = again._ledger._client
        experiment = client.get_experiment_by_name("puntual")
        assert len(client.search_runs([experiment.experiment_id])) == 1


def test_an_alias_moved_by_hand_in_mlflow_is_a_decision_too(registry: ModelRegistry) -> None:
    versions = three(registry)
    newest = registry.register("default_risk", model(TODAY))
    client = registry._ledger._client
    client.set_registered_model_alias("default_risk", "champion", "4")
    assert registry.row_for("default_risk")["version"] == newest
    assert registry.row_for("default_risk")["reason"] == "chosen in MLflow"
    assert [row["status"] for row in registry.list()] == ["retired", "retired", "retired", "champion"]
    assert registry.rollback("default_risk", TODAY) == versions[2]
    client.set_registered_model_alias("default_risk", "champion", "1")
    assert registry.champion("default_risk").version == versions[0]
    assert registry.row_for("default_risk", date(2026, 5, 15))["version"] == versions[0]


OLD_ROWS = ("retired", "champion", "challenger")


def old_home(registry: ModelRegistry) -> tuple[list[str], list[dict[str, Any]]]:
    """The folders of three models and the ``registry.json`` that the release before wrote for them."""
    versions = three(registry)
    rows = registry.list()
    for row, status in zip(rows, OLD_ROWS, strict=True):
        row["status"] = status
    rows[1] |= {"place": 2, "reason": "older"}
    rows[1].pop("retired_on", None)
    rows[2] |= {"reason": "registered", "decided_on": None}
    rows[2].pop("place")
    (registry.root / "registry.json").write_text(json.dumps({"models": rows}), encoding="utf-8")
    return versions, rows


def test_an_older_registry_is_taken_over_once_and_nothing_is_lost(
    tmp_path: Path, empty_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = tmp_path / "first"
    first.mkdir()
    shutil.copy(empty_store, first / DATABASE)
    versions, rows = old_home(ModelRegistry(first))
    shutil.copy(empty_store, first / DATABASE)
    home = ModelRegistry(first.rename(tmp_path / "old"))
    with caplog.at_level(logging.WARNING):
        assert home.list() == rows
    assert "3 versions were taken over" in caplog.text
    assert home.champion("default_risk").version == versions[1]
    assert not (home.root / "registry.json").exists()
    kept = json.loads((home.root / "registry.json.migrated").read_text(encoding="utf-8"))
    assert kept["models"] == rows
    client = home._ledger._client
    assert client.get_model_version_by_alias("default_risk", "champion").tags["version"] == versions[1]
    assert client.get_run(client.get_model_version("default_risk", "3").run_id).data.params["past_due_days"] == "90"
    caplog.clear()
    assert ModelRegistry(home.root).list() == rows
    assert caplog.text == ""
    assert home.rollback("default_risk", TODAY) == versions[0]


@pytest.mark.slow
def test_a_crash_while_taking_over_is_finished_the_next_time(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first"
    first.mkdir()
    shutil.copy(empty_store, first / DATABASE)
    _, rows = old_home(ModelRegistry(first))
    shutil.copy(empty_store, first / DATABASE)
    for steps in (0, 3, 7, 11, 14):
        place = tmp_path / f"try{steps}"
        shutil.copytree(first, place)
        again = ModelRegistry(place)
        with monkeypatch.context() as patch, pytest.raises(Crash):
            crash_after(again, steps, patch)
            again.list()
        assert ModelRegistry(place).list() == rows


def test_an_older_registry_that_cannot_be_read_is_not_thrown_away(registry: ModelRegistry) -> None:
    (registry.root / "registry.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="restore it from a backup"):
        registry.list()
    assert (registry.root / "registry.json").exists()


@pytest.mark.parametrize(
    "uri", ["postgresql://ana:s3cret@127.0.0.1:9/models", "postgresql://ana:s3c%40ret@127.0.0.1:9/models"]
)
def test_a_store_that_does_not_answer_is_named_without_its_password(tmp_path: Path, uri: str) -> None:
    ledger = Ledger(tmp_path, uri)
    assert "s3c" not in ledger.shown
    ledger.__dict__["_client"] = Unreachable(uri)
    with pytest.raises(ModelError, match=r"registry\.uri") as found:
        ledger.entries()
    assert "s3c" not in str(found.value)
    assert "ana" in str(found.value)
    assert found.value.__cause__ is None


class Unreachable:
    """A client whose server says no, with the whole address in its message."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def search_registered_models(self, **_: Any) -> Any:
        raise RuntimeError(f"could not connect to {self.uri} with {unquote(urlsplit(self.uri).password)}")


def test_a_prefix_keeps_two_institutions_apart_in_one_store(registry: ModelRegistry) -> None:
    one, other = Ledger(registry.root, prefix="andina."), Ledger(registry.root, prefix="valle.")
    one.add("default_risk", {"version": "a"}, Run("a", {}, {}, {}))
    assert [entry.model for entry in one.entries()] == ["default_risk"]
    assert other.entries() == []
    assert [entry.model for entry in Ledger(registry.root).entries()] == ["andina.default_risk"]


@pytest.mark.slow
def test_a_postgresql_database_serves_as_the_store(tmp_path: Path, postgres_url: str) -> None:
    registry = ModelRegistry(tmp_path / "models", postgres_url, "andina.")
    versions = three(registry)
    assert registry.rollback("default_risk", TODAY) == versions[1]
    other = ModelRegistry(tmp_path / "models", postgres_url, "andina.")
    assert [row["status"] for row in other.list()] == ["retired", "champion", "retired"]
    assert other.champion("default_risk").version == versions[1]
    assert ModelRegistry(tmp_path / "models", postgres_url, "valle.").list() == []
    assert not (tmp_path / "models" / DATABASE).exists()
