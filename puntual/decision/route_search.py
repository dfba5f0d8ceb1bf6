"""The order of one collector's visits: as many as fit, of equally many the higher in the list, then the shortest way.

Three searches, each of which starts from what the one before has found and none of which can lose what it has:

1. PyVRP chooses the visits (iterated local search, each visit at a prize), and so does a simple route that goes to the
   nearest that still fits. The better choice counts.
2. With the choice fixed, PyVRP and 2-opt shorten the way in turn: prizes outweigh metres so much that the first search
   spends its iterations on them, and PyVRP has no move that turns a piece of a route around. Nearest neighbour with
   2-opt on the same visits is among the starts, so no route is longer than that one where it keeps the times.
3. Where the shorter way has room for another visit, it is put in and the way shortened again.

Everything is counted in iterations and moves, never in time: the same visits give the same route on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from puntual.errors import RuleError

Ints = npt.NDArray[np.int64]

_BROKEN = "The search gave a route that breaks a window; report it with the day's inputs."


@dataclass(frozen=True)
class Reachable:
    """Visits and the ways between them; row r is place r + 1 of the matrices, place 0 the start.

    Attributes:
        metres: from place to place.
        seconds: likewise.
        early: earliest start of each row's visit, on a clock of seconds.
        late: latest start.
        leaves: earliest departure.
        latest_end: back at the start by then.
        service: seconds of a visit.
        rank: of each row in the collector's list; lower is higher.
    """

    metres: Ints
    seconds: Ints
    early: Ints
    late: Ints
    leaves: int
    latest_end: int
    service: int
    rank: Ints

    def length(self, order: Sequence[int]) -> int:
        """Metres of the way there, through ``order`` and back."""
        steps = np.array([0, *(row + 1 for row in order), 0])
        return int(self.metres[steps[:-1], steps[1:]].sum())

    def keeps(self, order: Sequence[int]) -> bool:
        """Whether ``order`` begins each visit in its window and is back in time."""
        now, at = self.leaves, 0
        for row in order:
            now = max(now + int(self.seconds[at, row + 1]), int(self.early[row]))
            if now > self.late[row]:
                return False
            now, at = now + self.service, row + 1
        return now + int(self.seconds[at, 0]) <= self.latest_end

    def order_of_worth(self, order: Sequence[int]) -> tuple[int, int, int]:
        """Sorts orders, the best first: most visits, then the highest in the list, then the shortest."""
        return -len(order), int(self.rank[list(order)].sum()), self.length(order)


def best_route(day: Reachable, rows: Ints, *, iterations: int, seed: int) -> list[int]:
    """The rows to visit, in order.

    Args:
        day: the visits.
        rows: those that could be made alone; the others are never visited.
        iterations: of each search of PyVRP.
        seed: of the searches.

    Raises:
        RuleError: the search broke a window, which is an error of the program.
    """
    if rows.size <= 1:
        return [int(row) for row in rows]
    best = min(_chosen(day, rows, iterations, seed), _with_more(day, _nearest(day, rows), rows), key=day.order_of_worth)
    while True:
        best = _shortened(day, best, iterations, seed, is_whole=len(best) == len(rows))
        fuller = _with_more(day, best, rows)
        if len(fuller) == len(best):
            return _less_waiting(day, best)
        best = fuller


def _chosen(day: Reachable, rows: Ints, iterations: int, seed: int) -> list[int]:
    """Which rows PyVRP visits, in its order."""
    count = len(rows)
    nodes = np.concatenate([[0], rows + 1])
    # one visit more is worth the longest way through all of them; all ranks together are worth half a visit
    visit = (count + 2) * int(day.metres[np.ix_(nodes, nodes)].max()) + 1
    step = max(visit // (count * (count + 1)), 1)
    place = np.argsort(np.argsort(day.rank[rows], kind="stable"), kind="stable")
    # an empty day keeps every window, so what comes out does too
    return _solved(day, rows, visit + step * (count - place), [], iterations, seed)


def _solved(
    day: Reachable, rows: Ints, prizes: Ints | None, start: list[list[int]], iterations: int, seed: int
) -> list[int]:
    """PyVRP's route from ``start`` (routes of positions in ``rows``); without prizes every row must be visited."""
    import pyvrp  # a third of a second: only where there is a route to plan
    from pyvrp.stop import MaxIterations

    nodes = np.concatenate([[0], rows + 1])
    data = pyvrp.ProblemData(
        locations=[pyvrp.Location(0, 0) for _ in nodes],
        depots=[pyvrp.Depot(0)],
        clients=[
            pyvrp.Client(
                number + 1,
                service_duration=day.service,
                tw_early=int(day.early[row]),
                tw_late=int(day.late[row]),
                prize=0 if prizes is None else int(prizes[number]),
                required=prizes is None,
            )
            for number, row in enumerate(rows)
        ],
        vehicle_types=[pyvrp.VehicleType(tw_early=day.leaves, tw_late=day.latest_end, unit_distance_cost=1)],
        distance_matrices=[day.metres[np.ix_(nodes, nodes)]],
        duration_matrices=[day.seconds[np.ix_(nodes, nodes)]],
    )
    found = pyvrp.solve(
        data,
        MaxIterations(iterations),
        seed=seed,
        collect_stats=False,
        display=False,
        initial_solution=pyvrp.Solution(data, start),
    ).best
    if not found.is_feasible():
        raise RuleError(_BROKEN)
    routes = found.routes()
    return [int(rows[activity.idx]) for activity in routes[0] if activity.is_client()] if routes else []


