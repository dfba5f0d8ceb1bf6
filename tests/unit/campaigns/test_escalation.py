"""The escalation: golden histories, and over random ones that nobody skips a step nor goes back without a reset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.campaigns.escalation import (
    COLUMNS,
    Escalation,
    History,
    advance,
    broken_steps,
    load_escalation,
)
from puntual.paths import POLICIES
from puntual.segments.data import CampaignDataError

LADDER = load_escalation(POLICIES)
FIRST = date(2026, 6, 1)
NOTHING = pd.DataFrame(columns=list(COLUMNS), dtype=object)


def day(number: int) -> date:
    """Day 1 is the first of June."""
    return FIRST + timedelta(days=number - 1)


def frame(rows: list[tuple], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns, dtype=object)


def play(
    past_due: dict[int, dict[str, int]],
    attempts: list[tuple[str, int]] = (),
    events: list[tuple[str, str, int]] = (),
    ladder: Escalation = LADDER,
    edits: Mapping[int, Escalation] | None = None,
) -> pd.DataFrame:
    """The stored steps of every day of ``past_due`` (day -> member -> past-due days), run in order.

    ``edits``: the ladder from a day on.
    """
    stored = NOTHING
    last_run = None
    for number in sorted(past_due):
        today = day(number)
        ladder = (edits or {}).get(number, ladder)
        members = frame(list(past_due[number].items()), ["customer_id", "past_due_days"]).astype({"past_due_days": int})
        known = History(
            frame([(who, day(when)) for who, when in attempts], ["customer_id", "event_date"]),
            frame([(who, what, day(when)) for who, what, when in events], ["customer_id", "event", "event_date"]),
        )
        before = stored.sort_values("as_of_date").drop_duplicates("customer_id", keep="last") if len(stored) else stored
        rows = advance(ladder, members, before, known, today, last_run)
        mine = before[before["customer_id"].isin(rows["customer_id"])]
        assert broken_steps(ladder, rows, mine) == []
        stored = pd.concat([stored, rows], ignore_index=True) if len(stored) else rows
        last_run = today
    return stored


def steps(stored: pd.DataFrame, who: str = "ana") -> list[str]:
    return stored.loc[stored["customer_id"] == who, "step_code"].tolist()


def test_a_member_climbs_when_days_and_waiting_are_reached():
    # attempt on day 1 while friendly; firm needs 8 past-due days and 4 days since: past-due days 8 on day 4 (3 days
    # since the attempt), firm on day 5. Attempt on day 6; formal needs 31 past-due days, reached on day 27.
    past_due = {number: {"ana": 4 + number} for number in range(1, 29)}
    stored = play(past_due, attempts=[("ana", 1), ("ana", 6)])
    assert steps(stored) == ["friendly"] * 4 + ["firm"] * 22 + ["formal"] * 2
    entered = stored.drop_duplicates("step_code").set_index("step_code")["entered_date"].dt.date.to_dict()
    assert entered == {"friendly": day(1), "firm": day(5), "formal": day(27)}


def test_without_an_attempt_nobody_climbs_and_even_a_hundred_days_begin_friendly():
    assert steps(play({number: {"ana": 100 + number} for number in range(1, 30)})) == ["friendly"] * 29


def test_an_attempt_of_the_day_itself_is_not_known_yet():
    past_due = {number: {"ana": 20} for number in range(1, 8)}
    # attempt on day 2: done on day 2, four whole days later is day 6
    assert steps(play(past_due, attempts=[("ana", 2)])) == ["friendly"] * 5 + ["firm"] * 2


def test_curing_and_paying_in_full_lead_back():
    past_due = {number: {"ana": 20, "luis": 20} for number in range(1, 7)}
    past_due |= {7: {"ana": 0}, 8: {"ana": 9, "luis": 1}}
    stored = play(past_due, attempts=[("ana", 1), ("luis", 1)])
    assert steps(stored) == ["friendly"] * 4 + ["firm"] * 2 + ["friendly"] * 2
    assert steps(stored, "luis")[-2:] == ["firm", "friendly"]
    reset = stored.dropna(subset=["reset_code"]).set_index("customer_id")["reset_code"].to_dict()
    assert reset == {"ana": "cured", "luis": "paid_in_full"}


@pytest.mark.parametrize("event", ["arrangement", "promise_kept"])
def test_a_dated_event_leads_back_once(event):
    past_due = {number: {"ana": 20 + number} for number in range(1, 12)}
    stored = play(past_due, attempts=[("ana", 1)], events=[("ana", event, 6)])
    # firm from day 5; the event of day 6 is known on day 6 and leads back; no attempt since, so friendly it stays
    assert steps(stored) == ["friendly"] * 4 + ["firm"] + ["friendly"] * 6
    assert stored["reset_code"].notna().sum() == 1


def test_an_event_before_the_step_was_entered_counts_for_nothing():
    past_due = {number: {"ana": 20} for number in range(3, 9)}
    stored = play(past_due, attempts=[("ana", 3)], events=[("ana", "promise_kept", 2)])
    assert steps(stored) == ["friendly"] * 4 + ["firm"] * 2


def test_a_reset_of_the_institution_may_lead_to_a_step_in_between(tmp_path):
    own = yaml.safe_load((POLICIES / "escalation.yaml").read_text(encoding="utf-8"))
    own["resets"][3] = {"event": "promise_kept", "to": "firm"}
    (tmp_path / "escalation.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    ladder = load_escalation(POLICIES, tmp_path)
    past_due = {number: {"ana": 40} for number in range(1, 20)}
    events = [("ana", "promise_kept", 3), ("ana", "promise_kept", 17)]
    stored = play(past_due, attempts=[("ana", 1), ("ana", 5)], events=events, ladder=ladder)
    # friendly: the kept promise of day 3 leads to firm, which is no way back; firm on 5, formal on 15, back to firm on 17
    assert steps(stored) == ["friendly"] * 4 + ["firm"] * 10 + ["formal"] * 2 + ["firm"] * 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data["steps"][1]["enter"].pop("after_days"), "firm needs enter.after_days"),
        (lambda data: data["steps"][0]["enter"].update(min_past_due_days=3), "everybody begins at friendly"),
        (lambda data: data["resets"].pop(0), "resets lack cured"),
        (lambda data: data["resets"][0].update(to="nice"), "none of friendly, firm, formal"),
        (lambda data: data["resets"][0].update(event="mood"), "not 'mood'"),
        (lambda data: data["steps"][2]["enter"].update(min_past_due_days=2), "fewer past-due days"),
    ],
)
def test_an_unsound_escalation_is_refused(change, said, tmp_path):
    data = yaml.safe_load((POLICIES / "escalation.yaml").read_text(encoding="utf-8"))
    change(data)
    (tmp_path / "escalation.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(CampaignDataError, match=said):
        load_escalation(POLICIES, tmp_path)


def test_the_check_finds_what_must_not_be():
    rows = play({1: {"ana": 20, "luis": 20}})
    assert broken_steps(LADDER, rows.assign(step_no=2, step_code="firm"), NOTHING)[0] == "ana begins at firm"
    skipped = broken_steps(LADDER, rows.assign(step_no=3, step_code="formal"), rows)
    assert "skips from friendly to formal" in skipped[0]
    back = broken_steps(LADDER, rows, rows.assign(step_no=2, step_code="firm"))
    assert "goes back from firm to friendly without a reset" in back[0]
    assert "which the ladder has not" in broken_steps(LADDER, rows.assign(step_no=2), NOTHING)[0]
    gone = rows.assign(step_no=2, step_code="polite")
    assert "does not begin anew" in broken_steps(LADDER, rows, gone)[0]
    anew = rows.assign(reset_code="escalation_changed")
    assert broken_steps(LADDER, anew, gone) == []
    assert (
        "begins anew though the ladder still has firm"
        in broken_steps(LADDER, anew, rows.assign(step_no=2, step_code="firm"))[0]
    )


def of_steps(*codes: str) -> Escalation:
    """A ladder of these steps: the first for everybody, each next one from 8 past-due days, a day after an attempt."""
    steps = [
        {
            "code": code,
            "name": {"es": code, "en": code},
            "enter": {"min_past_due_days": 8, "after_days": 1} if number else {"min_past_due_days": 0},
        }
        for number, code in enumerate(codes)
    ]
    resets = [{"event": event, "to": codes[0]} for event in ("cured", "paid_in_full")]
    return Escalation.model_validate(
        {"id": "ESCALATION", "version": 1, "done_by": "attempt", "steps": steps, "resets": resets}
    )


OF_THREE = of_steps("friendly", "firm", "formal")


@pytest.mark.parametrize(
    ("edited", "of_ana", "of_luis"),
    [
        # ana is formal and luis firm on day 4; both were attempted every day
        pytest.param(of_steps("friendly", "firm"), ["formal", "friendly"], ["firm", "firm"], id="the last is removed"),
        pytest.param(of_steps("friendly", "formal"), ["formal", "formal"], ["firm", "friendly"], id="one is removed"),
        pytest.param(of_steps("firm", "formal"), ["formal", "formal"], ["firm", "formal"], id="the first is removed"),
        pytest.param(
            of_steps("friendly", "reminder", "notice", "firm", "formal"),
            ["formal", "formal"],
            ["firm", "formal"],
            id="two are inserted",
        ),
        pytest.param(
            of_steps("kind", "friendly", "firm", "formal"), ["formal", "formal"], ["firm", "formal"], id="a new first"
        ),
        pytest.param(
            of_steps("friendly", "firm", "reminder", "formal"),
            ["formal", "formal"],
            ["firm", "reminder"],
            id="one is inserted above",
        ),
    ],
)
def test_an_edited_ladder_moves_only_whose_step_is_gone(edited, of_ana, of_luis):
    # luis reaches firm on day 4 (8 past-due days only then), ana formal on day 3
    past_due = {number: {"ana": 20, "luis": 4 + number} for number in range(1, 6)}
    attempts = [("ana", 1), ("ana", 2), ("luis", 1), ("luis", 4)]
    stored = play(past_due, attempts, ladder=OF_THREE, edits={5: edited})
    assert steps(stored)[-2:] == of_ana
    assert steps(stored, "luis")[-2:] == of_luis
    last = stored[stored["as_of_date"] == day(5)].set_index("customer_id")
    assert last["step_no"].to_dict() == {"ana": edited.number(of_ana[1]), "luis": edited.number(of_luis[1])}
    gone = {who for who, (was, _) in {"ana": of_ana, "luis": of_luis}.items() if was not in edited_codes(edited)}
    assert set(last.index[last["reset_code"] == "escalation_changed"]) == gone


def edited_codes(ladder: Escalation) -> set[str]:
    return {step.code for step in ladder.steps}


MEMBERS = ("ana", "luis", "rosa")


@st.composite
def histories(draw):
    last = draw(st.integers(3, 30))
    runs = sorted(draw(st.sets(st.integers(1, last), min_size=2)))
    past_due = {
        number: {who: draw(st.integers(0, 60)) for who in draw(st.sets(st.sampled_from(MEMBERS), min_size=1))}
        for number in runs
    }
    who, when = st.sampled_from(MEMBERS), st.integers(1, last)
    attempts = draw(st.lists(st.tuples(who, when), max_size=25))
    kinds = st.sampled_from(["arrangement", "promise_kept", "promise_made"])
    return past_due, attempts, draw(st.lists(st.tuples(who, kinds, when), max_size=4))


LADDERS = st.permutations(["kind", "friendly", "reminder", "firm", "formal"]).flatmap(
    lambda codes: st.integers(1, len(codes)).map(lambda many: of_steps(*codes[:many]))
)


@settings(max_examples=25, deadline=None)
@given(histories(), st.data())
def test_over_random_edits_of_the_ladder_the_days_stay_sound(history, data):
    past_due, attempts, events = history
    edits = {number: data.draw(LADDERS) for number in past_due if data.draw(st.booleans())}
    stored = play(past_due, attempts, events, edits=edits)  # which holds every day against its ladder
    anew = stored.loc[stored["reset_code"] == "escalation_changed", "step_no"]
    assert (anew == 1).all()


@settings(max_examples=25, deadline=None)
@given(histories())
def test_over_random_histories_nobody_skips_nor_goes_back_without_a_reset(history):
    past_due, attempts, events = history
    stored = play(past_due, attempts, events)
    for who in MEMBERS:
        mine = stored[stored["customer_id"] == who].sort_values("as_of_date")
        numbers, resets = mine["step_no"].tolist(), mine["reset_code"].tolist()
        assert not numbers or numbers[0] == 1
        for before, now, reset in zip(numbers, numbers[1:], resets[1:], strict=False):
            assert now <= before + 1
            assert now >= before or isinstance(reset, str)
    again = play(past_due, list(reversed(attempts)), list(reversed(events)))
    pd.testing.assert_frame_equal(stored, again)
