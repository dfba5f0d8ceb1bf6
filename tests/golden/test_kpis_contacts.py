"""Contact, coverage and productivity KPIs of the flow book by hand.

June: A was called on the 2nd (no answer), 3rd (in person, 120 s), 4th (promise, 300 s) and 23rd (no answer) by G1; D on the 2nd by
G2 of Cobra SA (wrong number; refusal, 180 s, no cost recorded) and by a message that was read; B on the 13th by G1 (a third party,
60 s). A wrote on the 6th.
"""

from __future__ import annotations

import pytest

from tests.golden.flows import Kpis, day


def test_attempts_contacts_and_right_parties(flows: Kpis) -> None:
    assert flows.parts("K41_COUNT") == (8, 1)  # what A began is none
    # Reached: in person, promise, read, refusal, third party.
    assert flows.parts("K42") == (5, 8)
    # In person: the talk, the promise, the refusal. Two bases, two names.
    assert flows.parts("K43_PER_ATTEMPT") == (3, 8)
    assert flows.parts("K43_PER_CONTACT") == (3, 5)
    assert flows.parts("K43_PER_CONTACT", channel_code="whatsapp") == (0, 1)


def test_wrong_numbers_are_of_what_was_answered_and_third_parties_of_contacts(flows: Kpis) -> None:
    assert flows.parts("K44") == (1, 6)  # five contacts and the wrong number
    assert flows.parts("K44_PER_CONTACT") == (1, 5)  # the same over the contacts alone
    assert flows.parts("K44_THIRD_PARTY") == (1, 5)


def test_what_right_parties_said(flows: Kpis) -> None:
    assert flows.parts("K45") == (1, 3)
    assert flows.parts("K52_REFUSAL") == (1, 3)
    assert flows.parts("K52_DISPUTE") == (0, 3)
    # Nobody was reached in person on 23 June: no denominator, no value.
    assert flows.parts("K45", day(6, 23), "day") == (0, 0)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param({"collector_id": "G2"}, (1, 2), id="collector"),
        pytest.param({"agency": "Cobra SA"}, (1, 2), id="agency"),
        pytest.param({"campaign_id": "K1"}, (1, 2), id="campaign"),
        pytest.param({"channel_code": "call"}, (4, 7), id="channel"),
        pytest.param({"branch_id": "B2"}, (3, 4), id="branch"),
        pytest.param({"province": "Loja"}, (3, 4), id="province"),
    ],
)
def test_contact_rate_by_every_dimension(flows: Kpis, keys: dict[str, str], expected: tuple[int, int]) -> None:
    assert flows.parts("K42", **keys) == expected


def test_a_person_counts_once_in_a_period(flows: Kpis) -> None:
    # June: A, B and D. The days with attempts (2, 3, 4, 13, 23) would add up to 2 + 1 + 1 + 1 + 1 = 6 persons.
    assert flows.parts("K41_ATTEMPTED") == (8, 3)
    assert flows.parts("K41_ATTEMPTED", day(6, 7), "week") == (6, 2)
    assert flows.parts("K41_ATTEMPTED", day(6, 2), "day") == (4, 2)
    assert flows.parts("K41_ATTEMPTED", channel_code="call") == (7, 3)
    assert flows.parts("K41_ATTEMPTED", collector_id="G1") == (5, 2)


def test_penetration_is_of_the_persons_past_due_when_the_period_began(flows: Kpis) -> None:
    # 31 May: A and D are past due; both were attempted and reached in June.
    assert flows.parts("K40_ATTEMPTED") == (2, 2)
    assert flows.parts("K40_CONTACTED") == (2, 2)
    # Attempts at them: all but the one at B.
    assert flows.parts("K41_WORKABLE") == (7, 2)
    # 2 June: both attempted, D reached.
    assert flows.parts("K40_ATTEMPTED", day(6, 2), "day") == (2, 2)
    assert flows.parts("K40_CONTACTED", day(6, 2), "day") == (1, 2)
    # 13 June: A alone is past due (B paid on the 12th), and B alone was called.
    assert flows.parts("K40_ATTEMPTED", day(6, 13), "day") == (0, 1)
    assert flows.parts("K40_ATTEMPTED", branch_id="B2") == (1, 1)


def test_contactability_is_known_at_the_runs_date_alone(flows: Kpis) -> None:
    # A has a valid phone of unknown consent; the address with consent is no channel without a visit, and the consents to
    # a landline that was left later, to a mailbox from tomorrow on, and to a reference's number are none of today's.
    assert flows.parts("K51") == (1, 1)
    assert flows.parts("K51_CONSENTED") == (0, 1)
    assert flows.parts("K51", day(6, 29), "day") is None


