"""The exit checks of a day's campaigns: a ladder that was edited between two days stops no sound day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pandas as pd
import pytest

from pipelines.steps.campaigning import Grouped, checked
from puntual.campaigns.escalation import COLUMNS, Escalation, History, Step, advance
from puntual.campaigns.registry import load_campaigns
from puntual.paths import POLICIES
from puntual.settings import ChannelSettings

TODAY, YESTERDAY = date(2026, 6, 2), date(2026, 6, 1)
CHANNELS = {name: ChannelSettings(cost=0.05) for name in ("sms", "whatsapp", "email", "call", "visit")}
DATA = load_campaigns(POLICIES, None, country="EC", institution="Cooperativa", channels=CHANNELS)
SHIPPED = DATA.escalation


def without(code: str) -> Escalation:
    """The shipped ladder without a step."""
    return SHIPPED.model_copy(update={"steps": tuple(one for one in SHIPPED.steps if one.code != code)})


def inserted() -> Escalation:
    """The shipped ladder with a step below firm."""
    friendly, *rest = SHIPPED.steps
    mild = Step.model_validate({**rest[0].model_dump(), "code": "reminder"})
    return SHIPPED.model_copy(update={"steps": (friendly, mild, *rest)})


def found(ladder: Escalation, code: str, change: dict[str, object] | None = None) -> str:
    """What ``escalation_is_climbed`` says of the day after ``code`` was stored by the shipped ladder."""
    before = pd.DataFrame([[None] * len(COLUMNS)], columns=list(COLUMNS)).assign(
        as_of_date=YESTERDAY,
        customer_id="ana",
        step_code=code,
        step_no=SHIPPED.number(code),
        entered_date=pd.Timestamp(YESTERDAY),
        done_date=pd.NaT,
        reset_date=pd.NaT,
        past_due_days=40,
    )
    nothing = pd.DataFrame({"customer_id": [], "event": [], "event_date": []}, dtype=object)
    people = pd.DataFrame({"customer_id": ["ana"], "past_due_days": [41]})
    rows = advance(ladder, people, before, History(nothing, nothing), TODAY, YESTERDAY).assign(**(change or {}))
    grouped = Grouped(None, [], rows, before)
    return checked(replace(DATA, escalation=ladder), grouped, SimpleNamespace(problems=list))["escalation_is_climbed"]


@pytest.mark.parametrize("code", ["friendly", "firm", "formal"])
@pytest.mark.parametrize(
    "ladder",
    [
        pytest.param(SHIPPED, id="as it was"),
        pytest.param(inserted(), id="inserted"),
        pytest.param(without("firm"), id="firm removed"),
        pytest.param(without("formal"), id="formal removed"),
    ],
)
def test_a_step_inserted_or_removed_between_two_days_stops_no_day(ladder, code):
    assert found(ladder, code) == ""


@pytest.mark.parametrize(
    ("ladder", "code", "change", "said"),
    [
        (inserted(), "formal", {"step_code": "firm", "step_no": 3}, "goes back from formal to firm"),
        # by numbers of two ladders this would be no skip: friendly was 1, formal is 2 without firm
        (inserted(), "friendly", {"step_code": "firm", "step_no": 3}, "skips from friendly to firm"),
        (without("firm"), "firm", {"reset_code": None}, "which is gone"),
    ],
)
def test_a_day_that_breaks_the_edited_ladder_is_stopped(ladder, code, change, said):
    assert said in found(ladder, code, change)
