"""Files of the day's routes: GPX for a navigator, CSV, a map page that needs no network, and what the screens show.

The order and the times come from :mod:`puntual.decision.routes`; here they are written down.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # written only, never read: nothing from outside is parsed
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from puntual.decision.capacity import zone_keys
from puntual.decision.routes import PLACE_REASONS, RoutePlan
from puntual.lists.files import cell_text, fixed_moment, is_missing, keep_private, write_csv
from puntual.lists.route_map import route_page, routes_page
from puntual.lists.rows import ListSettings, file_stem

FOLDER = "worklists/routes"
ALL_ROUTES = "worklists/routes.html"
ADDRESSES = "worklists/addresses_to_correct.csv"
SCREEN_GRID_DEGREES = 0.005
"""Positions on screens are rounded to half a kilometre: the picture of the route, not where somebody lives."""

_WORDS = Path(__file__).with_name("routes.yaml")
_GPX = "http://www.topografix.com/GPX/1/1"
_CSV_COLUMNS = (
    "route_order",
    "planned_arrival",
    "planned_end",
    "full_name",
    "address",
    "place",
    "window_start",
    "window_end",
    "leg_km",
    "leg_minutes",
    "note",
    "rank",
    "customer_id",
    "loan_id",
)
_ADDRESS_COLUMNS = (
    "customer_id",
    "full_name",
    "contact_point_id",
    "address",
    "province",
    "latitude",
    "longitude",
    "problem",
    "what_to_do",
    "visit_today",
)
SCREEN_STOP_COLUMNS = (
    "as_of_date",
    "collector_id",
    "collector_name",
    "route_order",
    "customer_id",
    "full_name",
    "is_planned",
    "reason_es",
    "reason_en",
    "planned_arrival_local",
    "planned_end_local",
    "window_start_local",
    "window_end_local",
    "leg_km",
    "latitude_rounded",
    "longitude_rounded",
)
SCREEN_ROUTE_COLUMNS = (
    "as_of_date",
    "collector_id",
    "collector_name",
    "start_kind",
    "start_name",
    "start_latitude_rounded",
    "start_longitude_rounded",
    "visit_count",
    "planned_count",
    "unfit_count",
    "unplaced_count",
    "departs_local",
    "returns_local",
    "total_km",
    "travel_minutes",
    "file",
)


@cache
def words() -> dict[str, dict[str, dict[str, str]]]:
    """Everything in ``routes.yaml``."""
    content: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(_WORDS.read_text(encoding="utf-8"))
    return content


def say(group: str, code: str, language: str) -> str:
    """The word of ``code`` in ``language``."""
    return words()[group][code][language]


def visits_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The visits among the rows of the lists, in the form that :mod:`puntual.decision.routes` takes.

    ``place_problem`` is still to be added.
    """
    mine = rows[(rows["channel_code"] == "visit") & rows["collector_id"].notna()]
    return pd.DataFrame(
        {
            **{name: mine[name] for name in ("collector_id", "customer_id", "contact_point_id", "rank", "branch_id")},
            "latitude": mine["latitude"].astype("float64"),
            "longitude": mine["longitude"].astype("float64"),
            "window_start": mine["window_start"],
            "window_end": mine["window_end"],
            "zone": pd.Series(zone_keys(mine["province"]), index=mine.index, dtype=object),
            "town": mine["city"],
        }
    ).reset_index(drop=True)


def with_routes(rows: pd.DataFrame, plan: RoutePlan, settings: ListSettings) -> pd.DataFrame:
    """The rows of the lists with ``route_order`` and ``planned_arrival_local``, missing where there is no visit.

    A visit without a planned time says first of all why, in ``reasons_on_list``.
    """
    stops = plan.stops[["customer_id", "route_order", "planned_arrival", "reason"]].rename(
        columns={"reason": "left_out"}
    )
    plain = rows.drop(columns=["route_order", "planned_arrival_local"], errors="ignore")
    found = plain.merge(stops, on="customer_id", how="left")
    arrival = pd.Series(_local(found["planned_arrival"], _zones(found, settings)), index=found.index, dtype=object)
    outside = say("page", "not_planned", settings.language)
    reasons = [
        text if is_missing(code) else f"{outside}: {say('reasons', code, settings.language)} {text}".strip()
        for code, text in zip(found["left_out"], found["reasons_on_list"], strict=True)
    ]
    return found.drop(columns=["planned_arrival", "left_out"]).assign(
        route_order=found["route_order"].astype("Int64"),
        planned_arrival_local=arrival,
        reasons_on_list=pd.Series(reasons, index=found.index, dtype=object),
    )


