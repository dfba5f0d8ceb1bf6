"""The digest of a label follows its SQL and the settings that it reads; the commit is that of the product's checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from models.provenance import LABELS, git_commit, label_definition
from models.registry import CLASSES
from puntual.errors import ModelError
from puntual.paths import DBT_PROJECT, PROJECT_ROOT

VARIABLES = {
    **{"tolerance_amount": "1.00", "allocation_order": ["interest"], "due_day_is_past_due": False},
    **{"promise_grace_days": 3, "default_past_due_days": 90, "default_horizon_days": 182, "early_past_due_days": 30},
    **{"early_horizon_days": 91, "response_window_days": 7, "expected_recovery_horizon_days": 30},
    **{"willingness_weeks": 104, "country": "EC"},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("models", "macros"):
        shutil.copytree(DBT_PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.yml"))
    return tmp_path


def test_every_model_has_a_label_whose_definition_is_found() -> None:
    assert set(LABELS) == set(CLASSES)
    found = {name: label_definition(name, VARIABLES) for name in LABELS}
    assert len({one["sha256"] for one in found.values()}) == len(LABELS)
    assert len({one["project_sha256"] for one in found.values()}) == 1
    assert found["default_risk"]["settings"]["default_past_due_days"] == 90
    assert "country" not in found["default_risk"]["settings"]


def test_the_digest_follows_the_sql_and_the_settings_that_count(project: Path) -> None:
    before = label_definition("default_risk", VARIABLES, project)
    assert label_definition("default_risk", dict(reversed(VARIABLES.items())), project) == before
    assert label_definition("default_risk", VARIABLES | {"country": "PE", "response_window_days": 9}, project) == before
    for changed in ({"default_past_due_days": 60}, {"due_day_is_past_due": True}):
        after = label_definition("default_risk", VARIABLES | changed, project)
        assert after["sha256"] != before["sha256"] and after["sql_sha256"] == before["sql_sha256"]
    beneath = next((project / "models" / "intermediate").rglob("int_loans__past_due_spells.sql"))
    beneath.write_text(beneath.read_text() + "-- another", encoding="utf-8")
    after = label_definition("default_risk", VARIABLES, project)
    assert after["sha256"] == before["sha256"] and after["project_sha256"] != before["project_sha256"]
    label = project / "models" / "features" / "label_loan__default.sql"
    label.write_text(label.read_text().replace("entered_date <=", "entered_date <"), encoding="utf-8")
    after = label_definition("default_risk", VARIABLES, project)
    assert after["sha256"] != before["sha256"] and after["sql_sha256"] != before["sql_sha256"]


def test_what_is_missing_is_named(project: Path) -> None:
    with pytest.raises(ModelError, match=r"horoscope.*no label"):
        label_definition("horoscope", VARIABLES)
    few = {name: value for name, value in VARIABLES.items() if name != "early_horizon_days"}
    with pytest.raises(ModelError, match=r"early_horizon_days.*not given"):
        label_definition("default_risk", few)
    (project / "models" / "features" / "label_loan__default.sql").unlink()
    with pytest.raises(ModelError, match="install the product again"):
        label_definition("default_risk", VARIABLES, project)


def test_the_commit_is_that_of_the_checkout_or_not_known(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / ".git").write_text("gitdir: nowhere", encoding="utf-8")
    assert git_commit(tmp_path / "broken") is None
    known = git_commit(PROJECT_ROOT)
    assert known is None or re.fullmatch("[0-9a-f]{40}(-dirty)?", known)
    if shutil.which("git") is None:
        return
    home = tmp_path / "checkout"
    home.mkdir()
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "first"],
    ):
        subprocess.run(["git", *command], cwd=home, check=True)
    assert re.fullmatch("[0-9a-f]{40}", git_commit(home))
