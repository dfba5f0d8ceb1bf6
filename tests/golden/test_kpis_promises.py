"""Promise KPIs of the flow book by hand; two days of grace, holidays on 25 May and 22 June.

| made | due | promised | paid by the end of grace | |
|---|---|---|---|---|
| 1 June | 2 June | 40 | 115 on the 3rd | kept |
| 4 June, to G1 | 5 June | 100 | 100 on the 5th | kept |
| 12 June | 19 June | 80 | 60 on the 20th | partly |
| 24 June | 26 June | 30 | | broken |
| 20 June | 29 June | 20 | | in grace |
| 12 June | 14 June | 50 | 115 on the 12th, taken back on the 15th | broken |
| 29 June | 10 July | 25 | | open |
"""

from __future__ import annotations

from tests.golden.flows import Kpis, day


def test_promises_made(flows: Kpis) -> None:
    assert flows.parts("K45_COUNT") == (7, 1)
    assert flows.parts("K45_AMOUNT") == (345, 1)
    assert flows.parts("K45_COUNT", collector_id="G1") == (1, 1)
    assert flows.parts("K45_COUNT", channel_code="call") == (1, 1)


def test_promises_by_the_campaign_of_their_contact(flows: Kpis) -> None:
    # The promise of 100 of 4 June came out of a call of K3; the others of no contact.
    assert flows.parts("K45_COUNT", campaign_id="K3") == (1, 1)
    assert flows.parts("K45_AMOUNT", campaign_id="K3") == (100, 1)
    assert flows.parts("K46", campaign_id="K3") == (1, 1)
    assert flows.parts("K47", campaign_id="K3") == (100, 100)
    # Sunday 7 June, the last day of the grace of 5 June: paid on the day, so it is not open.
    assert flows.parts("K48_OPEN", day(6, 4), "day", campaign_id="K3", detail="due_in_1_to_3") == (1, 1)
    assert flows.parts("K48_OPEN", day(6, 7), "day", campaign_id="K3", detail="in_grace") is None


def test_kept_promises_are_of_those_whose_grace_is_over(flows: Kpis) -> None:
    # Due in June: six, of which the one of the 29th is in grace until 1 July. Kept: 40 and 100.
    assert flows.parts("K46") == (2, 5)
    assert flows.parts("K46", branch_id="B1") == (1, 3)
    # They count on the day they were due: week of 15 to 21 June, the one of 80.
    assert flows.parts("K46", day(6, 21), "week") == (0, 1)


def test_kept_promises_by_amount(flows: Kpis) -> None:
    # min(115, 40) + 100 + 60 + 0 + 0 over 40 + 100 + 80 + 30 + 50.
    assert flows.parts("K47") == (200, 300)


def test_tolerance_of_a_promise_is_a_setting(flows_read_otherwise: Kpis, flows_strict: Kpis) -> None:
    # 60 of 80 is three quarters.
    assert flows_read_otherwise.parts("K46") == (3, 5)
    assert flows_strict.parts("K46") == (2, 5)


def test_every_reader_of_a_promise_asks_for_the_same_part(flows_read_otherwise: Kpis, flows_strict: Kpis) -> None:
    for kpis, kept in ((flows_read_otherwise, 3), (flows_strict, 2)):
        lives = kpis.rows("reporting.rpt_promise_lives", promise_status_code="kept")
        assert len(lives) == kept == kpis.parts("K46")[0]  # type: ignore[index]
        assert all(row["kept_date"] is not None and row["partly_kept_date"] is None for row in lives)
    (life,) = flows_read_otherwise.rows("reporting.rpt_promise_lives", promised_amount=80)
    assert (life["kept_date"], life["partly_kept_date"]) == (day(6, 20), None)
    # Kept on the 20th with the 60, so no longer open at its end.
    assert flows_read_otherwise.parts("K48_OPEN", day(6, 20), "day", detail="in_grace") is None


def test_promise_whose_money_was_taken_back_is_open_again_and_not_kept(flows: Kpis) -> None:
    (promise,) = flows.rows("marts.fct_promises", promised_amount=50)
    assert (promise["promise_status_code"], promise["kept_date"]) == ("broken", None)
    # Kept at the end of 12 June; taken back on the 15th, and in its grace until the 16th.
    assert flows.parts("K48_OPEN", day(6, 12), "day", detail="due_in_1_to_3") is None
    assert flows.parts("K48_OPEN", day(6, 15), "day", detail="in_grace") == (1, 1)
    assert flows.parts("K48_OPEN", day(6, 17), "day", detail="in_grace") is None


def test_parts_of_promises_add_up(flows: Kpis) -> None:
    cells = flows.rows("kpis.kpi_promises")
    assert sum(row["promise_partly_kept_count"] for row in cells) == 1
    assert sum(row["promise_broken_count"] for row in cells) == 2
    for row in cells:
        assert row["promise_due_count"] == sum(
            row[f"promise_{fate}_count"] for fate in ("kept", "partly_kept", "broken")
        )


def test_open_promises_by_age(flows: Kpis) -> None:
    assert flows.parts("K48_OPEN", detail="due_in_8_or_more") == (1, 1)
    assert flows.parts("K48_OPEN", detail="in_grace") == (1, 1)
    assert flows.parts("K48_OPEN_AMOUNT", detail="in_grace") == (20, 1)
    # 18 June: the one of 80, due tomorrow. 19 June: due today. 20 June: in grace, and the new one of 20 due in nine days.
    assert flows.parts("K48_OPEN", day(6, 18), "day", detail="due_in_1_to_3") == (1, 1)
    assert flows.parts("K48_OPEN", day(6, 19), "day", detail="due_today") == (1, 1)
    assert flows.parts("K48_OPEN", day(6, 20), "day", detail="in_grace") == (1, 1)
    assert flows.parts("K48_OPEN", day(6, 20), "day", detail="due_in_8_or_more") == (1, 1)
    # Kept on its due day: no longer open at its end.
    assert flows.parts("K48_OPEN", day(6, 4), "day", detail="due_in_1_to_3") == (1, 1)
    assert flows.parts("K48_OPEN", day(6, 5), "day", detail="due_today") is None


def test_follow_up_of_broken_promises_waits_for_a_working_day(flows: Kpis) -> None:
    # The grace of the 80 ended on Sunday 21 June; Monday was a holiday; A was called on Tuesday the 23rd and did not answer.
    # The grace of the 30 ended on Sunday the 28th; nobody called on Monday the 29th.
    # That of the 50 ended on Tuesday the 16th; nobody called on the 17th.
    assert flows.parts("K48_REATTEMPTED") == (1, 3)
    assert flows.parts("K48_RECONTACTED") == (0, 3)
    assert flows.parts("K48_REATTEMPTED", day(6, 23), "day") == (1, 1)
    assert flows.parts("K48_REATTEMPTED", day(6, 29), "day") == (0, 1)
