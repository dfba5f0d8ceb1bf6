"""The day's visits as routes: per collector an order, planned times, and a named reason for what stays out.

Pure: frames in, frames out. The order is found in ``route_search.py`` with a fixed seed and a number of iterations,
never a time, so the same visits give the same route on every machine.

Times. A visit starts and ends within the member's contact window and the working day. At lunch the clock stands still:
the routes are planned on a clock without that hour and told on the one on the wall, so a visit that has begun is
finished, and lunch is taken after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.route_search import Ints, Reachable, best_route, timetable
from puntual.errors import RuleError
from puntual.frames import texts_or_none

Floats = npt.NDArray[np.float64]

EARTH_RADIUS_METRES = 6_371_008.8

NO_COORDINATES = "no_coordinates"
IMPOSSIBLE_COORDINATES = "impossible_coordinates"
SWAPPED_COORDINATES = "swapped_coordinates"
WRONG_SIGN = "wrong_sign"
OUTSIDE_COUNTRY = "outside_country"
FAR_FROM_ZONE = "far_from_zone"
PLACE_REASONS = (
    NO_COORDINATES,
    IMPOSSIBLE_COORDINATES,
    SWAPPED_COORDINATES,
    WRONG_SIGN,
    OUTSIDE_COUNTRY,
    FAR_FROM_ZONE,
)
"""Why an address cannot be placed on the map, most basic first."""

WINDOW_TOO_SHORT = "window_too_short"
WINDOW_OUTSIDE_DAY = "window_outside_day"
TOO_FAR = "too_far"
DAY_FULL = "day_full"
FIT_REASONS = (WINDOW_TOO_SHORT, WINDOW_OUTSIDE_DAY, TOO_FAR, DAY_FULL)
"""Why a visit with a known place is not in the day's route."""

STOP_COLUMNS = (
    "collector_id",
    "customer_id",
    "contact_point_id",
    "rank",
    "route_order",
    "is_planned",
    "reason",
    "planned_arrival",
    "planned_end",
    "leg_metres",
    "leg_seconds",
    "latitude",
    "longitude",
)
ROUTE_COLUMNS = (
    "collector_id",
    "start_kind",
    "start_id",
    "start_name",
    "start_latitude",
    "start_longitude",
    "is_round_trip",
    "visit_count",
    "planned_count",
    "unfit_count",
    "unplaced_count",
    "departs_at",
    "returns_at",
    "total_metres",
    "travel_seconds",
    "waiting_seconds",
    "service_seconds",
)

_MOST_METRES = 20_000_000


@dataclass(frozen=True)
class Legs:
    """Metres and seconds from each place to each other, square, whole numbers; row: from, column: to."""

    metres: Ints
    seconds: Ints


class Travel(Protocol):
    """Where the distances come from. Anything with this method can be given instead of the straight line."""

    def legs(self, places: pd.DataFrame) -> Legs:
        """Legs between all ``places``: place_id, latitude, longitude; in their order."""
        ...


@dataclass(frozen=True)
class StraightLine:
    """Great circle times a detour factor; the first kilometres of a leg at a town's speed, the rest at a road's.

    Attributes:
        detour_factor: road metres per metre of straight line.
        urban_speed_kmh: speed on the first ``urban_km`` of every leg.
        rural_speed_kmh: speed on what is beyond.
        urban_km: road kilometres of a leg that count as town.
    """

    detour_factor: float = 1.35
    urban_speed_kmh: float = 22.0
    rural_speed_kmh: float = 45.0
    urban_km: float = 6.0

    def legs(self, places: pd.DataFrame) -> Legs:
        """Distances of all pairs; symmetric."""
        latitude = places["latitude"].to_numpy(dtype=np.float64)
        longitude = places["longitude"].to_numpy(dtype=np.float64)
        line = great_circle(latitude[:, None], longitude[:, None], latitude[None, :], longitude[None, :])
        metres = np.rint(line * self.detour_factor).astype(np.int64)
        town = np.minimum(metres, self.urban_km * 1000.0)
        hours = town / 1000.0 / self.urban_speed_kmh + (metres - town) / 1000.0 / self.rural_speed_kmh
        return Legs(metres, np.rint(hours * 3600.0).astype(np.int64))


