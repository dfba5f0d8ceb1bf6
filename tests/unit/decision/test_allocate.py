"""Allocation on cases that can be done by hand, prices against finite differences, and size."""

from __future__ import annotations

import time

import numpy as np
import pytest

from puntual.decision.allocate import allocate
from puntual.decision.capacity import Capacity, Cell
from puntual.errors import RuleError
from tests.unit.decision.exact import best_value

CHANNELS = ["call", "sms"]


def everyone(value) -> np.ndarray:
    return np.ones(np.shape(value), dtype=bool)


def test_scarce_calls_go_where_they_add_most_over_the_message():
    # calls are worth 10, 9, 8 and messages 9, 2, 1: the one call adds 1, 7, 7 -> the second row
    value = np.array([[10.0, 9.0], [9.0, 2.0], [8.0, 1.0]])
    capacities = [Capacity("call", (Cell("call"),), 1, "pool"), Capacity("sms", (Cell("sms"),), 2)]
    found = allocate(value, everyone(value), capacities, channels=CHANNELS)
    assert found.choice.tolist() == [1, 0, 1]
    assert found.value == 9 + 9 + 1
    assert found.is_optimal and found.gap < 1e-12
    # one more call would turn the third row's 1 into 8; one more message has nobody left to serve
    assert found.prices.tolist() == [7.0, 0.0]


def test_nobody_is_contacted_for_less_than_nothing_or_against_a_rule():
    value = np.array([[-1.0, 0.0], [5.0, np.nan], [5.0, 4.0]])
    allowed = np.array([[True, True], [False, True], [False, True]])
    found = allocate(value, allowed, [], channels=CHANNELS)
    assert found.choice.tolist() == [-1, -1, 1]


def test_collectors_with_two_skills_are_counted_once():
    # two people who call or visit in Loja, one who only calls: three contacts in all, visits only in Loja
    capacities = [
        Capacity("both", (Cell("call"), Cell("visit", "loja")), 2, "pool"),
        Capacity("call", (Cell("call"),), 1, "pool"),
    ]
    value = np.array([[5.0, 9.0], [5.0, 9.0], [4.0, 9.0], [3.0, 9.0]])
    zones = np.array(["loja", "loja", "quito", None], dtype=object)
    found = allocate(value, everyone(value), capacities, channels=["call", "visit"], zones=zones)
    assert found.choice.tolist() == [1, 1, 0, -1]
    assert found.used.tolist() == [2, 1]
    assert found.value == 9 + 9 + 4


def test_a_limit_around_two_channels_holds_beside_their_own():
    capacities = [
        Capacity("sms", (Cell("sms"),), 2),
        Capacity("whatsapp", (Cell("whatsapp"),), 2),
        Capacity("messages", (Cell("sms"), Cell("whatsapp")), 3),
    ]
    value = np.array([[3.0, 4.0]] * 5)
    found = allocate(value, everyone(value), capacities, channels=["sms", "whatsapp"])
    assert sorted(found.choice.tolist()) == [-1, -1, 0, 1, 1]
    assert found.value == 11.0


def test_equal_rows_are_served_in_order():
    value = np.ones((6, 2))
    capacities = [Capacity("call", (Cell("call"),), 2, "pool"), Capacity("sms", (Cell("sms"),), 1)]
    first = allocate(value, everyone(value), capacities, channels=CHANNELS)
    again = allocate(value, everyone(value), capacities, channels=CHANNELS)
    assert np.array_equal(first.choice, again.choice)
    assert (first.choice >= 0).sum() == 3


