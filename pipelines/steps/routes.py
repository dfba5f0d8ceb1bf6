"""The routes of the day's visits: what the warehouse knows of places, and the plan made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.day import Day
from puntual.decision.capacity import zone_keys
from puntual.decision.routes import (
    CountryBox,
    RoadTable,
    RoutePlan,
    StraightLine,
    Travel,
    WorkingDay,
    place_problems,
    plan_routes,
    starting_places,
    zone_centres,
)
from puntual.decision.rule_kinds import OBLIGORS
from puntual.errors import RuleError, UsageError
from puntual.lists.routes import visits_of
from puntual.paths import GEOGRAPHY
from puntual.settings import VisitSettings
from puntual.snapshot import SCREEN_ROUTES


@dataclass(frozen=True)
class DayRoutes:
    """``addresses``: every address of the eligible members with ``place_problem`` and ``visit_today``."""

    plan: RoutePlan
    addresses: pd.DataFrame


def routes_of(
    day: Day,
    rows: pd.DataFrame,
    eligible: pd.Series,
    *,
    customers: pd.DataFrame,
    contact_points: pd.DataFrame,
    collectors: pd.DataFrame,
) -> DayRoutes:
    """Routes of the visits among ``rows`` of the lists, and what is known of the addresses of the ``eligible`` members.

    Raises:
        UsageError: ``visits.distances`` names a table of roads that is absent or cannot be used.
    """
    settings = day.settings.visits
    box = country_box(day.settings.institution.country)
    addresses = _addresses(customers, contact_points)
    centres = zone_centres(addresses["zone"], addresses["latitude"], addresses["longitude"], box)
    limits = {"box": box, "centres": centres, "zone_radius_km": settings.zone_radius_km}
    visits = visits_of(rows)
    visits = visits.assign(place_problem=place_problems(visits, **limits))
    branches = day.warehouse.read_table(
        "marts.dim_branches", ["branch_id", "branch_name", "latitude", "longitude"], order_by=["branch_id"]
    )
    plan = plan_routes(
        visits,
        starting_places(collectors, _believable(branches, box), visits, start=settings.start),
        as_of=day.as_of,
        timezone=day.settings.institution.timezone,
        day=WorkingDay(
            settings.day_start,
            settings.day_end,
            settings.lunch_start,
            settings.lunch_minutes,
            settings.service_minutes,
        ),
        travel=travel_of(settings, day.home.root),
        returns=settings.returns,
        iterations=settings.iterations,
        seed=settings.seed,
    )
    mine = addresses[addresses["customer_id"].isin(eligible)].reset_index(drop=True)
    mine = mine.assign(
        place_problem=place_problems(mine, **limits),
        visit_today=mine["contact_point_id"].isin(visits["contact_point_id"]).to_numpy(),
    )
    return DayRoutes(plan, mine)


def route_figures(folder: Path) -> dict[str, int | float]:
    """Figures of the routes written into the snapshot: visits by what became of them, kilometres and hours."""
    routes = pd.read_parquet(folder / SCREEN_ROUTES)
    counts = {
        name: int(routes[name].sum()) for name in ("visit_count", "planned_count", "unfit_count", "unplaced_count")
    }
    return {
        "route_count": int((routes["planned_count"] > 0).sum()),
        **counts,
        "total_km": round(float(routes["total_km"].sum()), 1),
        "travel_hours": round(float(routes["travel_minutes"].sum()) / 60.0, 1),
    }


def country_box(country: str) -> CountryBox | None:
    """Ends of the country in ``data/geography/country_boxes.csv``; None for one that is not listed."""
    boxes = pd.read_csv(GEOGRAPHY / "country_boxes.csv", keep_default_na=False).set_index("country")
    return CountryBox(**boxes.loc[country].astype(float).to_dict()) if country in boxes.index else None


def travel_of(settings: VisitSettings, home: Path) -> Travel:
    """The straight line of the settings, or the institution's table of roads over it.

    Raises:
        UsageError: the table is absent or cannot be used; names the file and the key.
    """
    line = StraightLine(settings.detour_factor, settings.urban_speed_kmh, settings.rural_speed_kmh, settings.urban_km)
    if not settings.distances:
        return line
    file = home / settings.distances
    try:
        table = (
            pd.read_csv(file, dtype={"from_id": str, "to_id": str}) if file.suffix == ".csv" else pd.read_parquet(file)
        )
        return RoadTable(table, line)
    except (OSError, ValueError, RuleError) as error:
        raise UsageError(
            f"{file} (visits.distances in puntual.yaml) is no usable table of roads: {error} "
            "Correct it, or remove the key to plan by straight lines."
        ) from error


def _addresses(customers: pd.DataFrame, contact_points: pd.DataFrame) -> pd.DataFrame:
    known = contact_points[
        (contact_points["kind_code"] == "address")
        & contact_points["is_valid"].astype("boolean").fillna(True)
        & (contact_points["party_code"].isna() | contact_points["party_code"].isin(OBLIGORS))
    ]
    found = known[["customer_id", "contact_point_id", "value", "latitude", "longitude"]].merge(
        customers[["customer_id", "full_name", "province"]], on="customer_id", how="left"
    )
    return found.rename(columns={"value": "address"}).assign(
        latitude=found["latitude"].astype("float64"),
        longitude=found["longitude"].astype("float64"),
        zone=pd.Series(zone_keys(found["province"]), index=found.index, dtype=object),
    )


def _believable(branches: pd.DataFrame, box: CountryBox | None) -> pd.DataFrame:
    """Branches whose coordinates lie outside the country have none."""
    latitude, longitude = branches["latitude"].astype("float64"), branches["longitude"].astype("float64")
    inside = np.ones(len(branches), dtype=bool) if box is None else box.holds(latitude.to_numpy(), longitude.to_numpy())
    return branches.assign(latitude=latitude.where(inside), longitude=longitude.where(inside))
