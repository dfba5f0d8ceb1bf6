"""Routes of the day: windows kept, no visit lost, as short as a simple route, every address that cannot be placed named."""

from __future__ import annotations

import itertools
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.decision import routes
from puntual.decision.routes import (
    CountryBox,
    RoadTable,
    RoutePlan,
    StraightLine,
    WorkingDay,
    great_circle,
    place_problems,
    plan_routes,
    starting_places,
    timetable,
    zone_centres,
)
from puntual.errors import RuleError

TUESDAY = date(2026, 6, 30)
ZONE = "America/Guayaquil"  # five hours behind UTC, all year
ECUADOR = CountryBox(south=-5.05, north=1.7, west=-92.1, east=-75.1)
AMBATO = (-1.249, -78.617)
NO_LUNCH = WorkingDay(lunch_start=None)
START = pd.DataFrame(
    {
        "collector_id": ["G1"],
        "start_kind": ["branch"],
        "start_id": ["B1"],
        "start_name": ["Ambato"],
        "latitude": [AMBATO[0]],
        "longitude": [AMBATO[1]],
    }
)


def local(clock: str) -> pd.Timestamp:
    return pd.Timestamp(f"2026-06-30 {clock}") + pd.Timedelta(hours=5)


def visits(*rows: dict) -> pd.DataFrame:
    """Visits near Ambato, open all day; ``north`` and ``east`` in kilometres from the branch."""
    full = []
    for number, row in enumerate(rows):
        row = dict(row)
        north, east = row.pop("north", 0.0), row.pop("east", 0.0)
        default = {
            "collector_id": "G1",
            "customer_id": f"C{number:03d}",
            "contact_point_id": f"K{number:03d}",
            "rank": number + 1,
            "latitude": AMBATO[0] + north / 111.195,
            "longitude": AMBATO[1] + east / 111.195,
            "window_start": local("07:00"),
            "window_end": local("19:00"),
            "place_problem": None,
            "zone": "tungurahua",
            "town": "Ambato",
            "branch_id": "B1",
        }
        full.append(default | row)
    frame = pd.DataFrame(full)
    return frame.astype({"place_problem": object, "window_start": "datetime64[us]", "window_end": "datetime64[us]"})


def drawn(seed: int, size: int, *, with_windows: bool) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(size):
        row: dict = {"north": random.normal(0, 4), "east": random.normal(0, 4)}
        if with_windows and random.random() < 0.5:
            opens = int(random.integers(8, 15))
            row |= {"window_start": local(f"{opens:02d}:00"), "window_end": local(f"{opens + 3:02d}:30")}
        rows.append(row)
    return visits(*rows)


def plan(wanted: pd.DataFrame, starts: pd.DataFrame = START, day: WorkingDay = NO_LUNCH, **more) -> RoutePlan:
    given_to = {"as_of": TUESDAY, "timezone": ZONE, "day": day, "travel": StraightLine()} | more
    return plan_routes(wanted, starts, **given_to)


def test_the_travel_time_of_a_leg_is_town_first_and_road_after():
    """13.5 km of road: 6 km at 20 km/h are 18 min, 7.5 km at 45 km/h are 10 min."""
    places = pd.DataFrame({"place_id": ["a", "b"], "latitude": [0.0, 10.0 / 111.195], "longitude": [-78.0, -78.0]})
    found = StraightLine(detour_factor=1.35, urban_speed_kmh=20, rural_speed_kmh=45, urban_km=6).legs(places)
    assert found.metres.tolist() == [[0, 13_500], [13_500, 0]]
    assert found.seconds.tolist() == [[0, 28 * 60], [28 * 60, 0]]


