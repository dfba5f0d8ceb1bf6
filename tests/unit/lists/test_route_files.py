"""Files of the routes: a GPX that parses, lists in order, a page without a network, addresses to correct, masked screens."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from puntual.decision import routes as plan_module
from puntual.decision.routes import RoutePlan, StraightLine, WorkingDay, plan_routes
from puntual.lists.routes import say, visits_of, with_routes, words, write_routes
from puntual.lists.rows import ListSettings
from tests.unit.decision.test_routes import START, TUESDAY, ZONE, local

SPANISH = ListSettings("Cooperativa Los Andes", "es", "USD", ZONE)
ENGLISH = ListSettings("Los Andes", "en", "USD", ZONE)
GPX = {"g": "http://www.topografix.com/GPX/1/1"}
ATTACK = '=cmd|"<script>alert(1)</script>'


def list_rows() -> pd.DataFrame:
    """Rows as the lists have them: six visits of G1 (one without coordinates, one too far) and a call."""
    size = 7
    rows = pd.DataFrame(
        {
            "channel_code": ["visit"] * 6 + ["call"],
            "collector_id": "G1",
            "collector_name": "Ana <b>Torres</b>",
            "customer_id": [f"C{n}" for n in range(size)],
            "contact_point_id": [f"K{n}" for n in range(size)],
            "contact_value": [f"Bolívar {n}" for n in range(size)],
            "full_name": [ATTACK, *(f"Socio {n}" for n in range(1, size))],
            "rank": range(1, size + 1),
            "branch_id": "B1",
            "loan_id": [f"L{n}" for n in range(size)],
            "province": "Tungurahua",
            "city": "Ambato",
            "place": "Ambato, Tungurahua",
            "timezone": [None, *[ZONE] * 6],
            "latitude": [-1.25, -1.26, -1.24, -1.27, np.nan, 1.0, np.nan],
            "longitude": [-78.61, -78.63, -78.60, -78.62, np.nan, -80.0, np.nan],
            "window_start": pd.Series([local("07:00")] * size, dtype="datetime64[us]"),
            "window_end": pd.Series([local("19:00")] * size, dtype="datetime64[us]"),
            "window_start_local": "07:00",
            "window_end_local": "19:00",
            "reasons_on_list": "Incumplió una promesa de pago.",
        }
    )
    return rows.astype({"timezone": object})


def day(settings: ListSettings, folder: Path) -> tuple[RoutePlan, pd.DataFrame, dict[str, pd.DataFrame]]:
    rows = list_rows()
    visits = visits_of(rows)
    problem = pd.Series(None, index=visits.index, dtype=object)
    problem[visits["latitude"].isna()] = plan_module.NO_COORDINATES
    plan = plan_routes(
        visits.assign(place_problem=problem),
        START,
        as_of=TUESDAY,
        timezone=ZONE,
        day=WorkingDay(),
        travel=StraightLine(),
    )
    rows = with_routes(rows, plan, settings)
    addresses = rows.rename(columns={"contact_value": "address"}).assign(
        place_problem=[None, None, None, None, plan_module.NO_COORDINATES, None, plan_module.WRONG_SIGN],
        visit_today=[True] * 6 + [False],
    )
    return plan, rows, write_routes(plan, rows, addresses, folder, settings, TUESDAY)


def read_csv(path: Path, separator: str) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_bytes().decode("utf-8-sig").splitlines(), delimiter=separator))


def test_the_gpx_has_every_planned_stop_in_order_from_the_branch_and_back(tmp_path: Path):
    day(SPANISH, tmp_path)
    root = ET.parse(tmp_path / "worklists/routes/G1.gpx").getroot()
    assert root.attrib["version"] == "1.1"
    points = root.findall("g:rte/g:rtept", GPX)
    names = [point.findtext("g:name", namespaces=GPX) for point in points]
    assert [name.split(".")[0] for name in names] == ["Inicio: Ambato", "1", "2", "3", "4", "Inicio: Ambato"]
    assert (points[0].attrib["lat"], points[0].attrib["lon"]) == ("-1.249000", "-78.617000")
    times = [point.findtext("g:time", namespaces=GPX) for point in points[1:-1]]
    assert times == sorted(times) and all(re.fullmatch(r"2026-06-30T\d\d:\d\d:\d\dZ", time) for time in times)
    assert len(root.findall("g:wpt", GPX)) == 5


def test_the_csv_lists_every_visit_with_its_time_or_its_reason(tmp_path: Path):
    plan, _, _ = day(SPANISH, tmp_path)
    lines = read_csv(tmp_path / "worklists/routes/G1.csv", ";")
    assert [line["Orden"] for line in lines] == ["1", "2", "3", "4", "5", "6"]
    assert [line["Código del socio"] for line in lines] == plan.stops["customer_id"].tolist()
    assert [bool(line["Llegada prevista"]) for line in lines] == [True] * 4 + [False] * 2
    assert lines[4]["Nota"] == "No se alcanza a ir y volver en la jornada."
    assert lines[5]["Nota"] == "La dirección no tiene coordenadas."
    first = next(line for line in lines if line["Código del socio"] == "C0")
    assert first["Socio"].startswith("'="), "a spreadsheet must not run it"
    assert lines[0]["Tramo (km)"].count(",") <= 1 and "." not in lines[0]["Tramo (km)"]


def test_times_in_the_lists_are_those_of_the_route(tmp_path: Path):
    plan, rows, _ = day(SPANISH, tmp_path)
    stops = plan.stops.set_index("customer_id")
    visits = rows[rows["channel_code"] == "visit"].set_index("customer_id")
    assert visits["route_order"].astype(int).to_dict() == stops["route_order"].to_dict()
    planned = stops[stops["is_planned"]]
    expected = (planned["planned_arrival"] - pd.Timedelta(hours=5)).dt.strftime("%H:%M")
    assert visits.loc[planned.index, "planned_arrival_local"].to_dict() == expected.to_dict()
    call = rows[rows["channel_code"] == "call"].iloc[0]
    assert pd.isna(call["route_order"]) and call["planned_arrival_local"] is None
    # what has an order and no time says why
    why = visits["reasons_on_list"]
    assert why["C4"] == "Fuera de la ruta de hoy: La dirección no tiene coordenadas. Incumplió una promesa de pago."
    assert why["C5"].startswith("Fuera de la ruta de hoy: No se alcanza a ir y volver en la jornada. ")
    assert set(why[planned.index]) == {call["reasons_on_list"]} == {"Incumplió una promesa de pago."}


@pytest.mark.parametrize(("settings", "heading"), [(SPANISH, "Ruta de visitas"), (ENGLISH, "Visit route")])
def test_the_page_needs_no_network_and_runs_nothing(tmp_path: Path, settings: ListSettings, heading: str):
    day(settings, tmp_path)
    for name in ("worklists/routes/G1.html", "worklists/routes.html"):
        page = (tmp_path / name).read_text(encoding="utf-8")
        assert heading[:4] in page and "<svg" in page
        assert not re.search(r"(https?:)?//[a-z]", page), "nothing is fetched"
        assert "<script" not in page and "<b>Torres" not in page
    numbers = re.findall(
        r'font-weight="600" fill="#fff">(\d+)</text>', (tmp_path / "worklists/routes/G1.html").read_text()
    )
    assert numbers == ["1", "2", "3", "4"]


def test_addresses_to_correct_stand_in_a_file_of_their_own_those_of_today_first(tmp_path: Path):
    day(SPANISH, tmp_path)
    lines = read_csv(tmp_path / "worklists/addresses_to_correct.csv", ";")
    assert [(line["Código del socio"], line["Visita hoy"]) for line in lines] == [("C4", "sí"), ("C6", "no")]
    assert lines[1]["Qué hacer"] == "Corregir el signo."


def test_screens_show_no_address_and_no_exact_place(tmp_path: Path):
    plan, _, screens = day(SPANISH, tmp_path)
    stops = screens["route_stops"]
    shown = " ".join(map(str, stops.astype(object).to_numpy().ravel()))
    assert "Bolívar" not in shown
    steps = stops["latitude_rounded"].dropna() / 0.005
    assert np.allclose(steps, steps.round())
    assert len(stops) == len(plan.stops)
    assert stops["reason_en"].dropna().tolist() == [
        "There and back does not fit into the working day.",
        "The address has no coordinates.",
    ]
    route = screens["routes"].iloc[0]
    assert (route["visit_count"], route["planned_count"], route["unfit_count"], route["unplaced_count"]) == (6, 4, 1, 1)


def test_equal_days_are_equal_files_and_private(tmp_path: Path):
    for name in ("a", "b"):
        day(SPANISH, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert {path.suffix for path in files} == {".gpx", ".csv", ".html"}
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()
        assert (tmp_path / "a" / path).stat().st_mode & 0o777 == 0o600


def test_every_reason_has_its_words_in_both_languages():
    for code in (*plan_module.PLACE_REASONS, *plan_module.FIT_REASONS):
        assert all(say("reasons", code, language) for language in ("es", "en"))
    assert set(words()["what_to_do"]) == set(plan_module.PLACE_REASONS)
    for group in words().values():
        assert all(set(entry) == {"es", "en"} for entry in group.values())
