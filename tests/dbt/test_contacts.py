"""What counts as an attempt, a contact, the right party; and what a contact is followed by."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.dbt.book import AS_OF, Book, utc
from tests.dbt.reference import loans_of, local_day, newest
from tests.dbt.warehouses import Built

CONTACT = {
    "third_party",
    "right_party",
    "promise",
    "refusal",
    "dispute",
    "callback",
    "read",
    "replied",
    "opt_out",
    "complaint",
}
RIGHT_PARTY = {"right_party", "promise", "refusal", "dispute", "callback", "replied"}
CHANNELS = ("call", "ivr", "whatsapp", "sms", "email", "visit")


def test_outcomes_say_who_was_reached(on_duckdb: Built) -> None:
    rows = on_duckdb.rows("marts.fct_interactions")
    assert {row["outcome_code"] for row in rows} >= CONTACT | {"no_answer", "not_home", "failed"}
    for row in rows:
        assert row["is_contact"] == (row["outcome_code"] in CONTACT)
        assert row["is_right_party"] == (row["outcome_code"] in RIGHT_PARTY)
        assert row["is_attempt"] == (row["direction_code"] == "outbound")


def test_evening_contact_belongs_to_the_local_day(on_duckdb: Built) -> None:
    (row,) = on_duckdb.rows("marts.fct_interactions", customer_id="C-no-payment", channel_code="sms")
    assert (row["occurred_date"], row["occurred_hour"]) == (AS_OF, 23)
    assert row["occurred_at"].date() == AS_OF + timedelta(days=1)


def test_a_contact_at_midnight_sharp_has_a_day_and_no_hour(on_duckdb: Built) -> None:
    (row,) = on_duckdb.rows("marts.fct_interactions", customer_id="C-no-payment", outcome_code="no_answer")
    assert (row["occurred_date"], row["occurred_hour"]) == (AS_OF, None)


def test_contact_features_are_as_counted_one_by_one(on_duckdb: Built, book: Book) -> None:
    interactions = newest(book.tables["interactions"], "interaction_id")
    for (day, customer_id), row in on_duckdb.tables["features.feat_customer__as_of"].items():
        known = [(i, (day - local_day(i["occurred_at"])).days) for i in interactions if i["customer_id"] == customer_id]
        known = [(i, age) for i, age in known if age >= 0]
        attempts = [(i, age) for i, age in known if i["direction"] == "outbound"]
        where = f"{customer_id} at {day}"
        for days in (7, 14, 21, 28, 42, 56):
            assert row[f"attempt_{days}d_count"] == sum(age < days for _, age in attempts), where
        assert row["days_since_last_attempt"] == min((age for _, age in attempts), default=None), where
        assert row["days_since_last_contact"] == min(
            (age for i, age in known if i["outcome"] in CONTACT), default=None
        ), where
        for channel in CHANNELS:
            tried = [(i["outcome"] in CONTACT, age) for i, age in attempts if i["channel"] == channel]
            assert row[f"{channel}_attempt_28d_count"] == sum(age < 28 for _, age in tried), where
            assert row[f"{channel}_attempt_182d_count"] == sum(age < 182 for _, age in tried), where
            assert row[f"{channel}_contact_182d_count"] == sum(reached and age < 182 for reached, age in tried), where
            year = [reached for reached, age in tried if age < 364]
            assert row[f"{channel}_contact_rate_364d"] == (pytest.approx(sum(year) / len(year)) if year else None), (
                where
            )
    for (day, loan_id), row in on_duckdb.tables["features.feat_loan__as_of"].items():
        known = [
            (i, (day - local_day(i["occurred_at"])).days)
            for i in interactions
            if i["customer_id"] == row["customer_id"]
        ]
        recent = [i for i, age in known if 0 <= age < 91]
        assert row["attempt_91d_count"] == sum(i["direction"] == "outbound" for i in recent), loan_id
        assert row["right_party_91d_count"] == sum(i["outcome"] in RIGHT_PARTY for i in recent), loan_id
        assert row["no_answer_91d_count"] == sum(i["outcome"] == "no_answer" for i in recent), loan_id


def test_response_label_is_the_first_contact_and_the_money_after_the_date(on_duckdb: Built, book: Book) -> None:
    loans = loans_of(book).values()
    interactions = [i for i in newest(book.tables["interactions"], "interaction_id") if i["direction"] == "outbound"]
    channels = set()
    for (day, customer_id), row in on_duckdb.tables["features.label_customer__contact_response"].items():
        first_day, last_day = day + timedelta(days=1), min(day + timedelta(days=7), AS_OF)
        window = [
            i
            for i in interactions
            if i["customer_id"] == customer_id and first_day <= local_day(i["occurred_at"]) <= last_day
        ]
        window.sort(key=lambda i: (i["occurred_at"], i["interaction_id"]))
        paid = sum(
            (loan.net(first_day, last_day) for loan in loans if loan.row["customer_id"] == customer_id), Decimal("0.00")
        )
        where = f"{customer_id} at {day}"
        assert row["channel_code"] == (window[0]["channel"] if window else "none"), where
        assert row["contacted_date"] == (local_day(window[0]["occurred_at"]) if window else None), where
        # whoever else answered, the obligor was not reached
        reached = bool(window and window[0]["outcome"] in CONTACT - {"third_party"})
        assert row["was_reached"] == reached, where
        assert row["propensity"] == (window[0].get("propensity") if window else None), where
        assert row["contact_count"] == len(window), where
        assert (row["paid_7d_amount"], row["has_paid_7d"]) == (paid, paid > 0), where
        assert row["is_matured"] == (day + timedelta(days=7) <= AS_OF), where
        channels.add(row["channel_code"])
    assert channels >= {"none", "call", "whatsapp"}


def test_main_loan_has_the_largest_arrears_then_the_key_decides(on_duckdb: Built) -> None:
    assert on_duckdb.row("features.feat_customer__as_of", customer_id="C-many", is_score=True)["loan_id"] == "L-many-a"
    assert on_duckdb.row("features.feat_customer__as_of", customer_id="C-tie", is_score=True)["loan_id"] == "L-tie-a"


def test_member_sums_their_loans(on_duckdb: Built) -> None:
    loans = on_duckdb.rows("features.feat_loan__as_of", is_score=True)
    for row in on_duckdb.rows("features.feat_customer__as_of", is_score=True):
        mine = [loan for loan in loans if loan["customer_id"] == row["customer_id"]]
        assert row["active_loan_count"] == len(mine) == mine[0]["member_active_loan_count"]
        assert (
            row["past_due_days"] == max(loan["past_due_days"] for loan in mine) == mine[0]["member_max_past_due_days"]
        )
        for name in ("arrears_amount", "outstanding_principal_amount", "installment_amount", "due_next_window_amount"):
            assert row[name] == sum(loan[name] for loan in mine)
        assert row["collectable_amount"] == row["arrears_amount"] + row["due_next_window_amount"]
        assert row["is_eligible"] == (row["collectable_amount"] > Decimal("0.01"))


def test_unknown_is_null_for_facts_and_false_for_flags(on_duckdb: Built) -> None:
    row = on_duckdb.row("features.feat_customer__as_of", customer_id="C-many", is_score=True)
    assert (row["province"], row["monthly_income_amount"], row["burden_rate"], row["member_tenure_days"]) == (
        None,
        None,
        None,
        None,
    )
    assert (row["is_urban"], row["has_mobile"], row["has_open_promise"]) == (False, False, False)
    for table in ("features.feat_loan__as_of", "features.feat_customer__as_of"):
        for row in on_duckdb.rows(table):
            assert all(value is not None for name, value in row.items() if name.startswith(("is_", "has_")))


def test_only_valid_contact_points_count(on_duckdb: Built) -> None:
    row = on_duckdb.row("features.feat_customer__as_of", customer_id="C-no-payment", is_score=True)
    assert (row["has_mobile"], row["has_whatsapp"], row["has_email"]) == (True, True, False)
    other = on_duckdb.row("features.feat_customer__as_of", customer_id="C-tie", is_score=True)
    # the mobile is that of a reference, through whom no rule lets anybody be contacted
    assert (other["has_address"], other["has_landline"], other["has_mobile"]) == (True, True, False)


def test_the_mart_has_what_the_source_tells_of_a_contact_point_and_no_more(on_duckdb: Built) -> None:
    told = on_duckdb.row("marts.dim_contact_points", contact_point_id="T4")
    assert told["place_code"] == "work" and told["party_code"] is None
    assert (told["has_consent"], told["consent_at"]) == (True, utc(AS_OF - timedelta(days=1)))
    theirs = on_duckdb.row("marts.dim_contact_points", contact_point_id="T5")
    assert (theirs["party_code"], theirs["place_code"], theirs["is_valid"]) == ("reference", None, True)
    assert on_duckdb.row("marts.dim_contact_points", contact_point_id="T3")["has_consent"] is None
    assert on_duckdb.row("marts.dim_customers", customer_id="C-tie")["party_code"] is None


def test_the_mart_has_marital_state_as_it_is_delivered(on_duckdb: Built) -> None:
    assert on_duckdb.row("marts.dim_customers", customer_id="C-tie")["marital_state"] == "soltero"
    assert on_duckdb.row("marts.dim_customers", customer_id="X001")["marital_state"] is None