def test_one_visit_has_its_times_to_the_second():
    """5 km north are 6.75 km of road, at 22 km/h for 6 km and 45 for 0.75: 981.8 + 60 s = 17 min 22 s there."""
    found = plan(visits({"north": 5.0, "window_start": local("09:00"), "window_end": local("11:00")}))
    stop, route = found.stops.iloc[0], found.routes.iloc[0]
    assert stop["planned_arrival"] == local("09:00")
    assert stop["planned_end"] == local("09:20")
    assert (stop["leg_metres"], stop["leg_seconds"]) == (6750, 1042)
    assert route["departs_at"] == local("09:00") - pd.Timedelta(seconds=1042)
    assert route["returns_at"] == local("09:20") + pd.Timedelta(seconds=1042)
    assert (route["total_metres"], route["waiting_seconds"]) == (13_500, 0)


def test_lunch_is_taken_between_visits_and_moves_no_window():
    """Four visits in one place from 12:30: 12:30, 12:50 (over at 13:10), then lunch, then 14:10 and 14:30."""
    at_noon = {"window_start": local("12:30"), "window_end": local("15:00")}
    found = plan(visits(*(at_noon for _ in range(4))), day=WorkingDay(lunch_start=13 * 60, lunch_minutes=60)).stops
    assert found["planned_arrival"].dt.strftime("%H:%M").tolist() == ["17:30", "17:50", "19:10", "19:30"]
    closed = visits({"window_start": local("13:05"), "window_end": local("13:55")})
    assert plan(closed, day=WorkingDay()).stops["reason"].tolist() == [routes.WINDOW_OUTSIDE_DAY]
    assert plan(closed).stops["reason"].tolist() == [None]


def test_every_visit_that_does_not_fit_says_why_and_stays_in_the_list():
    far = {"north": 300.0}
    short = {"window_start": local("09:00"), "window_end": local("09:15")}
    evening = {"window_start": local("18:30"), "window_end": local("19:30")}
    nowhere = {"latitude": np.nan, "longitude": np.nan, "place_problem": routes.NO_COORDINATES}
    found = plan(visits(nowhere, far, short, evening, {"north": 1.0})).stops
    assert found["reason"].tolist() == [
        None,
        routes.TOO_FAR,
        routes.WINDOW_TOO_SHORT,
        routes.WINDOW_OUTSIDE_DAY,
        routes.NO_COORDINATES,
    ]
    assert found["route_order"].tolist() == [1, 2, 3, 4, 5]
    assert found["customer_id"].tolist() == ["C004", "C001", "C002", "C003", "C000"]
    assert found["planned_arrival"].notna().tolist() == [True, False, False, False, False]


def test_a_full_day_leaves_out_the_lowest_ranks():
    """08:00 to 10:00 has room for six visits of 20 minutes in one place."""
    found = plan(visits(*({} for _ in range(9))), day=WorkingDay(start=480, end=600, lunch_start=None)).stops
    assert found.loc[found["is_planned"], "customer_id"].sort_values().tolist() == [f"C{n:03d}" for n in range(6)]
    assert found.loc[~found["is_planned"], "reason"].tolist() == [routes.DAY_FULL] * 3


def test_addresses_without_a_place_go_by_zone_and_town_at_the_end():
    lost = {"place_problem": routes.OUTSIDE_COUNTRY}
    found = plan(
        visits(lost | {"town": "Pelileo"}, lost | {"town": "Ambato"}, {"north": 1.0}, lost | {"town": "Ambato"})
    ).stops
    assert found["customer_id"].tolist() == ["C002", "C001", "C003", "C000"]


def test_a_day_that_begins_with_the_first_visit_has_no_way_there():
    found = plan(visits({"north": 3.0}, {"north": 4.0}), START.iloc[:0])
    assert found.routes.iloc[0][["start_kind", "departs_at"]].tolist() == ["first", local("08:00")]
    assert found.routes.iloc[0]["total_metres"] == found.stops["leg_metres"].sum() == 1350


