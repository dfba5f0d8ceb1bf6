"""Who takes part: stable, exact, independent draws, and one member's entry that lasts."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from puntual.experiments.assign import arm_of, arms, draw, expose, in_population
from puntual.experiments.registry import (
    Experiment,
    ExperimentError,
    Registered,
    as_decided,
    check_unchanged,
    load_experiments,
    log_frame,
)
from tests.unit.experiments.test_registry import PLAIN, write

DAY = date(2026, 7, 1)
NOBODY = pd.DataFrame(columns=["experiment_id", "customer_id", "entered_date"])


def registered(slot: tuple[float, float] = (0.0, 1.0), **changes: Any) -> Registered:
    return Registered(Experiment.model_validate(PLAIN | changes), *slot, Path("one.yaml"))


def members(size: int, **columns: Any) -> pd.DataFrame:
    names = [f"C{number:06d}" for number in range(size)]
    plain = {"is_eligible": True, "past_due_days": 10, "branch_id": "b1", "product_code": "consumer"}
    return pd.DataFrame({"customer_id": names} | plain | columns)


def test_the_draw_is_the_written_hash() -> None:
    first = hashlib.sha256(b"salt|C1").digest()[:8]
    assert draw("salt", ["C1"])[0] == (int.from_bytes(first, "big") >> 11) / 2**53


@given(st.text(min_size=1, max_size=20), st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=20))
def test_a_draw_depends_on_salt_and_member_alone(salt: str, names: list[str]) -> None:
    numbers = draw(salt, names)
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert draw(salt, names[::-1]).tolist() == numbers[::-1].tolist()


def test_shares_are_kept_and_experiments_are_independent() -> None:
    names = [f"C{number}" for number in range(40_000)]
    one, other = (registered(salt=salt).experiment for salt in ("s1", "s2"))
    first, second = arm_of(one, names) == "held", arm_of(other, names) == "held"
    # standard error of a share of 0.2 is 0.002; that both hold 0.04, 0.001
    assert first.mean() == pytest.approx(0.2, abs=0.008) and second.mean() == pytest.approx(0.2, abs=0.008)
    assert (first & second).mean() == pytest.approx(0.04, abs=0.004)


def test_the_layer_part_and_the_arm_are_independent_draws() -> None:
    frame = expose([registered((0.0, 0.3))], members(20_000), NOBODY, DAY)
    assert len(frame) == pytest.approx(6000, abs=260)
    assert (frame["arm_code"] == "held").mean() == pytest.approx(0.2, abs=0.021)
    rest = expose([registered((0.3, 1.0), id="two")], members(20_000), NOBODY, DAY)
    assert not set(frame["customer_id"]) & set(rest["customer_id"])
    assert len(frame) + len(rest) == 20_000


def test_who_entered_stays_and_who_was_too_late_does_not_enter() -> None:
    one = registered(population={"min_past_due_days": 1, "max_past_due_days": 30})
    first = expose([one], members(10), NOBODY, DAY)
    assert len(first) == 10
    as_read = NOBODY.astype({"entered_date": "datetime64[us]"})  # of a warehouse whose table has no row yet
    assert expose([one], members(10), as_read, DAY).equals(first)
    entered = first[["experiment_id", "customer_id", "entered_date"]]
    moved = members(12, past_due_days=[45] * 10 + [5, 5])
    later = expose([one], moved, entered, date(2026, 9, 2))  # the last day of entering
    assert later["customer_id"].tolist() == moved["customer_id"].tolist()
    assert later["entered_date"].tolist() == [DAY] * 10 + [date(2026, 9, 2)] * 2
    assert later["arm_code"].tolist()[:10] == first["arm_code"].tolist()
    closed = expose([one], moved, entered, date(2026, 9, 3))
    assert closed["customer_id"].tolist() == moved["customer_id"].tolist()[:10]
    assert expose([one], moved, entered, date(2026, 10, 1)).empty


def test_the_population_is_data() -> None:
    frame = members(5, past_due_days=[0, 1, 30, 31, 200], branch_id=["b1", "b1", "b2", "b1", "b1"])
    cases: list[tuple[dict[str, Any], list[bool]]] = [
        ({}, [True] * 5),
        ({"min_past_due_days": 1, "max_past_due_days": 31}, [False, True, True, True, False]),
        ({"segments": ["early", "chronic"]}, [False, True, True, False, True]),
        ({"branches": ["b2"], "segments": ["early"]}, [False, False, True, False, False]),
        ({"products": ["housing"]}, [False] * 5),
    ]
    for population, wanted in cases:
        assert in_population(registered(population=population).experiment, frame).tolist() == wanted
    with pytest.raises(ExperimentError, match=r"segments nowhere; there are preventive, early"):
        in_population(registered(population={"segments": ["nowhere"]}).experiment, frame)


def test_a_member_of_two_layers_follows_the_stricter_arm_with_the_exact_probability() -> None:
    three = [
        {"code": "product", "share": 0.5, "policy": "puntual"},
        {"code": "steps", "share": 0.3, "policy": "ladder"},
        {"code": "none", "share": 0.2, "policy": "hold_out"},
    ]
    one = registered(id="one")  # 0.8 product, 0.2 held
    two = registered(id="two", layer="second", salt="s9", arms=three, control="none")
    frame = arms([one, two], expose([one, two], members(400), NOBODY, DAY))
    assert not frame["customer_id"].duplicated().any() and len(frame) == 400
    # held in neither: 0.8 * 0.8 = 0.64; the product in both: 0.8 * 0.5 = 0.40; the ladder is what is left
    assert frame["hold_out_probability"].to_numpy() == pytest.approx(np.full(400, 0.36))
    assert frame["ladder_probability"].to_numpy() == pytest.approx(np.full(400, 0.24))
    names = frame["customer_id"]
    held_by_one, by_two = arm_of(one.experiment, names) == "held", arm_of(two.experiment, names)
    wanted = np.where(held_by_one | (by_two == "none"), "hold_out", np.where(by_two == "steps", "ladder", "puntual"))
    assert frame["policy"].tolist() == wanted.tolist()
    assert set(frame.loc[frame["policy"] == "ladder", "experiment_id"]) == {"two"}


def test_a_day_of_before_the_stop_can_be_decided_again_and_has_who_entered_on_it(tmp_path: Path) -> None:
    """Begun on 1 July, decided until the 4th, and stopped then by the end of the 3rd."""
    write(tmp_path)
    planned, days = load_experiments(tmp_path), [date(2026, 7, day) for day in range(1, 5)]
    logged = pd.concat([log_frame(planned, day) for day in days[:3]])
    write(tmp_path, end=date(2026, 7, 3))
    stopped = load_experiments(tmp_path)
    for whole in (logged, pd.concat([logged, log_frame(stopped, days[3])])):
        for day in (date(2026, 6, 30), *days):
            again = as_decided(stopped, whole, day)
            check_unchanged(again, whole, day)
            entered = expose(again, members(40), NOBODY, day)
            assert len(entered) == (40 if day in days[:3] else 0)
            # and the log says of the day what it said before, so that it can be decided once more
            if day in days[:3]:
                pd.testing.assert_frame_equal(log_frame(again, day), log_frame(planned, day))
            else:
                assert again == stopped
    # a day that was left out is of the stopped experiment: who is in stays in, nobody enters
    missing = pd.concat([logged[logged["as_of_date"] != days[1]], log_frame(stopped, days[3])])
    again = as_decided(stopped, missing, days[1])
    check_unchanged(again, missing, days[1])
    inside = pd.DataFrame({"experiment_id": "one", "customer_id": ["C000001"], "entered_date": [days[0]]})
    assert expose(again, members(40), inside, days[1])["customer_id"].tolist() == ["C000001"]
    # stopped by a day before: the day itself is decided again without it
    write(tmp_path, end=days[1])
    earlier = as_decided(load_experiments(tmp_path), logged, days[2])
    check_unchanged(earlier, logged, days[2])
    assert not earlier[0].experiment.holds(days[2])
    # prolonged: the last day decided again has the new end, so that the next day may go on
    write(tmp_path, end=date(2026, 12, 31))
    longer = as_decided(load_experiments(tmp_path), logged, days[2])
    assert longer[0].experiment.end == date(2026, 12, 31)
