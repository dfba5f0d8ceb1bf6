"""The digest of a label follows its SQL and the settings that it reads; the commit is that of the product's checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from models.provenance import BENEATH, LABELS, git_commit, label_definition
from models.registry import CLASSES
from puntual.errors import ModelError
from puntual.paths import DBT_PROJECT, PROJECT_ROOT

VARIABLES = {
    **{"tolerance_amount": "1.00", "allocation_order": ["interest"], "due_day_is_past_due": False},
    **{"timezone": "America/Guayaquil", "promise_tolerance_share": 0.0},
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


UNREAD = {"default_risk": {"response_window_days"}}
"""What int_loans__arrears reads for its column due_next_window_amount, of which this label takes nothing."""


def _variables_behind(label: str) -> dict[str, str]:
    """Each variable that the label's SQL, or a model or macro beneath it, reads: and the way there."""
    files = (DBT_PROJECT / "models").rglob("*.sql")
    sources = {("model", file.stem): file.read_text(encoding="utf-8") for file in files}
    for file in (DBT_PROJECT / "macros").rglob("*.sql"):
        content = file.read_text(encoding="utf-8")
        for found in re.finditer(r"{%-?\s*macro\s+(\w+)\((.*?){%-?\s*endmacro", content, re.DOTALL):
            sources["macro", found[1]] = found[2]
    macros = [name for kind, name in sources if kind == "macro"]
    read: dict[str, str] = {}
    ways = {("model", label): label}
    todo = list(ways)
    while todo:
        node = todo.pop()
        content = re.sub(r"{#.*?#}", "", sources[node], flags=re.DOTALL)
        for variable in re.findall(r"""\bvar\(\s*['"](\w+)['"]""", content):
            read.setdefault(variable, ways[node])
        called = set(re.findall(r"\b(\w+)\(", content))
        # a macro of an engine is called by the name after its prefix
        below = [("macro", name) for name in macros if {name, name.split("__", 1)[-1]} & called]
        below += [("model", name) for name in re.findall(r"""\bref\(\s*['"](\w+)['"]""", content)]
        for found_node in below:
            if found_node in sources and found_node not in ways:
                ways[found_node] = f"{ways[node]} > {found_node[1]}"
                todo.append(found_node)
    return read


@pytest.mark.parametrize("name", sorted(LABELS))
def test_every_variable_beneath_a_label_is_recorded(name: str) -> None:
    behind = _variables_behind(LABELS[name])
    recorded = set(label_definition(name, VARIABLES)["settings"])
    missed = {variable: way for variable, way in behind.items() if variable not in recorded | UNREAD.get(name, set())}
    assert not missed
    assert recorded <= set(behind)
    assert set(BENEATH) == set(LABELS) and UNREAD.get(name, set()) <= set(behind) - recorded


def test_what_makes_a_promise_kept_and_who_is_near_arrears_is_in_the_digest() -> None:
    for name, changed in (
        ("kept_promise", {"promise_tolerance_share": 0.1}),
        ("kept_promise", {"promise_grace_days": 5}),
        ("recovery", {"response_window_days": 9}),
        ("willingness", {"timezone": "America/Lima"}),
    ):
        assert label_definition(name, VARIABLES | changed)["sha256"] != label_definition(name, VARIABLES)["sha256"]
    assert label_definition("recovery", VARIABLES | {"promise_tolerance_share": 0.1}) == label_definition(
        "recovery", VARIABLES
    )


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