def two_opt_tour(metres: np.ndarray) -> tuple[int, list[int]]:
    """The baseline: nearest neighbour from place 0, then 2-opt until nothing is won; length and places of the trip."""
    left, tour = set(range(1, len(metres))), [0]
    while left:
        tour.append(min(left, key=lambda place: (metres[tour[-1], place], place)))
        left.remove(tour[-1])
    tour.append(0)
    improved = True
    while improved:
        improved = False
        for first in range(1, len(tour) - 2):
            for last in range(first + 1, len(tour) - 1):
                before = metres[tour[first - 1], tour[first]] + metres[tour[last], tour[last + 1]]
                after = metres[tour[first - 1], tour[last]] + metres[tour[first], tour[last + 1]]
                if after < before:
                    tour[first : last + 1] = tour[first : last + 1][::-1]
                    improved = True
    return int(sum(metres[here, there] for here, there in itertools.pairwise(tour))), tour


@pytest.mark.parametrize("size", [5, 15, 40])
def test_routes_are_never_longer_than_nearest_neighbour_and_two_opt(size):
    long_day = WorkingDay(start=0, end=24 * 60, lunch_start=None, service_minutes=5)
    for seed in range(3):
        wanted = drawn(seed, size, with_windows=False).assign(
            window_start=local("00:00"), window_end=local("00:00") + pd.Timedelta(days=1)
        )
        found = plan(wanted, day=long_day)
        assert found.stops["is_planned"].all()
        points = pd.concat(
            [START[["latitude", "longitude"]], wanted[["latitude", "longitude"]]], ignore_index=True
        ).assign(place_id="x")
        assert found.routes["total_metres"][0] <= two_opt_tour(StraightLine().legs(points).metres)[0]


def keeps_times(order: list[int], seconds: np.ndarray, early, late, day: WorkingDay) -> bool:
    """Whether every visit begins in its window and the way back ends in the day."""
    try:
        _, _, end, _ = timetable(order, seconds, early, late, start=day.start * 60, service=day.service_minutes * 60)
    except RuleError:
        return False
    return end + (seconds[order[-1] + 1, 0] if order else 0) <= day.end * 60


def nearest_neighbour_with_windows(seconds: np.ndarray, metres: np.ndarray, early, late, day: WorkingDay):
    """Greedy baseline under windows: always the nearest that still fits, then 2-opt moves that keep every window."""

    def fits(order):
        return keeps_times(order, seconds, early, late, day)

    def length(order):
        steps = [0, *(row + 1 for row in order), 0]
        return int(sum(metres[a, b] for a, b in itertools.pairwise(steps)))

    order: list[int] = []
    left = set(range(len(early)))
    while left:
        at = order[-1] + 1 if order else 0
        possible = [row for row in left if fits([*order, row])]
        if not possible:
            break
        order.append(min(possible, key=lambda row: (metres[at, row + 1], row)))
        left.remove(order[-1])
    improved = True
    while improved:
        improved = False
        for first in range(len(order)):
            for last in range(first + 1, len(order)):
                turned = order[:first] + order[first : last + 1][::-1] + order[last + 1 :]
                if length(turned) < length(order) and fits(turned):
                    order, improved = turned, True
    return order, length(order)


@given(st.integers(0, 100_000), st.integers(2, 18))
@settings(max_examples=20, deadline=None)
def test_every_window_is_kept_and_no_simple_route_serves_more_or_is_shorter(seed: int, size: int):
    wanted = drawn(seed, size, with_windows=True)
    found = plan(wanted)
    stops = found.stops.merge(wanted[["customer_id", "window_start", "window_end"]], on="customer_id")
    assert sorted(stops["customer_id"]) == sorted(wanted["customer_id"])
    assert sorted(stops["route_order"]) == list(range(1, size + 1))
    done = stops[stops["is_planned"]].sort_values("route_order")
    assert (done["planned_arrival"] >= done["window_start"]).all()
    assert (done["planned_end"] <= done["window_end"]).all()
    assert (done["planned_arrival"] >= local("08:00")).all()
    assert (found.routes["returns_at"].dropna() <= local("18:00")).all()
    # one after the other, with the way between them
    gap = (done["planned_arrival"] - done["planned_end"].shift()).dt.total_seconds().iloc[1:]
    assert (gap.to_numpy() >= done["leg_seconds"].iloc[1:].to_numpy(dtype=float)).all()
    assert stops.loc[~stops["is_planned"], "reason"].notna().all()

    points = pd.concat([START[["latitude", "longitude"]], wanted[["latitude", "longitude"]]], ignore_index=True)
    legs = StraightLine().legs(points.assign(place_id="x"))
    midnight = local("00:00")
    early = np.maximum((wanted["window_start"] - midnight).dt.total_seconds().to_numpy(int), 8 * 3600)
    late = np.minimum((wanted["window_end"] - midnight).dt.total_seconds().to_numpy(int), 18 * 3600) - 20 * 60
    simple, length = nearest_neighbour_with_windows(legs.seconds, legs.metres, early, late, NO_LUNCH)
    assert len(done) >= len(simple)
    if set(done["customer_id"]) == {f"C{row:03d}" for row in simple}:
        assert found.routes["total_metres"][0] <= length