@dataclass(frozen=True)
class RoadTable:
    """Legs from a table of roads, the straight line for the pairs that it lacks.

    Attributes:
        table: from_id, to_id, metres, seconds. Ids: a contact_point_id, ``branch:<branch_id>`` or
            ``collector:<collector_id>``. A pair that stands in one direction only is used for both.
        otherwise: for pairs without a row.
    """

    table: pd.DataFrame
    otherwise: StraightLine = field(default_factory=StraightLine)

    def __post_init__(self) -> None:
        missing = {"from_id", "to_id", "metres", "seconds"} - set(self.table.columns)
        if missing:
            raise RuleError(
                f"The table of roads has no column {', '.join(sorted(missing))}; "
                "it needs from_id, to_id, metres and seconds."
            )
        figures = self.table[["metres", "seconds"]].apply(pd.to_numeric, errors="coerce")
        wrong = figures.isna().any(axis=1) | (figures < 0).any(axis=1) | (figures["metres"] > _MOST_METRES)
        if wrong.any():
            row = self.table[wrong].iloc[0]
            raise RuleError(
                f"The table of roads has {int(wrong.sum())} rows whose metres or seconds are no number from 0, first "
                f"from {row['from_id']} to {row['to_id']}; correct or remove them."
            )
        if self.table.duplicated(["from_id", "to_id"]).any():
            row = self.table[self.table.duplicated(["from_id", "to_id"])].iloc[0]
            raise RuleError(f"The table of roads has the pair {row['from_id']}, {row['to_id']} twice; keep one.")

    def legs(self, places: pd.DataFrame) -> Legs:
        """Distances of all pairs."""
        found = self.otherwise.legs(places)
        position = pd.Index(places["place_id"].astype(str))
        start = position.get_indexer(pd.Index(self.table["from_id"].astype(str)))
        end = position.get_indexer(pd.Index(self.table["to_id"].astype(str)))
        inside = (start >= 0) & (end >= 0)
        metres, seconds = found.metres.copy(), found.seconds.copy()
        for matrix, column in ((metres, "metres"), (seconds, "seconds")):
            values = np.rint(self.table.loc[inside, column].to_numpy(dtype=np.float64)).astype(np.int64)
            matrix[end[inside], start[inside]] = values
            matrix[start[inside], end[inside]] = values  # last: the row's own direction wins
        return Legs(metres, seconds)


@dataclass(frozen=True)
class WorkingDay:
    """When visits are made, local time of the institution, minutes after midnight.

    Attributes:
        start: leaving the start place at the earliest.
        end: back at the start place, or done with the last visit, at the latest.
        lunch_start: from when lunch is taken; None: there is none.
        lunch_minutes: how long it takes.
        service_minutes: how long a visit takes.
    """

    start: int = 8 * 60
    end: int = 18 * 60
    lunch_start: int | None = 13 * 60
    lunch_minutes: int = 60
    service_minutes: int = 20


@dataclass(frozen=True)
class CountryBox:
    """South, north, west and east ends of a country, in degrees."""

    south: float
    north: float
    west: float
    east: float

    def holds(self, latitude: Floats, longitude: Floats) -> npt.NDArray[np.bool_]:
        """Whether each point lies inside; a missing coordinate does not."""
        inside = (latitude >= self.south) & (latitude <= self.north)
        return np.asarray(inside & (longitude >= self.west) & (longitude <= self.east), dtype=bool)


@dataclass(frozen=True)
class RoutePlan:
    """``stops``: one row per visit, :data:`STOP_COLUMNS`. ``routes``: one per collector, :data:`ROUTE_COLUMNS`."""

    stops: pd.DataFrame
    routes: pd.DataFrame


def great_circle(
    latitude: Floats | float, longitude: Floats | float, other_latitude: Floats | float, other_longitude: Floats | float
) -> Floats:
    """Metres between points on the sphere, by the haversine formula; degrees in.

    >>> round(float(great_circle(0.0, 0.0, 0.0, 1.0)))
    111195
    """
    first, second = np.radians(latitude), np.radians(other_latitude)
    across = np.radians(np.asarray(other_longitude) - np.asarray(longitude))
    half = np.sin((second - first) / 2) ** 2 + np.cos(first) * np.cos(second) * np.sin(across / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_METRES * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))), dtype=np.float64)


def zone_centres(zones: pd.Series, latitude: pd.Series, longitude: pd.Series, box: CountryBox | None) -> pd.DataFrame:
    """Median position of the addresses of each zone (index), of those inside the country; latitude and longitude.

    The median, since a few addresses on the other side of the country must not move it.
    """
    points = pd.DataFrame({"zone": zones, "latitude": latitude, "longitude": longitude}).dropna()
    if box is not None:
        points = points[box.holds(points["latitude"].to_numpy(float), points["longitude"].to_numpy(float))]
    return points.groupby("zone", sort=True)[["latitude", "longitude"]].median()


