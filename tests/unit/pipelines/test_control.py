"""When a run adds to the last one and when it starts anew, and which dates are kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from pipelines.day import Day
from pipelines.steps.control import asks_full_build, finish_stage, last_build, write_control
from pipelines.steps.plan import _history
from puntual.settings import ArrearsSettings, load_settings, settings_text

AS_OF = date(2026, 6, 30)


@pytest.fixture
def day(tmp_path: Path) -> Day:
    (tmp_path / "puntual.yaml").write_text(settings_text(), encoding="utf-8")
    return Day.of(tmp_path, AS_OF, "test")


def begin(day: Day, digest: str = "a") -> bool:
    """Plan the day; whether it is a full build."""
    built = last_build(day, digest)
    parameters = {
        "as_of_date": day.as_of,
        "sample_below": "",
        "is_full_build": built is None,
        "built_as_of_date": built.as_of if built else None,
        "built_load_id": built.load_id if built else None,
        "history_start_date": day.as_of.replace(day=1),
        "load_id": 7,
    }
    flags = ("is_score", "is_month_end", "is_week_end", "is_day", "is_risk_training", "is_channel_training", "is_built")
    dates = pd.DataFrame([{"as_of_date": day.as_of, **dict.fromkeys(flags, False), "is_score": True}])
    write_control(day, parameters, dates, built)
    assert asks_full_build(day) == (built is None)
    return built is None


def finish(day: Day, digest: str = "a") -> None:
    finish_stage(day, "transform", digest)
    finish_stage(day, "report", digest)


def test_the_first_run_is_full_and_the_next_one_adds_to_it(day: Day) -> None:
    assert begin(day)
    finish(day)
    built = last_build(day, "a")
    assert built is not None
    assert (built.as_of, built.load_id, built.dates) == (AS_OF, 7, frozenset({AS_OF}))
    assert not begin(replace(day, as_of=AS_OF + timedelta(days=1)))


def test_a_run_that_did_not_finish_leaves_the_older_build_standing(day: Day) -> None:
    begin(day)
    finish(day)
    begin(replace(day, as_of=AS_OF + timedelta(days=1)))
    finish_stage(day, "transform", "a")
    built = last_build(replace(day, as_of=AS_OF + timedelta(days=2)), "a")
    assert built is not None
    assert built.as_of == AS_OF
    assert begin(day), "a later day was begun: its rows are not true for this one"


def test_a_full_build_that_did_not_finish_is_begun_again(day: Day) -> None:
    begin(day)
    finish(day)
    assert begin(replace(day, full_refresh=True))
    assert begin(day)


def test_an_older_day_and_another_project_start_anew(day: Day) -> None:
    begin(day)
    finish(day)
    assert last_build(replace(day, as_of=AS_OF - timedelta(days=1)), "a") is None
    assert last_build(day, "b") is None
    assert last_build(day, "a") is not None


def test_history_is_days_sundays_and_month_ends() -> None:
    kept = _history(AS_OF, ArrearsSettings(history_days=3, history_weeks=2, history_months=2))
    assert kept["is_day"] == [date(2026, 6, 30), date(2026, 6, 29), date(2026, 6, 28)]
    assert kept["is_week_end"] == [date(2026, 6, 28), date(2026, 6, 21)]
    assert kept["is_month_end"] == [date(2026, 4, 30), date(2026, 5, 31), date(2026, 6, 30)]
    none = _history(AS_OF, ArrearsSettings(history_days=0, history_weeks=0, history_months=1))
    assert (none["is_day"], none["is_week_end"]) == ([AS_OF], [])


def test_the_written_settings_say_the_defaults(day: Day) -> None:
    assert load_settings(day.home).arrears == ArrearsSettings()