LUNCH = WorkingDay(start=480, end=840, lunch_start=13 * 60, lunch_minutes=60, service_minutes=5)
FULL_DAYS = {
    "no_lunch": (WorkingDay(start=480, end=780, lunch_start=None, service_minutes=5), False),
    "windows": (WorkingDay(start=480, end=780, lunch_start=None, service_minutes=5), True),
    "lunch": (LUNCH, False),
    "lunch_and_windows": (LUNCH, True),
}


def on_the_still_clock(wanted: pd.DataFrame, day: WorkingDay) -> tuple[np.ndarray, np.ndarray, WorkingDay]:
    """Earliest and latest start of each visit and the day, in which an hour of lunch at 13:00 has no length."""
    midnight, noon, pause = local("00:00"), 13 * 3600, 3600 if day.lunch_start is not None else 0
    opens = np.maximum((wanted["window_start"] - midnight).dt.total_seconds().to_numpy(int), day.start * 60)
    ends = np.minimum((wanted["window_end"] - midnight).dt.total_seconds().to_numpy(int), day.end * 60)
    starts = ends - day.service_minutes * 60
    if not pause:
        return opens, starts, day
    early = np.where(opens <= noon, opens, np.maximum(opens - pause, noon))
    late = np.where(starts >= noon + pause, starts - pause, np.minimum(starts, noon - 1))
    still = WorkingDay(
        start=day.start, end=day.end - pause // 60, lunch_start=None, service_minutes=day.service_minutes
    )
    return early, late, still


@pytest.mark.parametrize("seed", [3, 15, 18, 23, 41, 53, 58])
@pytest.mark.parametrize("kind", FULL_DAYS)
def test_a_day_with_more_visits_than_it_holds_is_no_longer_and_no_poorer_than_simple_routes(kind: str, seed: int):
    """The same visits are not served on a shorter way by nearest neighbour and 2-opt, nor does it serve more or higher."""
    day, with_windows = FULL_DAYS[kind]
    wanted = drawn(100 * (list(FULL_DAYS).index(kind) + 1) + seed, 45, with_windows=with_windows)
    found = plan(wanted, day=day)
    points = pd.concat([START[["latitude", "longitude"]], wanted[["latitude", "longitude"]]], ignore_index=True)
    legs = StraightLine().legs(points.assign(place_id="x"))
    early, late, still = on_the_still_clock(wanted, day)
    planned = found.stops[found.stops["is_planned"]]
    assert 10 < len(planned) < 45
    assert (found.stops.loc[~found.stops["is_planned"], "reason"].isin(routes.FIT_REASONS)).all()

    rows = np.sort(planned["customer_id"].str[1:].astype(int).to_numpy())
    nodes = np.concatenate([[0], rows + 1])
    seconds, metres = legs.seconds[np.ix_(nodes, nodes)], legs.metres[np.ix_(nodes, nodes)]
    length = found.routes["total_metres"][0]
    same, with_times = nearest_neighbour_with_windows(seconds, metres, early[rows], late[rows], still)
    if len(same) == len(rows):
        assert length <= with_times
    free, tour = two_opt_tour(metres)
    for order in (tour[1:-1], tour[-2:0:-1]):
        if keeps_times([place - 1 for place in order], seconds, early[rows], late[rows], still):
            assert length <= free

    simple, _ = nearest_neighbour_with_windows(legs.seconds, legs.metres, early, late, still)
    ranks = wanted["rank"].to_numpy()
    assert (-len(planned), planned["rank"].sum()) <= (-len(simple), ranks[simple].sum())