def place_problems(
    places: pd.DataFrame, *, box: CountryBox | None, centres: pd.DataFrame, zone_radius_km: float
) -> pd.Series:
    """Why each address cannot be placed, one of :data:`PLACE_REASONS`; None for the others.

    1. A coordinate is missing.
    2. It is 0, 0 or lies outside the globe.
    3. Outside the country: ``swapped_coordinates`` or ``wrong_sign`` when that mended would bring it inside.
    4. Further than ``zone_radius_km`` from the middle of the addresses of its zone.

    Args:
        places: latitude, longitude, zone (key or None).
        box: ends of the country; None: not checked.
        centres: :func:`zone_centres`; a zone that is absent is not checked.
        zone_radius_km: straight line.
    """
    latitude, longitude = (places[name].to_numpy(dtype=np.float64) for name in ("latitude", "longitude"))
    middle = centres.reindex(places["zone"])
    far = great_circle(
        latitude, longitude, middle["latitude"].to_numpy(dtype=float), middle["longitude"].to_numpy(dtype=float)
    )
    everywhere = np.ones(len(places), dtype=bool)
    inside = everywhere if box is None else box.holds(latitude, longitude)
    swapped = ~everywhere if box is None else box.holds(longitude, latitude)
    signed = ~everywhere
    if box is not None:
        for north, east in ((-1, 1), (1, -1), (-1, -1)):
            signed = signed | box.holds(north * latitude, east * longitude)
    tests = [
        np.isnan(latitude) | np.isnan(longitude),
        ((latitude == 0) & (longitude == 0)) | ~(np.abs(latitude) <= 90) | ~(np.abs(longitude) <= 180),
        ~inside & swapped,
        ~inside & signed,
        ~inside,
        far > zone_radius_km * 1000.0,
    ]
    # a swapped pair can lie outside the globe: longitude 100 as a latitude
    tests[1] = tests[1] & ~swapped
    found = np.select(tests, list(range(len(PLACE_REASONS))), -1)
    return pd.Series(np.array([*PLACE_REASONS, None], dtype=object)[found], index=places.index, dtype=object)


def plan_routes(
    visits: pd.DataFrame,
    starts: pd.DataFrame,
    *,
    as_of: date,
    timezone: str,
    day: WorkingDay,
    travel: Travel,
    returns: bool = True,
    iterations: int = 200,
    seed: int = 0,
) -> RoutePlan:
    """A route for every collector with visits.

    1. As many visits as fit; of equally many those that stand higher in the list; then the shortest way.
    2. A visit begins and ends within its window (a missing end is none) and within the working day.
    3. The collector leaves the start place as late as keeps every time, and is back by the end of the day.
    4. ``route_order`` counts all visits of a collector: the planned in their order, then those that did not fit by
       rank, then those without a place by zone, town and rank. The latter two have no planned time but a ``reason``.
    5. The same visits, in whatever order, give the same routes.

    Args:
        visits: collector_id, customer_id, contact_point_id, rank, latitude, longitude, window_start and window_end (UTC
            without zone), place_problem (:func:`place_problems`), zone and town (order of those without a place).
        starts: collector_id, start_kind (branch, collector), start_id, start_name, latitude, longitude. A collector
            without a row begins and ends with a visit (``start_kind`` first).
        as_of: day of the visits.
        timezone: in which the working day is written.
        day: hours and length of a visit.
        travel: distances.
        returns: whether the way back counts.
        iterations: of each search, several of which make a route.
        seed: of the searches.

    Raises:
        RuleError: a member appears twice, or a start place twice.
    """
    if visits["customer_id"].duplicated().any():
        raise RuleError("A member is among the visits twice; at most one visit a day can be planned.")
    if starts["collector_id"].duplicated().any():
        raise RuleError("A collector has two start places; give one.")
    clock = _Clock.of(as_of, timezone, day)
    ordered = visits.sort_values(["collector_id", "rank", "customer_id"]).reset_index(drop=True)
    begins = starts.set_index("collector_id")
    stops, routes = [], []
    for collector, group in ordered.groupby("collector_id", sort=True):
        start = begins.loc[collector] if collector in begins.index else None
        mine, route = _one_route(
            str(collector), group, start, clock, travel, returns=returns, iterations=iterations, seed=seed
        )
        stops.append(mine)
        routes.append(route)
    frame = pd.concat(stops, ignore_index=True) if stops else pd.DataFrame(columns=list(STOP_COLUMNS))
    return RoutePlan(_typed_stops(frame), pd.DataFrame(routes, columns=list(ROUTE_COLUMNS)).pipe(_typed_routes))


