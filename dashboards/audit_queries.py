"""What the audit page asks of a snapshot: reports as they were published, filtered, counted and put in order."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd

from dashboards.queries import MOVEMENT_STEPS, cached, select

MOST_ROWS = 200
"""What a table on the page shows; the export has them all."""


@cached
def movement_lines(folder: str, from_date: date, as_of: date) -> pd.DataFrame:
    """A period's movement by branch and product, amounts and counts, with what is left when it is added up.

    ``amount_gap`` and ``count_gap`` are closing less (opening + new + increased − what left): 0 on every line.
    """
    signs = {"new": "+", "increased": "+", "reduced": "-", "cured": "-", "written_off": "-", "closed": "-"}
    flow = " ".join(f"{signs[step]} {step}_amount" for step in MOVEMENT_STEPS)
    # A loan whose arrears grew or shrank is in arrears before and after: it moves no count.
    counts = " ".join(f"{signs[step]} {step}_count" for step in MOVEMENT_STEPS if step not in {"increased", "reduced"})
    return select(
        folder,
        f"""
        select coalesce(branches.branch_name, movement.branch_id, '') as branch, product_code,
            movement.* exclude (branch_id, product_code, from_date, as_of_date),
            closing_amount - (opening_amount {flow}) as amount_gap,
            closing_count - (opening_count {counts}) as count_gap
        from rpt_arrears_movement as movement left join dim_branches as branches using (branch_id)
        where from_date = $from_date and as_of_date = $as_of
        order by branch, product_code
        """,
        ["rpt_arrears_movement", "dim_branches"],
        {"from_date": from_date, "as_of": as_of},
    )


@cached
def reconciliation(folder: str) -> pd.Series:
    """The verdict: one row, as ``rpt_reconciliation`` has it."""
    return select(
        folder, "select * from rpt_reconciliation order by as_of_date desc limit 1", ["rpt_reconciliation"]
    ).iloc[0]


@cached
def reconciliation_causes(folder: str) -> pd.DataFrame:
    """Loans and differences by cause, in the order in which causes are tried; loans that agree are left out."""
    return select(
        folder,
        """
        select found.cause_code, causes.label_es, causes.label_en, causes.advice_es, causes.advice_en,
            found.is_explained, found.loan_count, found.arrears_difference_amount,
            found.outstanding_principal_difference_amount
        from rpt_reconciliation_causes as found left join reconciliation_causes as causes using (cause_code)
        where found.cause_code is not null and found.loan_count > 0
        order by found.rule_no
        """,
        ["rpt_reconciliation_causes", "reconciliation_causes"],
    )


@cached
def reconciliation_totals(folder: str) -> pd.DataFrame:
    """Totals per branch and product beside the core's, to the cent; those that differ first."""
    return select(
        folder,
        """
        select source_code, coalesce(branches.branch_name, totals.branch_id, '') as branch, product_code, status_code,
            outstanding_principal_amount, core_outstanding_principal_amount, outstanding_principal_difference_amount,
            arrears_amount, core_arrears_amount, arrears_difference_amount, loan_count, core_loan_count
        from rpt_reconciliation_totals as totals left join dim_branches as branches using (branch_id)
        order by status_code = 'equal', source_code, totals.branch_id, product_code
        """,
        ["rpt_reconciliation_totals", "dim_branches"],
    )


@cached
def worst_loans(folder: str) -> pd.DataFrame:
    """The loans that are furthest from the core, unexplained ones first."""
    return select(
        folder,
        f"""
        select loan_id, causes.label_es, causes.label_en, arrears_amount, core_arrears_amount,
            arrears_difference_amount, outstanding_principal_difference_amount, past_due_days, core_past_due_days,
            evidence
        from fct_loan_reconciliation left join reconciliation_causes as causes using (cause_code)
        where is_compared and not is_reconciled
        order by fct_loan_reconciliation.is_explained,
            greatest(
                abs(coalesce(arrears_difference_amount, 0)), abs(coalesce(outstanding_principal_difference_amount, 0))
            ) desc, loan_id
        limit {MOST_ROWS}
        """,
        ["fct_loan_reconciliation", "reconciliation_causes"],
    )


@cached
def promise_states(folder: str) -> pd.DataFrame:
    """Promises by state: how many, how much promised and paid, how many lapsed ones nobody followed up."""
    return select(
        folder,
        """
        select promise_status_code, count(*) as promise_count, sum(promised_amount)::double as promised_amount,
            sum(paid_amount)::double as paid_amount,
            count(*) filter (promise_status_code in ('broken', 'partly_kept') and follow_up_date is null)
                as unfollowed_count
        from rpt_promise_lives group by promise_status_code
        order by list_position(['open', 'kept', 'partly_kept', 'broken'], promise_status_code)
        """,
        ["rpt_promise_lives"],
    )


@cached
def promises(folder: str, status: str) -> pd.DataFrame:
    """The newest promises of a state, with their life."""
    return select(
        folder,
        f"""
        select promise_id, customer_id, loan_id, collector_id, made_date, due_date, grace_end_date, promised_amount,
            paid_amount, kept_date, broken_date, follow_up_date, days_to_follow_up
        from rpt_promise_lives where promise_status_code = $status
        order by made_date desc, promise_id limit {MOST_ROWS}
        """,
        ["rpt_promise_lives"],
        {"status": status},
    )


