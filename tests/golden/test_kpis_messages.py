"""Digital messages: thirteen of 4 May, each with receipts of its own kind (tests/golden/flows.py), and their KPIs."""

from __future__ import annotations

import pytest

from tests.dbt.book import utc
from tests.golden.flows import Kpis, day

MAY = day(5, 31)

# Member -> state and error code.
STATES = {
    "CM01": ("read", None),  # read, and never reported as delivered
    "CM02": ("delivered", None),  # delivered twice, and before it was sent
    "CM03": ("delivered", None),  # failed, and delivered after all
    "CM04": ("failed", "30003"),  # the first of two failures in time, not in the file
    "CM05": ("failed", "unknown"),  # known by its outcome alone
    "CM06": ("queued", None),
    "CM07": ("replied", None),
    "CM08": ("opted_out", None),
    "CM09": ("delivered", None),
    "CM10": ("delivered", None),
    "CM11": ("sent", None),  # delivered on the 31st day, which nobody waits for
    "CM12": ("opted_out", None),
    "CM13": ("replied", None),  # a complaint
}


@pytest.mark.parametrize("customer_id", STATES)
def test_state_of_a_message_does_not_depend_on_the_order_of_its_receipts(flows: Kpis, customer_id: str) -> None:
    (message,) = flows.rows("marts.fct_messages", customer_id=customer_id)
    assert (message["state_code"], message["error_code"]) == STATES[customer_id]


def test_times_of_a_message(flows: Kpis) -> None:
    (read,) = flows.rows("marts.fct_messages", customer_id="CM01")
    # It was delivered at the latest when it was read.
    assert read["delivered_at"] == read["read_at"] == utc(day(5, 4), 10, 5)
    assert read["sent_at"] == utc(day(5, 4), 10)  # no receipt: the moment of the interaction
    (late,) = flows.rows("marts.fct_messages", customer_id="CM03")
    assert (late["failed_at"], late["delivered_at"]) == (utc(day(5, 4), 10, 3), utc(day(5, 4), 10, 2))
    (waiting,) = flows.rows("marts.fct_messages", customer_id="CM06")
    assert (waiting["queued_at"], waiting["sent_at"]) == (utc(day(5, 4), 10), None)


def test_rates_of_messages(flows: Kpis) -> None:
    # Thirteen; CM06 waits. Delivered: 01, 02, 03, 07, 08, 09, 10, 12, 13. Read: 01, 07, 08, 12, 13. Failed: 04, 05.
    assert flows.parts("K64_SENT", MAY) == (12, 13)
    assert flows.parts("K65", MAY) == (9, 12)
    assert flows.parts("K66", MAY) == (5, 9)
    assert flows.parts("K67", MAY) == (2, 12)
    assert flows.parts("K65", MAY, channel_code="sms") == (2, 5)
    assert flows.parts("K65", MAY, campaign_id="K2") == (9, 12)


def test_failures_by_code_add_up_to_all_failures(flows: Kpis) -> None:
    assert flows.parts("K67_BY_CODE", MAY, detail="30003") == (1, 12)
    assert flows.parts("K67_BY_CODE", MAY, detail="unknown") == (1, 12)
    assert flows.parts("K67_BY_CODE", MAY, channel_code="sms", detail="30003") == (1, 5)


def test_responses_within_three_days(flows: Kpis) -> None:
    # 07 and 13 answered, the member of 09 called 71 hours after the delivery; the one of 10 after 73.
    assert flows.parts("K68", MAY) == (3, 9)


def test_opt_outs_within_a_week_and_complaints(flows: Kpis) -> None:
    # 08 after three days; 12 after eight.
    assert flows.parts("K70", MAY) == (1, 9)
    assert flows.parts("K71_COMPLAINT", MAY) == (1, 12)


def test_windows_of_responses_opt_outs_and_receipts_are_settings(flows_read_otherwise: Kpis) -> None:
    assert flows_read_otherwise.parts("K68", MAY) == (4, 10)  # 10 too; and 11 was delivered on the 31st day
    assert flows_read_otherwise.parts("K70", MAY) == (2, 10)
    assert flows_read_otherwise.parts("K65", MAY) == (10, 12)


@pytest.mark.parametrize("kpi_code", ["K64_ACCEPTED", "K69", "K69_PAID", "K71_BOUNCE"])
def test_what_the_contract_does_not_carry_is_off_with_its_reason(flows: Kpis, kpi_code: str) -> None:
    (status,) = flows.rows("kpis.kpi_status", kpi_code=kpi_code)
    assert status["status_code"] == "off"
    assert status["reason_es"] and status["reason_en"]
