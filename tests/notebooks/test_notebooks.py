"""The notebooks run from top to bottom on a published day, change nothing in it, and are stored without output."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient.exceptions import CellExecutionError

from models.contact_channel.card import LEARNERS
from tests.notebooks.execute import NOTEBOOKS, ROOT, executed

TOPICS = ["portfolio_exploration", "default_risk", "channel_effect", "capacity_and_policy", "bring_your_own_data"]
PLOTLY = "application/vnd.plotly.v1+json"
NAMES = [file.stem for file in NOTEBOOKS]
LONG = ("02", "03", "05")
"""Notebooks that learn anew; the others read what a day published."""
SAYS = {"03": ("factor usado", "El plan prometió")}
"""What a notebook must have told by its end."""


def stored(file: Path) -> nbformat.NotebookNode:
    return nbformat.read(file, as_version=4)


def text_of(notebook: nbformat.NotebookNode) -> str:
    """All that a notebook printed or displayed as text."""
    parts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                parts.append(output.text)
            else:
                parts += [str(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(parts)


def files_of(home: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(home)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


# ------------------------------------------------------------------------------------------------- as they are stored


def test_there_are_the_five_that_are_announced():
    assert [f"{number:02d}_{topic}" for number, topic in enumerate(TOPICS, start=1)] == NAMES


@pytest.mark.parametrize("file", NOTEBOOKS, ids=NAMES)
def test_it_is_stored_without_output_and_without_traces_of_a_run(file):
    notebook = stored(file)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert dict(notebook.metadata.kernelspec) == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert dict(notebook.metadata.language_info) == {"name": "python"}
    for cell in notebook.cells:
        assert cell.metadata == {}, cell.id
        if cell.cell_type == "code":
            assert cell.outputs == [], f"{cell.id} has output; clear it before you commit"
            assert cell.execution_count is None, f"{cell.id} has an execution count; clear it before you commit"


@pytest.mark.parametrize("file", NOTEBOOKS, ids=NAMES)
def test_every_heading_is_in_spanish_with_a_line_of_english_below(file):
    texts = [cell.source for cell in stored(file).cells if cell.cell_type == "markdown"]
    headings = [text for text in texts if text.startswith("#")]
    assert headings[0].startswith(f"# {file.name[:2]} · ")
    assert "**Para qué.**" in headings[0]
    assert "**Cómo abrirlo.**" in headings[0]
    assert headings[-1].startswith("## Conclusión")
    for text in headings:
        assert re.match(r"#+ [^\n]+\n\*[^*\n]+\*(\n|$)", text), text.splitlines()[0]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=NAMES)
def test_it_names_no_network_address(file):
    for cell in stored(file).cells:
        assert not re.search(r"https?://|cdn", cell.source, flags=re.IGNORECASE), cell.id


# ------------------------------------------------------------------------------------------------- on a published day


@pytest.mark.parametrize(
    "file",
    [pytest.param(file, id=file.stem, marks=pytest.mark.long if file.stem[:2] in LONG else ()) for file in NOTEBOOKS],
)
def test_it_runs_from_top_to_bottom_and_changes_nothing(file, finished_home, tmp_path):
    before = files_of(finished_home)
    source = file.read_bytes()
    notebook = executed(file, finished_home, tmp_path)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    warned = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert warned == []
    figures = [output.data[PLOTLY] for output in outputs if PLOTLY in output.get("data", {})]
    assert figures
    assert all(figure["data"] and figure["layout"].get("title", {}).get("text") for figure in figures)
    assert "<script" not in text_of(notebook)
    for words in SAYS.get(file.stem[:2], ()):
        assert words in text_of(notebook)
    axes = json.dumps([trace.get("y") for figure in figures for trace in figure["data"]])
    assert [code for code in LEARNERS if f'"{code}"' in axes] == []
    assert files_of(finished_home) == before
    assert list(tmp_path.iterdir()) == []
    assert file.read_bytes() == source


def only_published(finished_home: Path, home: Path) -> Path:
    """A home that has nothing but a copy of what is published, to be changed; the folder of the copy."""
    folder = home / "published" / "current"
    shutil.copytree((finished_home / "published" / "current").resolve(), folder)
    return folder


def what_if(home: Path, work: Path) -> str:
    """What the notebook on capacities says of a home."""
    work.mkdir()
    return text_of(executed(ROOT / "notebooks" / "04_capacity_and_policy.ipynb", home, work))


def test_the_capacities_of_a_day_on_the_ladder_are_counted_without_money(finished_home, tmp_path):
    """With the channel model off there are no gains; the notebook says so and counts contacts."""
    folder = only_published(finished_home, tmp_path / "home")
    for name in ("decision_details", "decisions", "prices"):
        file = folder / f"{name}.parquet"
        frame = pd.read_parquet(file)
        money = ["gain_amount", "net_amount", "price_amount", "reach_probability", "expected_gain_amount"]
        frame = frame.assign(**{column: float("nan") for column in money if column in frame})
        frame = frame.assign(**({"is_supported": False} if "is_supported" in frame else {}))
        frame.to_parquet(file)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["channel_model"] = {"status": "off", "reason": "no outbound contact is recorded"}
    manifest["summary"]["planned_value_amount"] = None
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    said = what_if(tmp_path / "home", tmp_path / "cwd")
    assert "El modelo de canal está apagado" in said
    assert "no outbound contact is recorded" in said
    assert "Primero el modelo" in said


def test_members_whom_an_experiment_leaves_alone_are_no_part_of_the_plan(finished_home, tmp_path):
    """Those whom nobody may contact anyway, so that the plan of the others is still the published one."""
    folder = only_published(finished_home, tmp_path / "home")
    details = pd.read_parquet(folder / "decision_details.parquet")
    reachable = details.groupby("customer_id")["is_allowed"].any()
    decisions = pd.read_parquet(folder / "decisions.parquet")
    held = decisions["customer_id"].map(~reachable).to_numpy(dtype=bool) & ~decisions["is_exploration"].to_numpy(bool)
    assert held.any()
    decisions["experiment_id"] = pd.Series("reserva", index=decisions.index).where(held)
    decisions["arm_code"] = pd.Series("sin_contacto", index=decisions.index).where(held)
    decisions.to_parquet(folder / "decisions.parquet")
    experiments = tmp_path / "home" / "experiments"
    experiments.mkdir()
    (experiments / "reserva.yaml").write_text(
        "{id: reserva, title: {es: Reserva, en: Hold-out}, salt: s, control: sin_contacto, start: 2026-01-01,"
        " end: 2026-12-31, arms: [{code: puntual, share: 0.9, policy: puntual},"
        " {code: sin_contacto, share: 0.1, policy: hold_out}]}",
        encoding="utf-8",
    )
    said = what_if(tmp_path / "home", tmp_path / "cwd")
    assert f"{held.sum()} en otro brazo de un experimento" in said
    assert "decisiones iguales a las publicadas: 100.00%" in said


def test_without_a_home_it_says_what_to_set(tmp_path):
    with pytest.raises(CellExecutionError, match="Nothing is published"):
        executed(NOTEBOOKS[0], tmp_path, tmp_path)


@pytest.mark.slow
def test_the_example_cooperative_gets_its_whole_day_and_agrees_with_its_core(finished_home, tmp_path, monkeypatch):
    file = ROOT / "notebooks" / "05_bring_your_own_data.ipynb"
    switched = tmp_path / file.name
    text = file.read_text(encoding="utf-8")
    assert text.count("RUN_THE_DAY = False\\n") + text.count('"RUN_THE_DAY = False"') == 1
    switched.write_text(text.replace('"RUN_THE_DAY = False"', '"RUN_THE_DAY = True"'), encoding="utf-8")
    work = tmp_path / "cwd"
    work.mkdir()
    said = text_of(executed(switched, finished_home, work))
    assert "Conciliación: passed" in said
    assert ", 0 sin explicar" in said
