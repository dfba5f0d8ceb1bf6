import fcntl
from datetime import date

import pytest

import models.lab.write
from models.lab.write import DemoSummary
from puntual.errors import PuntualError, UsageError
from puntual.homes import create_demo, create_home
from puntual.lock import exclusive
from puntual.paths import Home

AS_OF = date(2026, 6, 30)


def write_little(home, *, members, seed, as_of):
    """Stands for the simulation, whose content does not matter here."""
    (home / "landing").mkdir()
    (home / "landing" / "loans.csv").write_text(f"{seed}")
    (home / "truth" / "truth.parquet").write_text(f"{seed}")
    return DemoSummary(home, as_of, seed, {}, 0, 0, {"call": {"cost": 0.45}})


@pytest.fixture(autouse=True)
def _little_demo(monkeypatch):
    monkeypatch.setattr(models.lab.write, "write_demo", write_little)
    monkeypatch.setattr(DemoSummary, "__str__", lambda self: "a little demo")


def demo(home, seed=1):
    return create_demo(home, members=50, seed=seed, as_of=AS_OF)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_demo_is_made_in_a_new_and_in_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    for home in (tmp_path / "new" / "demo", tmp_path / "empty"):
        assert demo(home) == "a little demo"
        assert (home / "puntual.yaml").exists()


def test_a_demo_is_replaced_with_all_that_its_runs_left(tmp_path):
    demo(tmp_path)
    for folder in ("warehouse", "artifacts/models", "published", "quarantine", "reports", "dagster", ".dbt"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "old").write_text("old")
    (tmp_path / "truth" / "old").mkdir()
    demo(tmp_path, seed=2)
    assert not list(tmp_path.rglob("old"))
    assert (tmp_path / "landing" / "loans.csv").read_text() == "2"


@pytest.mark.parametrize(
    "kept",
    ["puntual.yaml", "landing/loans.csv", "reports/thesis.pdf", "truth/truth.parquet", "dagster/run.py", ".env"],
)
def test_a_folder_that_is_no_demo_is_refused_and_untouched(tmp_path, kept):
    file = tmp_path / kept
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="neither empty nor a demo"):
        demo(tmp_path)
    assert contents(tmp_path) == before


def test_an_interrupted_demo_can_be_made_again(tmp_path, monkeypatch):
    def interrupted(home, **_):
        (home / "landing").mkdir()
        raise KeyboardInterrupt

    for made_before in (False, True):
        home = tmp_path / str(made_before)
        with monkeypatch.context() as patch:
            if made_before:
                demo(home)
            patch.setattr(models.lab.write, "write_demo", interrupted)
            with pytest.raises(KeyboardInterrupt):
                demo(home)
        assert not (home / "puntual.yaml").exists()
        demo(home)
        assert (home / "puntual.yaml").exists()


def test_a_demo_is_not_replaced_under_a_run(tmp_path):
    demo(tmp_path)
    before = contents(tmp_path / "landing")
    with Home(tmp_path).lock_file.open("w") as held_elsewhere:
        fcntl.flock(held_elsewhere, fcntl.LOCK_EX)
        with pytest.raises(PuntualError, match="working in"):
            demo(tmp_path, seed=2)
    assert contents(tmp_path / "landing") == before


def test_the_lock_of_a_demo_that_never_began_is_not_content(tmp_path):
    with exclusive(Home(tmp_path)):
        pass
    assert Home(tmp_path).lock_file.exists()
    demo(tmp_path)


@pytest.mark.parametrize("below", ["", "coop", "branches/coop"])
def test_a_file_in_the_way_of_a_home_is_named(tmp_path, below):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt is a file, not a folder"):
        create_home(
            file / below, name="Coop", country="EC", timezone="America/Guayaquil", currency="USD", language="es"
        )
    with pytest.raises(UsageError, match=r"notes\.txt is a file, not a folder"):
        demo(file / below)
    assert file.read_text() == "mine"
