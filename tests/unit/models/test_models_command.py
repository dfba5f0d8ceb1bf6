"""``puntual models`` on a home with three versions."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.default_risk.score import DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import prior_curve
from models.registry import ModelRegistry
from puntual.cli import app
from puntual.errors import UsageError
from puntual.paths import Home
from puntual.settings import load_settings, settings_text


def model(month: int) -> DefaultRiskModel:
    return DefaultRiskModel(
        date(2026, month, 1), DefaultRiskSettings(), {}, {"default": prior_curve(90), "early_warning": prior_curve(30)}
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    home = Home(tmp_path_factory.mktemp("home"))
    home.settings_file.write_text(settings_text(), encoding="utf-8")
    registry = ModelRegistry(home.models)
    versions = [registry.register("default_risk", model(month)) for month in (4, 5, 6)]
    registry.promote("default_risk", versions[0], "first", date(2026, 4, 1))
    registry.promote("default_risk", versions[1], "second", date(2026, 5, 1))
    return home.root, versions


def said(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["models", *map(str, arguments)], catch_exceptions=False, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_promote_and_go_back_in_one_command_each(made: tuple[Path, list[str]]) -> None:
    home, versions = made
    registry = ModelRegistry(Home(home).models)
    shown = said("list", home)
    assert "campeón" in shown
    assert "aspirante" in shown
    assert all(version in shown for version in versions)
    assert f"{versions[1]} campeón datos hasta 2026-05-01 decidido el 2026-05-01 second" in shown
    assert "campeona" in said("promote", home, "default_risk", versions[2][:10], "--reason", "comité")
    row = registry.row_for("default_risk")
    assert (row["version"], row["reason"]) == (versions[2], "comité")
    assert "nada cambió" in said("promote", home, "default_risk", versions[2])
    assert "antes que la campeona" in said("promote", home, "default_risk", versions[0])
    back = said("rollback", home, "default_risk")
    assert versions[1] in back and f"puntual models promote {home} default_risk VERSIÓN" in back
    assert registry.row_for("default_risk")["version"] == versions[1]
    assert f"{versions[1]} campeón, fijado" in said("list", home)
    assert "ya no está fijada" in said("promote", home, "default_risk", versions[1])
    assert "fijado" not in said("list", home)
    assert "nada cambió" in said("promote", home, "default_risk", versions[1])


def test_a_home_without_models_says_how_to_train_them(tmp_path: Path) -> None:
    Home(tmp_path).settings_file.write_text(settings_text(), encoding="utf-8")
    assert said("list", tmp_path).startswith("Todavía no hay modelos")


def test_what_does_not_exist_is_named(made: tuple[Path, list[str]]) -> None:
    home, versions = made
    with pytest.raises(UsageError, match="no model 'contact_channel' in this home; there are: default_risk"):
        said("list", home, "--model", "contact_channel")
    with pytest.raises(UsageError, match="no model 'horoscope' in this home; there are: default_risk"):
        said("rollback", home, "horoscope")
    with pytest.raises(UsageError, match=f"no version begins with 'zz': .*{versions[0]}"):
        said("promote", home, "default_risk", "zz")
    with pytest.raises(UsageError, match="puntual init"):
        said("list", home / "nowhere")


def test_an_address_that_is_no_store_is_refused_without_showing_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    text = settings_text()
    assert 'uri: ""' in text
    home.settings_file.write_text(text.replace('uri: ""', 'uri: "mysql://ana:s3cret@db/x"'), encoding="utf-8")
    with pytest.raises(UsageError, match=r"registry\.uri: must be empty") as found:
        load_settings(home)
    assert "s3cret" not in str(found.value)
    home.settings_file.write_text(text.replace('uri: ""', 'uri: "postgresql://ana@db/x"'), encoding="utf-8")
    assert load_settings(home).registry.uri == "postgresql://ana@db/x"


def test_help_answers_without_the_models() -> None:
    import subprocess
    import sys

    script = "import sys; from puntual.cli import app; assert not {'mlflow', 'pandas', 'models'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])