def test_a_consent_given_anew_lifts_the_opt_out_before_it(flows_strict: Kpis) -> None:
    consented, workable = flows_strict.parts("K51_CONSENTED")
    assert (consented, workable) == flows_strict.parts("K51") == (1, workable)


def test_working_hours_to_first_attempt_and_to_first_talk(flows: Kpis) -> None:
    # A is past due from Saturday 11 April; first called on Tuesday 2 June at 10:00. Working days from Monday 13 April to Monday
    # 1 June: 36, less the holidays of 1 and 25 May: 34; 34 x 10 h + (10 - 8) = 342. D from Monday 11 May: 16 - 1 = 15 days,
    # 152 h. B was not past due when it was called. Median of 152 and 342: 247.
    assert flows.parts("K49_ATTEMPT") == (247, 1)
    assert flows.parts("K49_ATTEMPT", branch_id="B2") == (152, 1)
    # In person: A a working day later, 352; D in the refusal, 152.
    assert flows.parts("K49_RPC") == (252, 1)


def test_working_day_is_a_setting(flows_read_otherwise: Kpis) -> None:
    # From 9 to 17: A 34 x 8 + 1 = 273, D 15 x 8 + 1 = 121.
    assert flows_read_otherwise.parts("K49_ATTEMPT") == (197, 1)


def test_productivity_is_by_days_worked(flows: Kpis) -> None:
    # G1 worked on the 2nd, 3rd, 4th, 13th and 23rd: five attempts, two in person, one promise. G2 on the 2nd: two attempts.
    assert flows.parts("K57_ATTEMPTS", collector_id="G1") == (5, 5)
    assert flows.parts("K57_RPC", collector_id="G1") == (2, 5)
    assert flows.parts("K57_PTP", collector_id="G1") == (1, 5)
    assert flows.parts("K57_ATTEMPTS", agency="Cobra SA") == (2, 1)
    # The promise that G1 took was kept: 100.
    assert flows.parts("K57_KEPT", collector_id="G1") == (100, 5)


def test_collector_days_of_all_cells_are_the_days_worked(flows: Kpis) -> None:
    cells = flows.rows("kpis.kpi_contacts", collector_id="G1")
    assert sum(row["collector_day_count"] for row in cells) == pytest.approx(5)


def test_handling_time_is_of_contacts_of_known_duration(flows: Kpis) -> None:
    # (120 + 300 + 180 + 60) / 60 = 11 minutes over four.
    assert flows.parts("K59") == (11, 4)


def test_costs_keep_their_hundredths_of_a_cent(flows: Kpis) -> None:
    # 6 x 0.45 + 0.0604, and 0.45 for the refusal's call, whose cost was not recorded: over eight attempts, and three talks.
    # The 0.02 of what A wrote is the cost of no attempt.
    assert flows.parts("K72_UNIT") == (3.2104, 8)
    assert flows.parts("K72_RPC") == (3.2104, 3)
    assert flows.parts("K72_UNIT", channel_code="whatsapp") == (0.0604, 1)
    assert flows.parts("K72_UNIT", campaign_id="K4") == (0.45, 1)


def test_costs_that_were_recorded_alone(flows_read_otherwise: Kpis) -> None:
    # Without the refusal's: seven attempts.
    assert flows_read_otherwise.parts("K72_UNIT") == (2.7604, 7)
    assert flows_read_otherwise.parts("K72_RPC") == (2.7604, 3)
    # It is all that the campaign did: no cost is known, and none is not 0.
    assert flows_read_otherwise.parts("K72_UNIT", campaign_id="K4") == (None, 0)
    assert flows_read_otherwise.parts("K72_RPC", campaign_id="K4") == (None, 1)


def test_usual_costs_are_those_of_the_institutions_currency(flows_strict: Kpis) -> None:
    # There are none in pesos.
    assert flows_strict.parts("K72_UNIT") == (2.7604, 7)


@pytest.mark.parametrize("kpi_code", ["K52_HARDSHIP", "K72_INCREMENTAL", *[f"K{number}" for number in range(74, 81)]])
def test_what_the_contract_does_not_carry_is_off_with_its_reason(flows: Kpis, kpi_code: str) -> None:
    (status,) = flows.rows("kpis.kpi_status", kpi_code=kpi_code)
    assert status["status_code"] == "off"
    assert status["reason_es"] and status["reason_en"]
