"""A home with one published day, made by hand: its lists are real, its decisions those of the decision tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from puntual.homes import create_home
from puntual.lists.rows import ListSettings, contact_rows
from puntual.lists.texts import load_reason_texts
from puntual.lists.worklists import write_worklists
from puntual.paths import Home
from puntual.publish import publish
from puntual.settings import load_settings
from puntual.worklists.imports import Desk
from tests.unit.decision import worlds
from tests.unit.decision.test_decide import book, run, team
from tests.unit.decision.worlds import POLICIES, TUESDAY

SETTINGS = ListSettings("Cooperativa Los Andes", "es", "USD", worlds.QUITO)
NOW = datetime(2026, 6, 30, 23, 0)  # noqa: DTZ001 - UTC, as the warehouse has it; 18:00 in Quito
BUCKETS = pd.DataFrame({"bucket_code": ["0", "1-30", "31+"], "min_days": [0, 1, 31], "max_days": [0, 30, None]})
HEADINGS = {
    "outcome": "Resultado",
    "contact_time": "Hora del contacto",
    "promise_date": "Fecha de la promesa",
    "promise_amount": "Monto de la promesa",
    "notes": "Observaciones",
    "row_id": "Código de fila",
    "customer_id": "Código del socio",
    "channel": "Canal",
}
Fill = Callable[..., Path]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home; shared, so copy it before changing anything."""
    inputs = book(60)
    inputs["collectors"] = team({}, {"collector_id": "g1", "full_name": "Luis"})
    inputs["channel_scores"]["gain_amount"] = inputs["channel_scores"]["gain_amount"].abs() + 5
    calls = inputs["channel_scores"]["channel_code"].isin(["call", "visit"])
    inputs["channel_scores"].loc[calls, "gain_amount"] += 500
    outcome = run(inputs, exploration_share=0.1)
    customers = inputs["customers"].assign(full_name="José Peña", national_id="0102030405", city="Loja", occupation="x")
    loans = pd.DataFrame({"loan_id": inputs["features"]["loan_id"], "product_code": "microcredit", "branch_id": "B1"})
    frames = {name: inputs[name] for name in ("features", "contact_points", "collectors", "interactions", "promises")}
    rows = contact_rows(
        outcome.decisions,
        outcome.details,
        **frames,
        customers=customers,
        loans=loans,
        buckets=BUCKETS,
        reason_texts=load_reason_texts(POLICIES),
        settings=SETTINGS,
    )
    home = tmp_path_factory.mktemp("published") / "home"
    create_home(home, name="Los Andes", country="EC", timezone=worlds.QUITO, currency="USD", language="es")

    def fill(folder: Path) -> dict[str, Any]:
        write_worklists(rows, folder, SETTINGS, TUESDAY)
        outcome.decisions.to_parquet(folder / "decisions.parquet")
        return {"as_of_date": TUESDAY.isoformat()}

    publish(Home(home), TUESDAY, fill, run_id="r", keep=3)
    return home


@pytest.fixture
def home(published: Path, tmp_path: Path) -> Path:
    """A copy of one's own."""
    return Path(shutil.copytree(published, tmp_path / "home", symlinks=True))


def desk_of(home: Path, now: datetime = NOW) -> Desk:
    place = Home(home)
    return Desk(place, load_settings(place), now, (now - timedelta(hours=5)).date())


@pytest.fixture
def desk(home: Path) -> Desk:
    return desk_of(home)


@pytest.fixture
def fill(home: Path, tmp_path: Path) -> Fill:
    """A copy of the list of g0 with cells written into it: ``fill({line: {column: value}})``; lines as in the sheet."""

    def filled(lines: dict[int, dict[str, Any]], name: str = "g0.xlsx", collector: str = "g0") -> Path:
        book_ = openpyxl.load_workbook(home / "published" / "current" / "worklists" / f"{collector}.xlsx")
        sheet = book_["Lista"]
        place = {cell.value: cell.column for cell in sheet[1]}
        for line, cells in lines.items():
            for code, value in cells.items():
                sheet.cell(line, place[HEADINGS[code]], value)
        path = tmp_path / name
        book_.save(path)
        return path

    return filled


def promise(
    due: date | str = date(2026, 7, 3), amount: Any = 50, at: Any = time(10, 30), **more: Any
) -> dict[str, Any]:
    return {"outcome": "Promete pagar", "contact_time": at, "promise_date": due, "promise_amount": amount, **more}


def call_lines(home: Path, collector: str = "g0") -> list[int]:
    """Rows of the sheet whose contact is a call."""
    table = pd.read_parquet(home / "published" / "current" / "worklists" / f"{collector}.parquet")
    return [line for line, channel in enumerate(table["channel_code"], start=2) if channel == "call"]
