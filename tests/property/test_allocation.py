"""Laws of the allocation on random cases: never above a capacity, never above the bound, never below the best."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.decision.allocate import allocate
from puntual.decision.capacity import Capacity, Cell
from tests.unit.decision.exact import best_value, covers

CHANNELS = ["call", "visit", "whatsapp", "sms"]
ZONES = ["a", "b", None]


@st.composite
def cases(draw):
    rows = draw(st.integers(1, 14))
    # small whole values make ties, the hard part of repairing a choice
    number = st.integers(-3, 12) if draw(st.booleans()) else st.floats(-3, 12, width=32)
    value = np.array(
        draw(st.lists(st.lists(number, min_size=4, max_size=4), min_size=rows, max_size=rows)), dtype=float
    )
    allowed = np.array(
        draw(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=rows, max_size=rows)), dtype=bool
    )
    zones = np.array(draw(st.lists(st.sampled_from(ZONES), min_size=rows, max_size=rows)), dtype=object)
    size = st.integers(0, 5)
    capacities = [
        Capacity("call", (Cell("call"),), draw(size), "pool"),
        Capacity("both-a", (Cell("call"), Cell("visit", "a")), draw(size), "pool"),
        Capacity("both-b", (Cell("call"), Cell("visit", "b")), draw(size), "pool"),
        Capacity("visit-a", (Cell("visit", "a"),), draw(size), "pool"),
        Capacity("whatsapp", (Cell("whatsapp"),), draw(size)),
        Capacity("messages", (Cell("whatsapp"), Cell("sms")), draw(size)),
    ]
    return value, allowed, zones, capacities


@given(cases())
@settings(max_examples=150, deadline=None)
def test_the_choice_is_the_best_within_every_capacity(case):
    value, allowed, zones, capacities = case
    found = allocate(value, allowed, capacities, channels=CHANNELS, zones=zones)
    chosen = np.flatnonzero(found.choice >= 0)
    assert allowed[chosen, found.choice[chosen]].all()
    assert found.value == np.float64(value[chosen, found.choice[chosen]].sum()) or np.isclose(
        found.value, value[chosen, found.choice[chosen]].sum()
    )
    exact = best_value(value, allowed, capacities, CHANNELS, zones)
    assert found.value >= exact * (1 - 1e-9) - 1e-9
    assert found.dual_bound >= found.value
    assert found.gap <= 1e-3
    for position, capacity in enumerate(capacities):
        assert found.used[position] <= capacity.count
        if capacity.kind == "limit":
            using = sum(covers(capacity, CHANNELS[found.choice[row]], zones[row]) for row in chosen)
            assert using == found.used[position]


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_rows_does_not_change_the_value(case, random):
    value, allowed, zones, capacities = case
    order = list(range(len(value)))
    random.shuffle(order)
    first = allocate(value, allowed, capacities, channels=CHANNELS, zones=zones)
    second = allocate(value[order], allowed[order], capacities, channels=CHANNELS, zones=zones[order])
    assert np.isclose(first.value, second.value)