def starting_places(
    collectors: pd.DataFrame,
    branches: pd.DataFrame,
    visits: pd.DataFrame,
    *,
    start: Literal["branch", "collector", "first"],
) -> pd.DataFrame:
    """Where each collector with visits begins: rows for :func:`plan_routes`.

    ``branch``: the collector's own branch, else the one of most of the day's visits, else the nearest to them, each
    with coordinates. ``collector``: the collector's own coordinates, the branch where there are none. ``first``: no
    row, the day begins with the first visit.

    Args:
        collectors: collector_id, full_name, and branch_id, latitude, longitude.
        branches: branch_id, branch_name, latitude, longitude.
        visits: collector_id, branch_id (of the loan), latitude, longitude.
        start: which of the three.
    """
    columns = ["collector_id", "start_kind", "start_id", "start_name", "latitude", "longitude"]
    rows = []
    placed = branches.dropna(subset=["latitude", "longitude"]).sort_values("branch_id").set_index("branch_id")
    people = collectors.set_index("collector_id")
    for collector, group in visits.groupby("collector_id", sort=True) if start != "first" else ():
        person = people.loc[collector] if collector in people.index else None
        if start == "collector" and person is not None and pd.notna(person["latitude"] + person["longitude"]):
            place = ("collector", str(collector), person["full_name"], person["latitude"], person["longitude"])
        else:
            branch = _branch_of(person, placed, group)
            if branch is None:
                continue
            at = placed.loc[branch]
            place = ("branch", str(branch), at["branch_name"], at["latitude"], at["longitude"])
        rows.append((collector, *place))
    return pd.DataFrame(rows, columns=columns)


def _branch_of(person: pd.Series | None, placed: pd.DataFrame, group: pd.DataFrame) -> str | None:
    if person is not None and person["branch_id"] in placed.index:
        return str(person["branch_id"])
    named = group.loc[group["branch_id"].isin(placed.index), "branch_id"].value_counts()
    if len(named):
        return str(min(named.index[named == named.max()]))
    points = group.dropna(subset=["latitude", "longitude"])
    if placed.empty or points.empty:
        return None
    away = great_circle(
        placed["latitude"].to_numpy(float),
        placed["longitude"].to_numpy(float),
        float(points["latitude"].median()),
        float(points["longitude"].median()),
    )
    return str(placed.index[int(np.argmin(away))])


@dataclass(frozen=True)
class _Clock:
    """Seconds of the day on the wall, and on the clock that stands still at lunch; ``midnight`` in UTC."""

    midnight: pd.Timestamp
    start: int
    end: int
    lunch: int
    pause: int
    service: int

    @classmethod
    def of(cls, as_of: date, timezone: str, day: WorkingDay) -> _Clock:
        has_lunch = day.lunch_start is not None and day.start <= day.lunch_start < day.end and day.lunch_minutes > 0
        local = pd.Timestamp(as_of).tz_localize(timezone)
        return cls(
            midnight=local.tz_convert("UTC").tz_localize(None),
            start=day.start * 60,
            end=day.end * 60,
            lunch=(day.lunch_start or 0) * 60 if has_lunch else day.end * 60,
            pause=day.lunch_minutes * 60 if has_lunch else 0,
            service=day.service_minutes * 60,
        )

    def seconds(self, moments: pd.Series, missing: int) -> Ints:
        """Seconds after midnight of UTC moments; ``missing`` for none."""
        passed = (pd.to_datetime(moments) - self.midnight).dt.total_seconds()
        return passed.fillna(missing).to_numpy(dtype=np.float64).round().astype(np.int64)

    def early(self, wall: Ints) -> Ints:
        """Earliest start on the still clock that is not before ``wall``."""
        return np.where(wall <= self.lunch, wall, np.maximum(wall - self.pause, self.lunch))

    def late(self, wall: Ints) -> Ints:
        """Latest start on the still clock that is not after ``wall``: a start at lunch is told after it."""
        after = wall >= self.lunch + self.pause
        return np.where(after, wall - self.pause, np.minimum(wall, self.lunch - 1 if self.pause else wall))

    def latest_end(self) -> int:
        """Latest end of the day on the still clock."""
        return max(self.end - self.pause, min(self.end, self.lunch))

    def wall(self, still: Ints | int) -> Ints:
        """What the clock on the wall shows when something starts."""
        still = np.asarray(still, dtype=np.int64)
        return np.where(still >= self.lunch, still + self.pause, still)

    def wall_end(self, still: int) -> Ints:
        """What the clock on the wall shows when something ends: what ends as lunch begins ends before it."""
        return np.asarray(still + self.pause if still > self.lunch else still, dtype=np.int64)

    def moment(self, wall: Ints | int) -> pd.Series:
        return pd.Series(self.midnight + pd.to_timedelta(np.atleast_1d(wall), unit="s")).astype("datetime64[us]")


