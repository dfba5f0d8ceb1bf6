"""Recovery KPIs of the flow book by hand; the table of loans is in tests/golden/flows.py."""

from __future__ import annotations

from datetime import date

import pytest

from tests.golden.flows import Kpis, day


def test_cash_on_delinquent_loans_follows_the_state_when_the_day_began(flows: Kpis) -> None:
    # A 100 + 60, D 115 (23 days late), B 115 - 115 + 115; C's and D's on the due day were not past due: 390.
    assert flows.parts("K26") == (390, 1)
    # A; B and D.
    assert flows.parts("K26", branch_id="B1") == (160, 1)
    assert flows.parts("K26", branch_id="B2") == (230, 1)
    # All money of June: 390 + C 115 + D 115.
    assert flows.parts("K26_ALL") == (620, 1)


def test_reversal_is_negative_on_its_own_day_where_its_payment_stood(flows: Kpis) -> None:
    # On 15 June B was not past due: its payment of the 12th had cured it. The money is taken back all the same.
    assert flows.parts("K26", day(6, 15), "day") == (-115, 1)
    assert flows.parts("K26", day(6, 15), "day", segment_code="early") == (-115, 1)
    # Monday 15 to Sunday 21: -115 + 115 (B) + 60 (A) = 60.
    assert flows.parts("K26", day(6, 21), "week") == (60, 1)


def test_recovery_of_the_opening_arrears(flows: Kpis) -> None:
    # Past due on 31 May: A 230, D 115. By 30 June (day 30): A 160, D 115 on 3 June; D's 115 of the 10th was not late.
    assert flows.parts("K27") == (275, 345)
    assert flows.parts("K27", branch_id="B1") == (160, 230)
    assert flows.parts("K27", bucket_code="16-30") == (115, 115)  # D, due on 10 May: 21 days
    # Past due on 30 April: A 115, and nothing came up to 30 May.
    assert flows.parts("K27", day(5, 31)) == (0, 115)
    # Days and weeks have no cohort.
    assert flows.parts("K27", day(6, 28), "week") is None


def test_recovery_horizon_is_a_setting_and_a_month_speaks_when_it_is_over(
    flows_read_otherwise: Kpis, flows_strict: Kpis
) -> None:
    # By 10 June: A 100, D 115.
    assert flows_read_otherwise.parts("K27") == (215, 345)
    # 31 days after 31 May is 1 July: not yet. May's cohort by 31 May: nothing.
    assert flows_strict.parts("K27") is None
    assert flows_strict.parts("K27", day(5, 31)) == (0, 115)


def test_collection_efficiency_without_what_was_prepaid(flows: Kpis) -> None:
    # June asks A to E for 115 each and F for 50: 625. E's came on 25 May, so it leaves: 510. Paid of the rest: B, C, D 345;
    # A's 160 all went to its dues of April and May.
    assert flows.parts("K28") == (345, 510)
    # B1: A and C.
    assert flows.parts("K28", branch_id="B1") == (115, 230)
    # May without prepayments: A to E 575; paid by 31 May: B, C, E 345.
    assert flows.parts("K28", day(5, 31)) == (345, 575)
    # On 10 June alone: 575 due, of which E 115 had come; on that day C and D paid 230.
    assert flows.parts("K28", day(6, 10), "day") == (230, 460)


def test_collection_efficiency_with_what_was_prepaid(flows_read_otherwise: Kpis) -> None:
    # E's 115 counts: 345 + 115 of 625.
    assert flows_read_otherwise.parts("K28") == (460, 625)
    assert flows_read_otherwise.parts("K28", branch_id="B1") == (230, 345)


def test_collection_effectiveness_index(flows: Kpis) -> None:
    # B = A 230 + D 115 = 345. S = 625. At the end A owes 345 - 160 = 185 and F 50, due on the day itself.
    # So it is (345 + 625 - 235) over (345 + 625 - 50).
    assert flows.parts("K29") == (735, 920)
    # B2: B = D 115, S = B 115 + D 115 + F 50 = 280; E total = E current = 50.
    assert flows.parts("K29", branch_id="B2") == (345, 345)