def test_the_room_that_a_shorter_way_leaves_is_filled():
    """Of the visits left out of a full day none fits between two others, nor before the first or after the last."""
    day, _ = FULL_DAYS["windows"]
    for seed in range(4):
        wanted = drawn(900 + seed, 45, with_windows=True)
        found = plan(wanted, day=day)
        points = pd.concat([START[["latitude", "longitude"]], wanted[["latitude", "longitude"]]], ignore_index=True)
        seconds = StraightLine().legs(points.assign(place_id="x")).seconds
        early, late, still = on_the_still_clock(wanted, day)
        order = found.stops[found.stops["is_planned"]]["customer_id"].str[1:].astype(int).tolist()
        assert keeps_times(order, seconds, early, late, still)
        for row in set(range(45)) - set(order):
            for place in range(len(order) + 1):
                assert not keeps_times([*order[:place], row, *order[place:]], seconds, early, late, still)


@given(st.integers(0, 1000))
@settings(max_examples=3, deadline=None)
def test_the_same_visits_in_any_order_give_the_same_routes(seed: int):
    wanted = pd.concat([drawn(seed, 9, with_windows=True), drawn(seed + 1, 7, with_windows=True)], ignore_index=True)
    wanted = wanted.assign(
        customer_id=[f"C{n}" for n in range(16)], contact_point_id=[f"K{n}" for n in range(16)],
        collector_id=["G1"] * 9 + ["G2"] * 7,
    )  # fmt: skip
    first, second = plan(wanted), plan(wanted.sample(frac=1, random_state=seed))
    pd.testing.assert_frame_equal(first.stops, second.stops)
    pd.testing.assert_frame_equal(first.routes, second.routes)
    pd.testing.assert_frame_equal(first.stops, plan(wanted).stops)


def test_what_is_wrong_with_an_address_is_named():
    places = pd.DataFrame(
        {
            "latitude": [-1.25, np.nan, 0.0, -78.6, 1.25, 40.4, -3.99, -100.0, -60.0],
            "longitude": [-78.6, -78.6, 0.0, -1.25, 78.6, -3.7, -79.2, -78.0, 30.0],
            "zone": ["tungurahua"] * 9,
        }
    )
    centres = pd.DataFrame({"latitude": [-1.249], "longitude": [-78.617]}, index=["tungurahua"])
    found = place_problems(places, box=ECUADOR, centres=centres, zone_radius_km=120)
    assert found.tolist() == [
        None,
        routes.NO_COORDINATES,
        routes.IMPOSSIBLE_COORDINATES,
        routes.SWAPPED_COORDINATES,
        routes.WRONG_SIGN,
        routes.OUTSIDE_COUNTRY,
        routes.FAR_FROM_ZONE,
        routes.IMPOSSIBLE_COORDINATES,
        routes.OUTSIDE_COUNTRY,
    ]
    unknown = place_problems(places, box=None, centres=centres.iloc[:0], zone_radius_km=120)
    assert unknown.tolist()[:3] == [None, routes.NO_COORDINATES, routes.IMPOSSIBLE_COORDINATES]


def test_the_middle_of_a_zone_is_not_moved_by_strays():
    zones = pd.Series(["loja"] * 5)
    found = zone_centres(
        zones, pd.Series([-4.0, -3.99, -3.98, 1.0, 40.0]), pd.Series([-79.2, -79.2, -79.2, -78.0, -3.0]), ECUADOR
    )
    assert found.loc["loja"].tolist() == pytest.approx([-3.985, -79.2])