def _one_route(
    collector: str,
    group: pd.DataFrame,
    start: pd.Series | None,
    clock: _Clock,
    travel: Travel,
    *,
    returns: bool,
    iterations: int,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, object]]:
    size = len(group)
    reason = (
        group["place_problem"].astype(object).where(group["place_problem"].notna(), None).to_numpy(dtype=object).copy()
    )
    placed = np.flatnonzero(pd.isna(reason))
    opens = clock.seconds(group["window_start"], clock.start)
    closes = clock.seconds(group["window_end"], clock.end)
    early = clock.early(np.maximum(opens, clock.start))
    # a visit that begins before lunch is over when it says; one that begins after has its service after
    late = clock.late(np.minimum(closes, clock.end) - clock.service)
    short = closes - opens < clock.service
    for row in placed:
        if short[row]:
            reason[row] = WINDOW_TOO_SHORT
        elif early[row] > late[row]:
            reason[row] = WINDOW_OUTSIDE_DAY
    ids = ["", *group["contact_point_id"].astype(str)]
    points = pd.DataFrame(
        {
            "place_id": ids,
            "latitude": np.concatenate([[np.nan], group["latitude"].to_numpy(float)]),
            "longitude": np.concatenate([[np.nan], group["longitude"].to_numpy(float)]),
        }
    )
    if start is not None:
        points.loc[0, "place_id"] = f"{start['start_kind']}:{start['start_id']}"
        points.loc[0, ["latitude", "longitude"]] = [float(start["latitude"]), float(start["longitude"])]
    open_rows = np.flatnonzero(pd.isna(reason))
    order: list[int] = []
    metres = np.zeros((size + 1, size + 1), dtype=np.int64)
    seconds = np.zeros((size + 1, size + 1), dtype=np.int64)
    if open_rows.size:
        # without a start place the way to the first and from the last visit is nothing
        first = 0 if start is not None else 1
        nodes = np.concatenate([[0], open_rows + 1]) if start is not None else open_rows + 1
        found = travel.legs(points.iloc[nodes].reset_index(drop=True))
        if found.metres.shape != (len(nodes), len(nodes)) or found.seconds.shape != found.metres.shape:
            raise RuleError(f"The distances must be {len(nodes)} x {len(nodes)}, one per pair of places.")
        metres[np.ix_(nodes, nodes)] = found.metres
        seconds[np.ix_(nodes, nodes)] = found.seconds
        if not returns or first:
            metres[:, 0] = seconds[:, 0] = 0
        leaves = clock.early(np.array([clock.start]))[0]
        reach = np.maximum(leaves + seconds[0, open_rows + 1], early[open_rows])
        back = reach + clock.service + seconds[open_rows + 1, 0]
        alone = (reach <= late[open_rows]) & (back <= clock.latest_end())
        reason[open_rows[~alone]] = TOO_FAR
        reachable = Reachable(
            metres,
            seconds,
            early,
            late,
            int(leaves),
            clock.latest_end(),
            clock.service,
            group["rank"].to_numpy(np.int64),
        )
        order = best_route(reachable, open_rows[alone], iterations=iterations, seed=seed)
        left = np.setdiff1d(open_rows[alone], order)
        reason[left] = DAY_FULL
    begins, depart, end, waited = timetable(order, seconds, early, late, start=clock.start, service=clock.service)
    steps = np.array([0, *(row + 1 for row in order)], dtype=np.int64)
    planned = np.zeros(size, dtype=bool)
    planned[order] = True
    arrival, done = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    wall = clock.wall(np.array(begins, dtype=np.int64))
    arrival[order], done[order] = wall, wall + clock.service
    leg_metres, leg_seconds = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    leg_metres[order] = metres[steps[:-1], steps[1:]]
    leg_seconds[order] = seconds[steps[:-1], steps[1:]]
    position = np.zeros(size, dtype=np.int64)
    position[order] = np.arange(1, len(order) + 1)
    rest = _rest(group, reason)
    position[rest] = np.arange(len(order) + 1, size + 1)
    nothing = pd.Series(pd.NaT, index=range(size), dtype="datetime64[us]")
    stops = group[["collector_id", "customer_id", "contact_point_id", "rank", "latitude", "longitude"]].reset_index(
        drop=True
    )
    stops = stops.assign(
        route_order=position,
        is_planned=planned,
        reason=reason,
        planned_arrival=clock.moment(arrival).where(planned, nothing),
        planned_end=clock.moment(done).where(planned, nothing),
        leg_metres=pd.array(np.where(planned, leg_metres, 0), dtype="Int64"),
        leg_seconds=pd.array(np.where(planned, leg_seconds, 0), dtype="Int64"),
    )
    stops.loc[~planned, ["leg_metres", "leg_seconds"]] = pd.NA
    stops = stops.sort_values("route_order")[list(STOP_COLUMNS)]
    # the way back is part of the day even though no visit stands at its end
    home = int(metres[steps[-1], 0]) if order else 0
    way = int(seconds[steps[-1], 0]) if order else 0
    is_placed = pd.isna(reason) | np.isin(reason.astype(str), FIT_REASONS)
    route: dict[str, object] = {
        "collector_id": collector,
        "start_kind": "first" if start is None else start["start_kind"],
        "start_id": None if start is None else start["start_id"],
        "start_name": None if start is None else start["start_name"],
        "start_latitude": np.nan if start is None else float(start["latitude"]),
        "start_longitude": np.nan if start is None else float(start["longitude"]),
        "is_round_trip": returns and start is not None,
        "visit_count": size,
        "planned_count": len(order),
        "unfit_count": int((is_placed & ~planned).sum()),
        "unplaced_count": int((~is_placed).sum()),
        "departs_at": clock.moment(clock.wall(depart))[0] if order else pd.NaT,
        "returns_at": clock.moment(clock.wall_end(end + way))[0] if order else pd.NaT,
        "total_metres": int(leg_metres.sum()) + home,
        "travel_seconds": int(leg_seconds.sum()) + way,
        "waiting_seconds": waited,
        "service_seconds": clock.service * len(order),
    }
    return stops, route


