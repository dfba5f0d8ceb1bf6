"""The commands of experiments on a home with a small published day."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from puntual.cli import main
from puntual.experiments.registry import load_experiments
from puntual.experiments.report import report
from puntual.homes import create_home
from puntual.paths import Home
from tests.unit.experiments.test_registry import write
from tests.unit.experiments.test_report import START, book


@pytest.fixture
def place(tmp_path: Path) -> Home:
    return create_home(
        tmp_path / "coop", name="Coop", country="EC", timezone="America/Guayaquil", currency="USD", language="es"
    )


def publish(place: Home, as_of: date) -> None:
    """A day of 400 members in the product's arm, each of whom pays 6 more than the 100 held out."""
    registered = load_experiments(place.experiments)
    frame = report(registered, *book(6.0), as_of)
    folder = place.published / "day"
    (folder / "bi").mkdir(parents=True)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / "bi" / "rpt_experiments.parquet")
    entries = {
        one.experiment.id: {"fingerprint": one.fingerprint, "end_date": one.experiment.end.isoformat()}
        for one in registered
        if one.experiment.enabled
    }
    manifest = {"as_of_date": as_of.isoformat(), "files": {}, "experiments": entries}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    place.current.symlink_to("day")


def called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["puntual", "experiment", *words])
    with pytest.raises(SystemExit) as left:
        main()
    shown = capsys.readouterr()
    return int(left.value.code or 0), " ".join((shown.out + shown.err).split())


def test_a_new_home_has_an_example_that_is_valid_and_off(place, monkeypatch, capsys):
    assert [one.experiment.enabled for one in load_experiments(place.experiments)] == [False]
    code, text = called(monkeypatch, capsys, "check", str(place.root))
    assert code == 0 and "Archivos de experimentos: 1, todos válidos" in text
    code, text = called(monkeypatch, capsys, "list", str(place.root), "--language", "en")
    assert code == 0 and "Hold-out" in text and " off " in text


def test_the_report_says_arms_ratio_verdict_and_money(place, monkeypatch, capsys):
    write(place.experiments, metric={"window_days": 7})
    publish(place, START + timedelta(days=30))
    code, text = called(monkeypatch, capsys, "report", str(place.root), "one", "--language", "en")
    assert code == 0
    assert "One (one) · enrolling · measured to 2026-07-31, 7 days of each member" in text
    assert "Sample ratio: sound (p 1.0000; at every look 1.0000)." in text
    assert "product: BETTER than the control, at every look." in text
    assert "incremental recovery 2,400.00" in text and "400 members" in text
    code, text = called(monkeypatch, capsys, "report", str(place.root), "one")
    assert "MEJOR que el control" in text and "held: grupo de control" in text


def test_what_cannot_be_reported_is_said(place, monkeypatch, capsys):
    write(place.experiments)
    code, text = called(monkeypatch, capsys, "report", str(place.root), "one")
    assert code == 1 and "Nothing is published" in text
    publish(place, START + timedelta(days=3))
    code, text = called(monkeypatch, capsys, "report", str(place.root), "nothing")
    assert code == 2 and "There are: ejemplo, one" in text
    code, text = called(monkeypatch, capsys, "report", str(place.root), "ejemplo", "--language", "en")
    assert code == 0 and "has no measure as of 2026-07-04" in text
    code, text = called(monkeypatch, capsys, "report", str(place.root), "one", "--as-of", "2026-01-01")
    assert code == 2 and "No snapshot of 2026-01-01" in text


def test_check_finds_a_bad_file_and_a_bent_experiment(place, monkeypatch, capsys):
    write(place.experiments)
    publish(place, START + timedelta(days=3))
    assert called(monkeypatch, capsys, "check", str(place.root))[0] == 0
    write(place.experiments, salt="another")
    code, text = called(monkeypatch, capsys, "check", str(place.root))
    assert code == 2 and "was running on 2026-07-04 and has been changed since" in text
    write(place.experiments, colour="red")
    code, text = called(monkeypatch, capsys, "check", str(place.root))
    assert code == 2 and "colour: unknown key" in text