def test_due_day_that_is_past_due_leaves_nothing_current(flows_strict: Kpis) -> None:
    # F is past due on its due day.
    assert flows_strict.parts("K29") == (735, 970)


def test_days_to_first_payment_are_a_median_over_spells(flows: Kpis) -> None:
    # A entered on 11 April, paid on 5 June: 55. B entered on 11 June, paid on the 12th: 1; fell back on the 15th with the
    # reversal, paid on the 18th: 3. D entered on 11 May, paid on 3 June: 23. Median of 1, 3, 23, 55: 13.
    assert flows.parts("K37") == (13, 1)
    assert flows.parts("K37", branch_id="B2") == (3, 1)  # of 1, 3, 23
    # Week of 15 to 21 June: B's second spell alone.
    assert flows.parts("K37", day(6, 21), "week") == (3, 1)


def test_payment_mix_adds_up_to_all_money(flows: Kpis) -> None:
    assert flows.parts("K38", detail="card") == (115, 620)
    assert flows.parts("K38", detail="transfer") == (505, 620)
    assert flows.parts("K38", branch_id="B1", detail="card") == (115, 275)


def test_unreconciled_payments_and_their_age(flows: Kpis) -> None:
    # No due is left for U's 30.00 of 11 May: 50 days before the run's date.
    assert flows.parts("K39") == (30, 1)
    assert flows.parts("K39_AGE") == (1500, 30)
    assert flows.parts("K39", day(6, 29), "day") is None


def test_cost_to_collect_and_net_recovery_by_hour_of_talk(flows: Kpis) -> None:
    # Six calls of 0.45 with a cost recorded, the seventh by the usual 0.45, a message of 0.0604 and an answer of 0.02: 3.2304.
    assert flows.parts("K33") == (3.2304, 390)
    # (390 - 3.2304) by 120 + 300 + 180 + 60 s = 11 minutes.
    assert flows.parts("K34_TALK") == (386.7696, pytest.approx(11 / 60))
    # Loja is B2: D's two calls and message of the 2nd and B's call of the 13th; D and B paid 115 each.
    assert flows.parts("K33", province="Loja") == (pytest.approx(0.45 + 0.0604 + 0.45 + 0.45), 230)


def test_cost_to_collect_by_recorded_costs_alone(flows_read_otherwise: Kpis) -> None:
    # Without the seventh call.
    assert flows_read_otherwise.parts("K33") == (2.7804, 390)
    assert flows_read_otherwise.parts("K34_TALK") == (387.2196, pytest.approx(11 / 60))


def test_cost_that_nobody_knows_is_not_nothing(flows: Kpis) -> None:
    # On 5 June A paid 100 and nobody was contacted.
    assert flows.parts("K33", day(6, 5), "day") == (None, 100)
    assert flows.parts("K34_TALK", day(6, 5), "day") == (None, 0)


@pytest.mark.parametrize("kpi_code", ["K27_PLACED", "K34", "K36"])
def test_what_the_contract_does_not_carry_is_off_with_its_reason(flows: Kpis, kpi_code: str) -> None:
    (status,) = flows.rows("kpis.kpi_status", kpi_code=kpi_code)
    assert status["status_code"] == "off"
    assert status["reason_es"] and status["reason_en"]


def test_grains_of_a_flow_add_up_to_the_total(flows: Kpis) -> None:
    for as_of, period in ((date(2026, 6, 30), "month"), (day(6, 21), "week"), (day(6, 5), "day")):
        total = flows.parts("K26", as_of, period)
        for grain, key in (("branch", "branch_id"), ("product", "product_code"), ("segment", "segment_code")):
            found = flows.rows("kpis.fct_kpi", kpi_code="K26", as_of_date=as_of, period_code=period, grain_code=grain)
            assert all(row[key] for row in found)
            assert total is not None and sum(row["numerator"] for row in found) == pytest.approx(total[0])