def write_routes(
    plan: RoutePlan,
    rows: pd.DataFrame,
    addresses: pd.DataFrame,
    folder: Path,
    settings: ListSettings,
    as_of: date,
) -> dict[str, pd.DataFrame]:
    """Write the files of the routes; returns the tables of the screens, ``routes`` and ``route_stops``.

    1. ``worklists/routes/<collector>.gpx``, ``.csv`` and ``.html`` per collector with visits, and
       ``worklists/routes.html`` with all of them.
    2. ``worklists/addresses_to_correct.csv``: addresses that cannot be placed, with what is wrong; always there.

    Equal plans give equal bytes. The files name people and where they live: they are their owner's alone.

    Args:
        plan: of the day.
        rows: of :func:`with_routes`.
        addresses: customer_id, full_name, contact_point_id, address, province, latitude, longitude, place_problem,
            visit_today: every address that was looked at.
        folder: of the snapshot.
        settings: how lists are written.
        as_of: contact day.
    """
    stops = _stops(plan, rows, settings)
    names = rows.drop_duplicates("collector_id").set_index("collector_id")["collector_name"]
    routes = plan.routes.assign(
        collector_name=plan.routes["collector_id"].map(names).astype(object),
        stem=[file_stem(one) for one in plan.routes["collector_id"]],
        departs_local=_local(plan.routes["departs_at"], pd.Series(settings.timezone, index=plan.routes.index)),
        returns_local=_local(plan.routes["returns_at"], pd.Series(settings.timezone, index=plan.routes.index)),
    )
    routes["collector_name"] = routes["collector_name"].where(routes["collector_name"].notna(), routes["collector_id"])
    for route in routes.to_dict("records"):
        mine = stops[stops["collector_id"] == route["collector_id"]]
        base = folder / FOLDER / str(route["stem"])
        _write_csv(base.with_name(f"{base.name}.csv"), mine, _CSV_COLUMNS, settings)
        keep_private(base.with_name(f"{base.name}.gpx")).write_bytes(gpx(route, mine, settings, as_of))
        page = route_page(route, mine, words(), settings, as_of)
        keep_private(base.with_name(f"{base.name}.html")).write_text(page, encoding="utf-8")
    keep_private(folder / ALL_ROUTES).write_text(routes_page(routes, stops, words(), settings, as_of), encoding="utf-8")
    _write_addresses(addresses, folder / ADDRESSES, settings)
    return {"routes": _screen_routes(routes, as_of), "route_stops": _screen_stops(stops, as_of)}


def gpx(route: dict[str, Any], stops: pd.DataFrame, settings: ListSettings, as_of: date) -> bytes:
    """The planned stops as GPX 1.1: a waypoint each, and one route through them from the start place and back."""
    ET.register_namespace("", _GPX)
    root = ET.Element(f"{{{_GPX}}}gpx", {"version": "1.1", "creator": "Puntual"})
    title = f"{say('page', 'title', settings.language)} {cell_text(route['collector_name'])} {as_of.isoformat()}"
    about = ET.SubElement(root, f"{{{_GPX}}}metadata")
    ET.SubElement(about, f"{{{_GPX}}}name").text = title
    ET.SubElement(about, f"{{{_GPX}}}time").text = f"{fixed_moment(as_of).isoformat()}Z"
    planned = stops[stops["is_planned"]]
    points = [
        (
            stop["latitude"],
            stop["longitude"],
            f"{stop['planned_arrival_utc'].isoformat(timespec='seconds')}Z",
            f"{stop['route_order']}. {stop['planned_arrival']} {cell_text(stop['full_name'])}",
            ", ".join(filter(None, (cell_text(stop["address"]), cell_text(stop["place"]))))
            + f" ({stop['window_start']}–{stop['window_end']})",
        )
        for stop in planned.to_dict("records")
    ]
    start = []
    if route["start_kind"] != "first":
        label = f"{say('page', 'start', settings.language)}: {cell_text(route['start_name'])}"
        start = [(route["start_latitude"], route["start_longitude"], None, label, "")]
    for point in (*start, *points):
        _point(root, "wpt", point)
    way = ET.SubElement(root, f"{{{_GPX}}}rte")
    ET.SubElement(way, f"{{{_GPX}}}name").text = title
    for point in (*start, *points, *(start if route["is_round_trip"] else [])) if points else ():
        _point(way, "rtept", point)
    ET.indent(root, space=" ")
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _point(parent: ET.Element, kind: str, point: tuple[float, float, str | None, str, str]) -> None:
    latitude, longitude, moment, name, text = point
    element = ET.SubElement(parent, f"{{{_GPX}}}{kind}", {"lat": f"{latitude:.6f}", "lon": f"{longitude:.6f}"})
    for tag, value in (("time", moment), ("name", name), ("desc", text)):
        if value:
            ET.SubElement(element, f"{{{_GPX}}}{tag}").text = value


