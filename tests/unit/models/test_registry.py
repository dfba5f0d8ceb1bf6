from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from models.default_risk.score import DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import prior_curve
from models.registry import ModelRegistry
from puntual.errors import ModelError

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


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
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
    (registry.root / "registry.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="restore it from a backup"):
        registry.champion("default_risk")


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