@cached
def list_dates(folder: str) -> list[Any]:
    """The dates whose lists are kept, newest first."""
    sql = "select distinct as_of_date from rpt_list_completion order by as_of_date desc"
    return list(select(folder, sql, ["rpt_list_completion"])["as_of_date"])


@cached
def completion(folder: str, as_of: Any) -> pd.DataFrame:
    """What became of a day's contacts: by collector (or channel without one) and in what way, counts."""
    return select(
        folder,
        """
        select coalesce(collector_id, channel_code) as worker, count(*) as contact_count,
            count(*) filter (completion_code = 'same_day') as same_day,
            count(*) filter (completion_code = 'later') as later,
            count(*) filter (completion_code = 'other_channel') as other_channel,
            count(*) filter (completion_code = 'not_worked') as not_worked,
            count(*) filter (completion_code = 'pending') as pending,
            count(*) filter (is_right_party) as right_party_count, sum(paid_amount)::double as paid_amount
        from rpt_list_completion where as_of_date = $as_of group by worker order by contact_count desc, worker
        """,
        ["rpt_list_completion"],
        {"as_of": as_of},
    )


@cached
def blocked_dates(folder: str) -> list[Any]:
    """The dates whose decisions are kept, newest first."""
    sql = "select distinct as_of_date from rpt_blocked_contacts order by as_of_date desc"
    return list(select(folder, sql, ["rpt_blocked_contacts"])["as_of_date"])


@cached
def blocked(folder: str, as_of: Any) -> pd.DataFrame:
    """Members that each rule kept from each channel on a day, the largest first."""
    return select(
        folder,
        """
        select rule_id, channel_code, considered_count, channel_blocked_count, blocked_count, blocked_alone_count,
            blocked_for_good_count
        from rpt_blocked_contacts where as_of_date = $as_of order by blocked_count desc, rule_id, channel_code
        """,
        ["rpt_blocked_contacts"],
        {"as_of": as_of},
    )


@cached
def unmatched_ages(folder: str) -> pd.DataFrame:
    """Unmatched payments by age: up to 7, 30, 90 days and older, with reversals as they are signed."""
    return select(
        folder,
        """
        select case when age_days is null then 'unknown' when age_days <= 7 then '0-7' when age_days <= 30 then '8-30'
                when age_days <= 90 then '31-90' else '91+' end as age_code,
            count(*) as payment_count, sum(unmatched_amount)::double as unmatched_amount
        from rpt_unmatched_payments group by age_code
        order by list_position(['0-7', '8-30', '31-90', '91+', 'unknown'], age_code)
        """,
        ["rpt_unmatched_payments"],
    )


@cached
def unmatched(folder: str) -> pd.DataFrame:
    """The unmatched payments, oldest first."""
    return select(
        folder,
        f"""
        select payment_id, loan_id, customer_id, paid_date, age_days, payment_amount, unmatched_amount, reason_code
        from rpt_unmatched_payments order by age_days desc nulls first, payment_id limit {MOST_ROWS}
        """,
        ["rpt_unmatched_payments"],
    )


@cached
def timeline(folder: str, customer_id: str) -> pd.DataFrame:
    """Everything that happened with a person, newest first: contacts, promises and what became of them, payments.

    One row per event: ``happened_date``, ``happened_at`` (UTC, NULL when only the day is known), ``kind`` (contact,
    promise, promise_kept, promise_broken, payment, reversal), ``channel_code``, ``outcome_*``, ``amount``, ``loan_id``,
    ``collector_id``.
    """
    return select(
        folder,
        """
        with events as (
            select occurred_date as happened_date, occurred_at as happened_at, 'contact' as kind, channel_code,
                outcome_code, null::double as amount, loan_id, collector_id, interaction_id as event_id
            from rpt_contacts where customer_id = $customer
            union all
            select made_date, made_at, 'promise', channel_code, null, promised_amount::double, loan_id, collector_id,
                promise_id
            from rpt_promise_lives where customer_id = $customer
            union all
            select kept_date, null, 'promise_kept', null, null, promised_amount::double, loan_id, null, promise_id
            from rpt_promise_lives where customer_id = $customer and kept_date is not null
            union all
            select coalesce(partly_kept_date, broken_date), null, 'promise_broken', null, null, promised_amount::double,
                loan_id, null, promise_id
            from rpt_promise_lives where customer_id = $customer and coalesce(partly_kept_date, broken_date) is not null
            union all
            select paid_date, paid_at, case when is_reversal then 'reversal' else 'payment' end, null, null,
                payment_amount::double, loan_id, collector_id, payment_id
            from fct_payments where customer_id = $customer
        )
        select events.*, outcomes.label_es as outcome_es, outcomes.label_en as outcome_en
        from events left join outcomes using (outcome_code)
        order by happened_date desc, happened_at desc nulls last, kind, event_id
        """,
        ["rpt_contacts", "rpt_promise_lives", "fct_payments", "outcomes"],
        {"customer": customer_id},
    )
