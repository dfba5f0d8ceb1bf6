"""A route as a page that opens without a network: a drawing to scale in SVG and the list of stops beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.lists.files import is_missing
from puntual.lists.rows import ListSettings

Floats = npt.NDArray[np.float64]
Words = Mapping[str, Mapping[str, Mapping[str, str]]]

_WIDTH, _HEIGHT, _MARGIN = 860.0, 620.0, 56.0
_RADIUS = 13.0
_METRES_A_DEGREE = 111_195.0
_COLOURS = (
    "#0b6e99",
    "#c2410c",
    "#15803d",
    "#7c3aed",
    "#b91c1c",
    "#a16207",
    "#0f766e",
    "#be185d",
    "#4338ca",
    "#4d7c0f",
)
_NICE_KM = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def route_page(route: dict[str, Any], stops: pd.DataFrame, words: Words, settings: ListSettings, as_of: date) -> str:
    """The page of one collector.

    Args:
        route: row of the routes with collector_name, departs_local, returns_local.
        stops: the stops of the route with names, addresses and local times, by ``route_order``.
        words: texts of the route files.
        settings: language, institution.
        as_of: contact day.
    """
    return _render("route_page.html.j2", [(route, stops)], words, settings, as_of, names_on_map=True)


def routes_page(routes: pd.DataFrame, stops: pd.DataFrame, words: Words, settings: ListSettings, as_of: date) -> str:
    """The page of all collectors of the day, each route in its colour and with a link to its own page."""
    pairs = [(route, stops[stops["collector_id"] == route["collector_id"]]) for route in routes.to_dict("records")]
    return _render("routes_page.html.j2", pairs, words, settings, as_of, names_on_map=False)


def _render(
    template: str,
    pairs: list[tuple[dict[str, Any], pd.DataFrame]],
    words: Words,
    settings: ListSettings,
    as_of: date,
    *,
    names_on_map: bool,
) -> str:
    language = settings.language

    def text(group: str, code: str) -> str:
        return words[group][code][language]

    def figure(value: Any, places: int = 1) -> str:
        return "" if is_missing(value) else f"{float(value):.{places}f}".replace(".", "," if language == "es" else ".")

    routes = [
        {
            **route,
            "colour": _COLOURS[number % len(_COLOURS)],
            "kilometres": figure(route["total_metres"] / 1000.0),
            "travel": f"{route['travel_seconds'] // 3600} h {route['travel_seconds'] % 3600 // 60:02d} min",
            "planned": _records(stops[stops["is_planned"]], figure),
            "others": _records(stops[~stops["is_planned"]], figure),
        }
        for number, (route, stops) in enumerate(pairs)
    ]
    drawing = _drawing(routes, names_on_map=names_on_map)
    page: str = _template(template).render(
        routes=routes, drawing=drawing, text=text, language=language, institution=settings.institution, as_of=as_of
    )
    return page + "\n"


def _records(stops: pd.DataFrame, figure: Any) -> list[dict[str, Any]]:
    plain = stops.astype(object).where(stops.notna(), None).to_dict("records")
    return [{**stop, "leg": figure(stop["leg_km"])} for stop in plain]


def _drawing(routes: list[dict[str, Any]], *, names_on_map: bool) -> dict[str, Any]:
    """Everything to draw, in the units of the picture: starts, lines, stops with their numbers moved apart, a scale."""
    places: list[tuple[float, float]] = []
    for route in routes:
        if route["planned"] and not is_missing(route["start_latitude"]):
            places.append((route["start_latitude"], route["start_longitude"]))
        places += [(stop["latitude"], stop["longitude"]) for stop in route["planned"]]
    if not places:
        return {"routes": [], "width": _WIDTH, "height": _HEIGHT, "scale": None, "grid": []}
    latitude, longitude = np.array(places, dtype=np.float64).T
    across = np.cos(np.radians(latitude.mean()))
    east, north = longitude * across, latitude
    extent = max(np.ptp(east) / (_WIDTH - 2 * _MARGIN), np.ptp(north) / (_HEIGHT - 2 * _MARGIN), 1e-5)
    middle = ((east.max() + east.min()) / 2, (north.max() + north.min()) / 2)
    x = _WIDTH / 2 + (east - middle[0]) / extent
    y = _HEIGHT / 2 - (north - middle[1]) / extent
    drawn, at = [], 0
    for route in routes:
        if not route["planned"]:
            continue
        has_start = not is_missing(route["start_latitude"])
        many = len(route["planned"]) + has_start
        px, py = x[at : at + many], y[at : at + many]
        at += many
        line = [f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True)]
        lx, ly = _apart(px, py, fixed=int(has_start)) if names_on_map else (px, py)
        drawn.append(
            {
                "colour": route["colour"],
                "collector": route["collector_name"],
                "way": " ".join(line),
                "back": f"{line[-1]} {line[0]}" if has_start and route["is_round_trip"] else "",
                "start": (f"{px[0]:.1f}", f"{py[0]:.1f}", route["start_name"]) if has_start else None,
                "stops": [
                    {
                        "x": f"{px[n + has_start]:.1f}",
                        "y": f"{py[n + has_start]:.1f}",
                        "lx": f"{lx[n + has_start]:.1f}",
                        "ly": f"{ly[n + has_start]:.1f}",
                        "number": stop["route_order"],
                        "title": f"{stop['route_order']}. {stop['planned_arrival']} {stop['full_name'] or ''}",
                    }
                    for n, stop in enumerate(route["planned"])
                ],
            }
        )
    km_a_unit = extent * _METRES_A_DEGREE / 1000.0
    scale = max((km for km in _NICE_KM if km / km_a_unit <= _WIDTH / 4), default=_NICE_KM[0])
    step = scale / km_a_unit
    return {
        "routes": drawn,
        "width": _WIDTH,
        "height": _HEIGHT,
        "scale": {"km": f"{scale:g} km", "length": f"{step:.1f}"},
        "grid": {
            "x": [f"{v:.1f}" for v in np.arange(_WIDTH / 2 % step, _WIDTH, step)],
            "y": [f"{v:.1f}" for v in np.arange(_HEIGHT / 2 % step, _HEIGHT, step)],
        },
    }


def _apart(x: Floats, y: Floats, *, fixed: int) -> tuple[Floats, Floats]:
    """Centres of the numbers, moved until they no longer cover each other; the first ``fixed`` stay."""
    places = np.column_stack([x, y]).astype(np.float64)
    # equal points leave in different directions: the golden angle
    turn = np.arange(len(places)) * 2.399963
    places[fixed:] += 0.01 * np.column_stack([np.cos(turn), np.sin(turn)])[fixed:]
    least = 2 * _RADIUS + 2
    for _ in range(200):
        gap = places[:, None] - places[None]
        distance = np.sqrt((gap**2).sum(axis=2))
        np.fill_diagonal(distance, np.inf)
        overlap = np.clip(least - distance, 0.0, None)
        if not overlap.any():
            break
        push = (gap / distance[:, :, None] * overlap[:, :, None] / 2).sum(axis=1)
        push[:fixed] = 0.0
        places += push
        places = np.clip(places, _RADIUS + 2, [_WIDTH - _RADIUS - 2, _HEIGHT - _RADIUS - 2])
    return places[:, 0], places[:, 1]