def _stops(plan: RoutePlan, rows: pd.DataFrame, settings: ListSettings) -> pd.DataFrame:
    """The stops with what a person needs on the way; times are the member's."""
    about = rows[
        [
            "customer_id",
            "full_name",
            "contact_value",
            "place",
            "loan_id",
            "window_start_local",
            "window_end_local",
            "timezone",
            "collector_name",
        ]
    ].rename(
        columns={
            "contact_value": "address",
            "window_start_local": "window_start",
            "window_end_local": "window_end",
        }
    )
    found = plan.stops.merge(about, on="customer_id", how="left")
    zones = _zones(found, settings)
    note = [None if is_missing(code) else say("reasons", code, settings.language) for code in found["reason"]]
    return found.assign(
        planned_arrival_utc=found["planned_arrival"],
        planned_arrival=_local(found["planned_arrival"], zones),
        planned_end=_local(found["planned_end"], zones),
        leg_km=(found["leg_metres"].astype("Float64") / 1000.0).round(1),
        leg_minutes=(found["leg_seconds"].astype("Float64") / 60.0).round().astype("Int64"),
        note=pd.Series(note, index=found.index, dtype=object),
    )


def _zones(rows: pd.DataFrame, settings: ListSettings) -> pd.Series:
    return rows["timezone"].where(rows["timezone"].notna(), settings.timezone)


def _local(moments: pd.Series, zones: pd.Series) -> pd.Series:
    """``HH:MM`` in each row's zone, None where there is no moment."""
    result = pd.Series(None, index=moments.index, dtype=object)
    for name, group in moments.dropna().groupby(zones.loc[moments.dropna().index], sort=True):
        local = group.dt.tz_localize("UTC").dt.tz_convert(str(name))
        result.loc[group.index] = local.dt.strftime("%H:%M").astype(object)
    return result.where(result.notna(), None)


def _write_csv(path: Path, frame: pd.DataFrame, columns: Sequence[str], settings: ListSettings) -> None:
    write_csv(
        path,
        [say("headings", name, settings.language) for name in columns],
        frame[list(columns)].astype(object).itertuples(index=False, name=None),
        separator=settings.separator,
        decimal=settings.decimal,
    )


def _write_addresses(addresses: pd.DataFrame, path: Path, settings: ListSettings) -> None:
    wrong = addresses[addresses["place_problem"].notna()].copy()
    language = settings.language
    order = {code: number for number, code in enumerate(PLACE_REASONS)}
    wrong = wrong.assign(
        problem=[say("reasons", code, language) for code in wrong["place_problem"]],
        what_to_do=[say("what_to_do", code, language) for code in wrong["place_problem"]],
        urgency=~wrong["visit_today"].to_numpy(dtype=bool),
        number=[order[code] for code in wrong["place_problem"]],
        visit_today=[say("page", "flag_yes" if flag else "flag_no", language) for flag in wrong["visit_today"]],
    ).sort_values(["urgency", "number", "customer_id", "contact_point_id"])
    _write_csv(path, wrong, _ADDRESS_COLUMNS, settings)


def _rounded(degrees: pd.Series) -> pd.Series:
    return ((degrees.astype("float64") / SCREEN_GRID_DEGREES).round() * SCREEN_GRID_DEGREES).round(3)


def _screen_stops(stops: pd.DataFrame, as_of: date) -> pd.DataFrame:
    reasons = {
        f"reason_{language}": [None if is_missing(code) else say("reasons", code, language) for code in stops["reason"]]
        for language in ("es", "en")
    }
    is_placed = ~stops["reason"].isin(PLACE_REASONS)
    frame = stops.assign(
        as_of_date=pd.Series([as_of] * len(stops), index=stops.index, dtype=object),
        **{name: pd.Series(values, index=stops.index, dtype=object) for name, values in reasons.items()},
        planned_arrival_local=stops["planned_arrival"],
        planned_end_local=stops["planned_end"],
        window_start_local=stops["window_start"],
        window_end_local=stops["window_end"],
        latitude_rounded=_rounded(stops["latitude"]).where(is_placed, np.nan),
        longitude_rounded=_rounded(stops["longitude"]).where(is_placed, np.nan),
    )
    return frame[list(SCREEN_STOP_COLUMNS)]


def _screen_routes(routes: pd.DataFrame, as_of: date) -> pd.DataFrame:
    # a branch is no secret, the home of a collector is
    is_home = routes["start_kind"] == "collector"
    frame = routes.assign(
        as_of_date=pd.Series([as_of] * len(routes), index=routes.index, dtype=object),
        start_name=routes["start_name"].where(~is_home, None),
        start_latitude_rounded=_rounded(routes["start_latitude"]),
        start_longitude_rounded=_rounded(routes["start_longitude"]),
        total_km=(routes["total_metres"] / 1000.0).round(1),
        travel_minutes=(routes["travel_seconds"] / 60.0).round().astype("int64"),
        file=[f"{FOLDER}/{stem}" for stem in routes["stem"]],
    )
    return frame[list(SCREEN_ROUTE_COLUMNS)]