def _rest(group: pd.DataFrame, reason: npt.NDArray[np.object_]) -> Ints:
    """Rows without a planned time: what did not fit by rank, then what has no place by zone, town and rank."""
    without_place = np.isin(reason.astype(str), PLACE_REASONS)
    table = pd.DataFrame(
        {
            "without_place": without_place,
            "zone": group["zone"].fillna("").astype(str).where(without_place, "").to_numpy(dtype=object),
            "town": group["town"].fillna("").astype(str).where(without_place, "").to_numpy(dtype=object),
            "rank": group["rank"].to_numpy(),
            "customer_id": group["customer_id"].to_numpy(dtype=object),
        }
    )
    waiting = table[~pd.isna(reason)]
    return waiting.sort_values(["without_place", "zone", "town", "rank", "customer_id"]).index.to_numpy(dtype=np.int64)


def _typed_stops(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.astype(
        {
            "rank": "int64",
            "route_order": "int64",
            "is_planned": bool,
            "planned_arrival": "datetime64[us]",
            "planned_end": "datetime64[us]",
            "leg_metres": "Int64",
            "leg_seconds": "Int64",
            "latitude": "float64",
            "longitude": "float64",
        }
    )
    return texts_or_none(frame, ("collector_id", "customer_id", "contact_point_id", "reason"))


def _typed_routes(frame: pd.DataFrame) -> pd.DataFrame:
    counts = ["visit_count", "planned_count", "unfit_count", "unplaced_count", "total_metres", "travel_seconds"]
    frame = frame.astype(
        {
            **dict.fromkeys([*counts, "waiting_seconds", "service_seconds"], "int64"),
            "is_round_trip": bool,
            "departs_at": "datetime64[us]",
            "returns_at": "datetime64[us]",
            "start_latitude": "float64",
            "start_longitude": "float64",
        }
    )
    return texts_or_none(frame, ("collector_id", "start_kind", "start_id", "start_name"))