def test_prices_are_what_one_more_unit_adds():
    random = np.random.default_rng(3)
    value, zones = random.gamma(1.0, 5.0, (120, 3)), random.choice(["a", "b"], 120).astype(object)
    channels = ["call", "visit", "sms"]

    def capacities(more: str | None = None) -> list[Capacity]:
        sizes = {"call": 12, "both": 6, "visit-b": 4, "sms": 20}
        sizes |= {more: sizes[more] + 1} if more else {}
        return [
            Capacity("call", (Cell("call"),), sizes["call"], "pool"),
            Capacity("both", (Cell("call"), Cell("visit", "a")), sizes["both"], "pool"),
            Capacity("visit-b", (Cell("visit", "b"),), sizes["visit-b"], "pool"),
            Capacity("sms", (Cell("sms"),), sizes["sms"]),
        ]

    base = allocate(value, everyone(value), capacities(), channels=channels, zones=zones)
    for position, name in enumerate(["call", "both", "visit-b", "sms"]):
        more = allocate(value, everyone(value), capacities(name), channels=channels, zones=zones)
        assert base.prices[position] == pytest.approx(more.value - base.value, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_what_one_more_row_would_get_is_told_without_solving_for_it(seed: int):
    random = np.random.default_rng(seed)
    value, zones = random.gamma(1.0, 5.0, (90, 4)), random.choice(["a", "b", "c"], 90).astype(object)
    channels = ["call", "visit", "sms", "email"]
    capacities = [
        Capacity("call", (Cell("call"),), 12, "pool"),
        Capacity("both", (Cell("call"), Cell("visit", "a")), 6, "pool"),
        Capacity("visit-b", (Cell("visit", "b"),), 3, "pool"),
        Capacity("sms", (Cell("sms"),), 8),
        Capacity("messages", (Cell("sms"), Cell("email")), 20),
    ]
    size = 80
    base = allocate(value[:size], everyone(value[:size]), capacities, channels=channels, zones=zones[:size])
    assert base.is_optimal and base.displaced is not None
    for row in range(size, 90):
        rows = [*range(size), row]
        full = allocate(value[rows], everyone(value[rows]), capacities, channels=channels, zones=zones[rows])
        net = value[row] - base.displaced[:, ["a", "b", "c"].index(zones[row])]  # c: elsewhere
        assert full.choice[-1] == (net.argmax() if net.max() > 0 else -1)
        assert full.value == pytest.approx(base.value + max(0.0, net.max()))


def test_crossing_limits_keep_a_bound_and_every_capacity():
    # {sms, whatsapp} and {whatsapp, email} overlap without nesting: no longer a network
    random = np.random.default_rng(4)
    value = random.gamma(1.0, 5.0, (60, 3))
    channels = ["sms", "whatsapp", "email"]
    capacities = [
        Capacity("left", (Cell("sms"), Cell("whatsapp")), 15),
        Capacity("right", (Cell("whatsapp"), Cell("email")), 15),
    ]
    found = allocate(value, everyone(value), capacities, channels=channels)
    exact = best_value(value, everyone(value), capacities, channels, [None] * 60)
    assert (found.used <= [15, 15]).all()
    assert found.value <= exact + 1e-9 <= found.dual_bound + 1e-6
    assert found.value >= 0.98 * exact


def test_no_rows_and_no_capacity_are_answers():
    assert allocate(np.zeros((0, 2)), np.zeros((0, 2), dtype=bool), [], channels=CHANNELS).choice.size == 0
    value = np.ones((3, 2))
    nothing = [Capacity("call", (Cell("call"),), 0, "pool"), Capacity("sms", (Cell("sms"),), 0)]
    assert allocate(value, everyone(value), nothing, channels=CHANNELS).choice.tolist() == [-1, -1, -1]


def test_a_capacity_of_an_unknown_channel_is_refused():
    with pytest.raises(RuleError, match="fax"):
        allocate(np.ones((1, 2)), everyone(np.ones((1, 2))), [Capacity("fax", (Cell("fax"),), 1)], channels=CHANNELS)


def test_twenty_thousand_members_take_less_than_a_second():
    random = np.random.default_rng(5)
    channels = ["call", "ivr", "whatsapp", "sms", "email", "visit"]
    value = random.gamma(0.5, 8.0, (20_000, 6)) - 1
    zones = random.choice([f"z{number}" for number in range(12)], 20_000).astype(object)
    capacities = [Capacity("call", (Cell("call"),), 900, "pool")]
    capacities += [Capacity(f"visit{number}", (Cell("visit", f"z{number}"),), 10, "pool") for number in range(12)]
    capacities += [Capacity(name, (Cell(name),), 2_000) for name in ("ivr", "whatsapp", "sms", "email")]
    start = time.perf_counter()
    found = allocate(value, random.random(value.shape) < 0.8, capacities, channels=channels, zones=zones)
    assert time.perf_counter() - start < 3  # under 0.2 s on a quiet machine
    assert found.is_optimal and found.gap < 1e-9
