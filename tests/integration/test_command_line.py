"""What a newcomer types: exit codes, messages, and nothing heavy loaded for a question."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest


def puntual(*arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "puntual.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, **options)


@pytest.mark.parametrize(
    "command",
    [
        "init",
        "demo",
        "run",
        "backfill",
        "train",
        "validate",
        "export",
        "doctor",
        "dash",
        "dagster",
        "docs",
        "powerbi",
        "init-db",
    ],
)
def test_every_command_explains_itself_with_an_example(command):
    done = puntual(command, "--help")
    assert done.returncode == 0
    assert f"Example: puntual {command}" in " ".join(done.stdout.split())


def test_help_and_init_load_nothing_heavy(tmp_path):
    heavy = {"pandas", "dagster", "dbt", "lightgbm", "great_expectations", "streamlit", "duckdb", "sklearn", "numpy"}
    program = (
        "import sys\nfrom puntual.cli import app\n"
        f"sys.argv = ['puntual', 'init', {str(tmp_path / 'coop')!r}]\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"loaded = {heavy!r} & set(sys.modules)\nassert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "coop" / "puntual.yaml").exists()


def test_init_does_not_overwrite(tmp_path):
    assert puntual("init", str(tmp_path / "coop")).returncode == 0
    again = puntual("init", str(tmp_path / "coop"))
    assert again.returncode == 2
    assert "already exists" in again.stderr


def test_a_wrong_date_is_a_usage_error(tmp_path):
    puntual("init", str(tmp_path / "coop"))
    done = puntual("run", str(tmp_path / "coop"), "--as-of", "30/06/2026")
    assert done.returncode == 2
    assert "write it as 2026-06-30" in done.stderr


def test_an_unknown_option_is_a_usage_error():
    assert puntual("run", "--nonsense").returncode == 2


@pytest.mark.slow
def test_an_empty_landing_folder_is_said_without_a_traceback(tmp_path):
    puntual("init", str(tmp_path / "coop"))
    done = puntual("run", str(tmp_path / "coop"), "--as-of", "2026-06-30")
    assert done.returncode == 1
    assert "customers" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "coop" / "published" / "current").exists()


def test_validate_says_what_would_be_rejected(demo_home, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(demo_home, home)
    done = puntual("validate", str(home), "--as-of", "2026-06-30")
    assert done.returncode == 0, done.stderr
    assert "payments" in done.stdout
    assert not (home / "warehouse" / "puntual.duckdb").exists()


def test_doctor_finds_a_healthy_and_an_altered_home(finished_home, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(finished_home, home, symlinks=True)
    assert puntual("doctor", str(home)).returncode == 0
    (home / "published" / "current" / "decisions.parquet").write_bytes(b"altered")
    done = puntual("doctor", str(home))
    assert done.returncode == 1
    assert "decisions.parquet: altered" in " ".join(done.stdout.split())


@pytest.mark.long
def test_docs_writes_one_page_with_every_table(finished_home, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(finished_home, home, symlinks=True)
    done = puntual("docs", str(home))
    assert done.returncode == 0, done.stderr
    page = (home / "docs" / "warehouse.html").read_text(encoding="utf-8")
    assert "fct_loan_as_of" in page
    assert "Past-due days" in page or "past-due" in page