def test_a_table_of_roads_replaces_the_line_where_it_has_the_pair():
    places = pd.DataFrame(
        {"place_id": ["branch:B1", "K1", "K2"], "latitude": [0.0, 0.1, 0.2], "longitude": [-78.0] * 3}
    )
    roads = pd.DataFrame(
        {"from_id": ["branch:B1", "K1"], "to_id": ["K1", "branch:B1"], "metres": [9, 8], "seconds": [7, 6]}
    )
    line = StraightLine()
    found = RoadTable(roads, line).legs(places)
    assert (found.metres[0, 1], found.metres[1, 0], found.seconds[0, 1], found.seconds[1, 0]) == (9, 8, 7, 6)
    assert found.metres[1, 2] == line.legs(places).metres[1, 2]
    one_way = RoadTable(roads.iloc[:1], line).legs(places)
    assert (one_way.metres[1, 0], one_way.seconds[1, 0]) == (9, 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="seconds"), "no column seconds"),
        (lambda t: t.assign(metres=-1), "no number from 0"),
        (lambda t: t.assign(metres="near"), "no number from 0"),
        (lambda t: pd.concat([t, t]), "twice"),
    ],
)
def test_a_table_of_roads_that_is_wrong_is_refused(change, message):
    roads = pd.DataFrame({"from_id": ["a"], "to_id": ["b"], "metres": [1], "seconds": [1]})
    with pytest.raises(RuleError, match=message):
        RoadTable(change(roads))


def test_a_route_follows_the_roads_it_is_given():
    """In a line b, start, a: by the line 1 km each way; a river between start and a makes the table send b first."""
    wanted = visits({"north": 1.0}, {"north": 1.2}, {"north": -1.0})
    ids = ["branch:B1", "K000", "K001", "K002"]
    far = {(0, 1): 50_000, (0, 2): 1_000, (0, 3): 1_000, (1, 2): 1_000, (1, 3): 1_000, (2, 3): 60_000}
    roads = pd.DataFrame(
        [{"from_id": ids[a], "to_id": ids[b], "metres": m, "seconds": m // 10} for (a, b), m in far.items()]
    )
    order = plan(wanted, travel=RoadTable(roads)).stops["customer_id"].tolist()
    assert order in (["C001", "C000", "C002"], ["C002", "C000", "C001"])
    assert plan(wanted, travel=RoadTable(roads)).routes["total_metres"][0] == 4_000


def test_where_a_collector_begins():
    people = pd.DataFrame(
        {
            "collector_id": ["G1", "G2", "G3"],
            "full_name": ["Ana", "Luis", "Zoe"],
            "branch_id": ["B2", None, "B9"],
            "latitude": [-1.0, np.nan, np.nan],
            "longitude": [-78.0, np.nan, np.nan],
        }
    )
    branches = pd.DataFrame(
        {
            "branch_id": ["B1", "B2", "B3"],
            "branch_name": ["uno", "dos", "tres"],
            "latitude": [-1.25, -2.0, np.nan],
            "longitude": [-78.6, -79.0, np.nan],
        }
    )
    wanted = pd.concat(
        [
            visits({}).assign(collector_id="G1"),
            visits({}, {}).assign(collector_id="G2", branch_id=["B3", "B2"]),
            visits({}).assign(collector_id="G3", branch_id=None),
        ]
    )
    by_branch = starting_places(people, branches, wanted, start="branch")
    assert by_branch["start_id"].tolist() == ["B2", "B2", "B1"]
    at_home = starting_places(people, branches, wanted, start="collector")
    assert at_home["start_kind"].tolist() == ["collector", "branch", "branch"]
    assert starting_places(people, branches, wanted, start="first").empty


def test_nobody_is_visited_twice():
    with pytest.raises(RuleError, match="twice"):
        plan(visits({"customer_id": "a"}, {"customer_id": "a"}))


def test_a_day_without_visits_has_no_routes():
    found = plan(visits({}).iloc[:0])
    assert found.stops.empty
    assert found.routes.empty


def test_the_distance_on_the_globe_is_that_of_a_known_pair():
    """Quito to Guayaquil by air: 269 km."""
    assert float(great_circle(-0.2202, -78.5123, -2.1894, -79.8891)) == pytest.approx(269_000, rel=0.01)
