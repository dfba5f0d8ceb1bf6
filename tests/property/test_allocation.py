"""Laws of the allocation on random cases: never above a capacity, never above the bound, never below the best."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.decision.allocate import allocate, most_served
from puntual.decision.capacity import Capacity, Cell
from tests.unit.decision.exact import best_value, covers, weight_of

CHANNELS = ["call", "visit", "whatsapp", "sms"]
ZONES = ["a", "b", None]


@st.composite
def cases(draw):
    rows = draw(st.integers(1, 14))
    # small whole values make ties, the hard part of repairing a choice; money has no parts below a hundredth of a cent
    number = st.integers(-3, 12) if draw(st.booleans()) else st.floats(-3, 12).map(lambda one: round(one, 4))
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
@settings(max_examples=100, deadline=None)
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
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_rows_does_not_change_the_value(case, random):
    value, allowed, zones, capacities = case
    order = list(range(len(value)))
    random.shuffle(order)
    first = allocate(value, allowed, capacities, channels=CHANNELS, zones=zones)
    second = allocate(value[order], allowed[order], capacities, channels=CHANNELS, zones=zones[order])
    assert np.isclose(first.value, second.value)


@st.composite
def hard_cases(draw):
    """Beside pools and nested limits: a limit inside pooled cells, limits that cross, and a budget in money."""
    value, allowed, zones, capacities = draw(cases())
    size = st.integers(0, 6)
    extra = [
        Capacity("calls in the morning", (Cell("call"),), draw(size)),
        Capacity("whatsapp or call", (Cell("call"), Cell("whatsapp")), draw(size)),
        Capacity("anything in a", (Cell("visit", "a"), Cell("sms", "a"), Cell("whatsapp", "a")), draw(size)),
        Capacity(
            "money",
            (Cell("call"), Cell("visit"), Cell("sms")),
            draw(st.integers(0, 30)),
            weights=(4, 9, 1),
            is_money=True,
        ),
    ]
    return value, allowed, zones, [*capacities, *(one for one in extra if draw(st.booleans()))]


def broken(found, capacities, zones) -> list[str]:
    """Names of the limits that a choice exceeds, counted anew."""
    chosen = np.flatnonzero(found.choice >= 0)
    return [
        capacity.name
        for position, capacity in enumerate(capacities)
        if found.used[position] > capacity.count
        or (
            capacity.kind == "limit"
            and sum(weight_of(capacity, CHANNELS[found.choice[row]], zones[row]) for row in chosen) > capacity.count
        )
    ]


@given(hard_cases())
@settings(max_examples=60, deadline=None)
def test_capacities_of_any_kind_are_kept_and_the_choice_is_within_a_thousandth_of_the_best(case):
    value, allowed, zones, capacities = case
    found = allocate(value, allowed, capacities, channels=CHANNELS, zones=zones)
    assert not broken(found, capacities, zones)
    exact = best_value(value, allowed, capacities, CHANNELS, zones)
    assert found.value >= exact * (1 - 1e-3) - 1e-9
    assert found.dual_bound >= exact * (1 - 1e-9) - 1e-9
    assert found.gap <= 1e-3 + 1e-9


@given(hard_cases(), st.data())
@settings(max_examples=40, deadline=None)
def test_who_must_be_served_is_and_the_rest_is_still_the_best(case, data):
    value, allowed, zones, capacities = case
    named = np.array(data.draw(st.lists(st.booleans(), min_size=len(value), max_size=len(value))))
    first = np.array(data.draw(st.lists(st.booleans(), min_size=len(value), max_size=len(value))))
    network = [one for one in capacities if one.name in {"call", "both-a", "both-b", "visit-a", "whatsapp", "messages"}]
    served = most_served(first[named], value[named], allowed[named], network, channels=CHANNELS, zones=zones[named])
    must = np.zeros(len(value), dtype=bool)
    must[np.flatnonzero(named)[served.choice >= 0]] = True
    # as many as possible, those of `first` before all: by the exact solver
    weights = np.where(first, 100.0, 1.0)[:, None] * np.ones(value.shape)
    most = best_value(weights * named[:, None], allowed & named[:, None], network, CHANNELS, zones)
    assert weights[must].sum() / len(CHANNELS) == most
    found = allocate(value, allowed, network, channels=CHANNELS, zones=zones, must=must)
    assert (found.choice[must] >= 0).all() and not broken(found, network, zones)
    exact = best_value(value, allowed, network, CHANNELS, zones, must)
    assert np.isclose(found.value, exact, rtol=1e-9, atol=1e-9)
    assert found.is_optimal