def _shortened(day: Reachable, order: list[int], iterations: int, seed: int, *, is_whole: bool) -> list[int]:
    """The same visits on the shortest way that PyVRP and 2-opt find, from ``order`` and from the nearest neighbour.

    ``is_whole``: ``order`` leaves nothing out, so that the search that found it went for metres already.
    """
    if len(order) < 3:
        return order
    rows = np.array(sorted(order), dtype=np.int64)
    starts = [_two_opt(day, order)]
    simple = _nearest(day, rows)
    if len(simple) == len(order):
        starts.append(_two_opt(day, simple))
    # without the times on the way the baseline goes further; it counts where it happens to keep them
    free = _two_opt(day, _nearest(day, rows, timed=False), timed=False)
    starts += [turn for turn in (free, free[::-1]) if day.keeps(turn)]
    best = min(starts, key=day.length)
    if is_whole and day.length(best) == day.length(order):
        return order
    position = {int(row): number for number, row in enumerate(rows)}
    while True:
        again = _two_opt(day, _solved(day, rows, None, [[position[row] for row in best]], iterations, seed))
        if day.length(again) >= day.length(best):
            return best
        best = again


def _nearest(day: Reachable, rows: Ints, *, timed: bool = True) -> list[int]:
    """Always on to the nearest that still fits, the lower row of two; not ``timed``: to the nearest."""
    order: list[int] = []
    left = np.sort(rows)
    now, at = day.leaves, 0
    while left.size:
        begins = np.maximum(now + day.seconds[at, left + 1], day.early[left])
        back = begins + day.service + day.seconds[left + 1, 0]
        possible = left[(begins <= day.late[left]) & (back <= day.latest_end)] if timed else left
        if not possible.size:
            break
        row = int(possible[np.argmin(day.metres[at, possible + 1])])
        now = max(now + int(day.seconds[at, row + 1]), int(day.early[row])) + day.service
        at = row + 1
        order.append(row)
        left = left[left != row]
    return order


def _two_opt(day: Reachable, order: list[int], *, timed: bool = True) -> list[int]:
    """Pieces of the route turned around, the most won first, until no turn wins; ``timed``: that keeps every window."""
    while True:
        for turned in _shorter_turns(day, order):
            if not timed or day.keeps(turned):
                order = turned
                break
        else:
            return order


