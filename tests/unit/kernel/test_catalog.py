from __future__ import annotations

from typing import Any

from puntual.warehouse.catalog import described_tables


def node(kind: str, schema: str, name: str, columns: dict[str, str], materialized: str = "table") -> dict[str, Any]:
    described = {
        column: {"name": column, "data_type": data_type, "description": f"the {column}"}
        for column, data_type in columns.items()
    }
    return {
        "resource_type": kind, "schema": schema, "name": name, "alias": name, "description": "One row per thing.",
        "columns": described, "config": {"materialized": materialized},
    }  # fmt: skip


def key_test(attached: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {
        "resource_type": "test", "schema": "audit", "name": "t", "columns": {}, "config": {},
        "attached_node": attached, "test_metadata": {"name": name, "kwargs": arguments},
    }  # fmt: skip


MANIFEST = {
    "nodes": {
        "model.p.fct": node("model", "marts", "fct", {"day": "date", "loan_id": "text"}),
        "model.p.view": node("model", "star", "view", {"day": "date"}, "view"),
        "model.p.inner": node("model", "star", "inner", {"day": "date"}, "ephemeral"),
        "seed.p.codes": node("seed", "reference", "codes", {"code": "text"}),
        "seed.p.fees": node("seed", "reference", "fees", {"code": "text", "valid_from_date": "date"}),
        "test.p.a": key_test("model.p.fct", "unique_together", columns=["day", "loan_id"]),
        "test.p.b": key_test("model.p.fct", "unique", column_name="loan_id"),
        "test.p.c": key_test("seed.p.codes", "unique", column_name="code"),
        "test.p.e": key_test("seed.p.fees", "validity_does_not_overlap", columns=["code"]),
        "test.p.d": key_test("seed.p.codes", "not_null", column_name="code"),
    }
}


def test_tables_are_found_by_schema_with_the_key_that_a_test_promises():
    found = described_tables(MANIFEST, {"marts", "reference"})
    assert list(found) == ["marts.fct", "reference.codes", "reference.fees"]
    assert found["reference.fees"].key == ("code", "valid_from_date")
    assert found["marts.fct"].key == ("day", "loan_id")
    assert found["reference.codes"].key == ("code",)
    assert [column.data_type for column in found["marts.fct"].columns] == ["date", "text"]


def test_views_count_and_ephemeral_models_do_not():
    found = described_tables(MANIFEST, {"star"})
    assert list(found) == ["star.view"]
    assert found["star.view"].key == ()
