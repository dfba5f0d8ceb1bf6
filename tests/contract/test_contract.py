"""The contract itself: complete, without contradictions, and what the suites say of it."""

from datetime import date, datetime

import pytest
from pydantic import ValidationError

from puntual.contracts.render import expectation_suite, raw_columns
from puntual.contracts.schema import TableContract, load_contract

DAY, MOMENT = date(2026, 7, 1), datetime.fromisoformat("2026-07-02 04:59:59")


def test_every_table_of_the_contract_is_described():
    assert set(load_contract()) == {
        "customers", "contact_points", "loans", "installments", "payments", "loan_balances", "interactions", "promises",
        "message_events", "collectors", "branches", "holidays", "control_totals",
    }  # fmt: skip
    assert {name for name, table in load_contract().items() if table.required} == {
        "customers", "loans", "installments", "payments",
    }  # fmt: skip


def test_referenced_tables_come_before_those_that_reference_them():
    order = list(load_contract())
    for name, table in load_contract().items():
        assert all(order.index(parent) < order.index(name) for parent in table.references.values())


def test_personal_data_is_marked():
    direct = {
        f"{name}.{column.name}"
        for name, table in load_contract().items()
        for column in table.columns
        if column.pii == "direct"
    }
    assert {"customers.national_id", "customers.full_name", "contact_points.value"} <= direct


@pytest.mark.parametrize("name", sorted(load_contract()))
def test_suite_speaks_of_every_required_column_and_list(name):
    table = load_contract()[name]
    reasons = {item.reason for item in expectation_suite(table, latest_day=DAY, latest_moment=MOMENT)}
    for column in table.columns:
        assert not column.required or f"missing:{column.name}" in reasons
        assert not column.values or f"not_in_list:{column.name}" in reasons
        assert not column.has_bounds or f"out_of_range:{column.name}" in reasons
    assert {f"rule:{rule.name}" for rule in table.row_rules} <= reasons


def test_nothing_is_expected_of_columns_that_were_not_delivered():
    loans = load_contract()["loans"]
    suite = expectation_suite(loans, latest_day=DAY, latest_moment=MOMENT, without=["closed_on", "product"])
    assert not any({"closed_on", "product"} & set(item.columns) for item in suite)


def test_money_is_exact_in_raw():
    assert raw_columns(load_contract()["payments"])["amount"] == "numeric(14,2)"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"colour": "red"}, id="unknown key"),
        pytest.param({"key": ["b"]}, id="key that is no required column"),
        pytest.param({"without_it": None}, id="optional table that does not say what is off"),
        pytest.param(
            {"columns": [{"name": "a", "type": "text", "required": True, "description": "A", "minimum": 1}]},
            id="range of text",
        ),
    ],
)  # fmt: skip
def test_a_contradiction_is_refused(change):
    good = {
        "table": "t", "description": "T.", "grain": "One row.", "key": ["a"], "without_it": "Off.",
        "columns": [{"name": "a", "type": "text", "required": True, "description": "A"}],
    }  # fmt: skip
    TableContract.model_validate(good)
    with pytest.raises(ValidationError):
        TableContract.model_validate(good | change)