def _shorter_turns(day: Reachable, order: list[int]) -> Iterator[list[int]]:
    """All routes with one piece turned around that are shorter, the shortest first."""
    steps = np.array([0, *(row + 1 for row in order), 0], dtype=np.int64)
    inner = steps[1:-1]
    first, last = np.triu_indices(len(order), 1)
    before, after = steps[:-2], steps[2:]
    # a road can be longer one way than the other, so the inside of the piece counts too
    there = np.concatenate([[0], np.cumsum(day.metres[inner[:-1], inner[1:]])])
    back = np.concatenate([[0], np.cumsum(day.metres[inner[1:], inner[:-1]])])
    won = (
        day.metres[before[first], inner[first]]
        + day.metres[inner[last], after[last]]
        + (there[last] - there[first])
        - day.metres[before[first], inner[last]]
        - day.metres[inner[first], after[last]]
        - (back[last] - back[first])
    )
    better = np.flatnonzero(won > 0)
    for turn in better[np.argsort(-won[better], kind="stable")]:
        start, end = int(first[turn]), int(last[turn]) + 1
        yield order[:start] + order[start:end][::-1] + order[end:]


def _with_more(day: Reachable, order: list[int], rows: Ints) -> list[int]:
    """``order`` with every further row that still fits somewhere, the one that delays least first, then by rank."""
    order = list(order)
    left = sorted(set(rows.tolist()) - set(order), key=lambda row: (day.rank[row], row))
    while left:
        # when each visit begins, and by when it must so that all later ones can
        steps = np.array([0, *(row + 1 for row in order)], dtype=np.int64)
        free = np.full(len(steps), day.leaves, dtype=np.int64)
        for number, row in enumerate(order, 1):
            there = free[number - 1] + day.seconds[steps[number - 1], row + 1]
            free[number] = max(there, day.early[row]) + day.service
        due = np.full(len(steps), day.latest_end, dtype=np.int64)
        for number in range(len(order) - 1, -1, -1):
            row, after = order[number], int(steps[number + 2]) if number + 2 < len(steps) else 0
            due[number] = min(day.late[row], due[number + 1] - day.seconds[row + 1, after] - day.service)
        following = np.append(steps[1:], 0)
        found: tuple[int, int, int] | None = None
        for row in left:
            begins = np.maximum(free + day.seconds[steps, row + 1], day.early[row])
            reaches = begins + day.service + day.seconds[row + 1, following]
            delay = reaches - free - day.seconds[steps, following]
            for at in np.flatnonzero((begins <= day.late[row]) & (reaches <= due)):
                if found is None or delay[at] < found[0]:
                    found = int(delay[at]), int(at), row
        if found is None:
            break
        _, place, row = found
        order.insert(place, row)
        left.remove(row)
    return order


def _less_waiting(day: Reachable, order: list[int]) -> list[int]:
    """The route or its reverse: where both are as long and keep every window, the one with less waiting."""
    best: tuple[int, int] | None = None
    answer = order
    for candidate in (order, order[::-1]):
        if not day.keeps(candidate):
            continue
        waited = timetable(candidate, day.seconds, day.early, day.late, start=day.leaves, service=day.service)[3]
        value = (day.length(candidate), waited)
        if best is None or value < best:
            best, answer = value, candidate
    return answer


def timetable(
    order: Sequence[int], seconds: Ints, early: Ints, late: Ints, *, start: int, service: int
) -> tuple[list[int], int, int, int]:
    """When each visit of ``order`` begins, when the collector leaves, when the last visit ends, and the waiting.

    Leaving ``start`` at the earliest, and then as much later as moves no visit's end of the day and breaks no window.

    Args:
        order: rows; row r is place r + 1 of ``seconds``, place 0 the start.
        seconds: travel between places.
        early: earliest start of each row's visit.
        late: latest.
        start: earliest departure.
        service: length of a visit.

    Raises:
        RuleError: a visit would begin after its latest start.
    """

    def walk(leave: int) -> tuple[list[int], int]:
        now, at, begins, waited = leave, 0, [], 0
        for row in order:
            there = now + int(seconds[at, row + 1])
            begin = max(there, int(early[row]))
            if begin > late[row]:
                raise RuleError("A visit of the route would begin after its window.")
            waited += begin - there
            begins.append(begin)
            now, at = begin + service, row + 1
        return begins, waited

    begins, waited = walk(start)
    slack, sofar, now, at = waited, 0, start, 0
    for row, begin in zip(order, begins, strict=True):
        sofar += begin - (now + int(seconds[at, row + 1]))
        slack = min(slack, sofar + int(late[row]) - begin)
        now, at = begin + service, row + 1
    leave = start + slack
    begins, waited = walk(leave)
    return begins, leave, (begins[-1] + service if begins else leave), waited
