"""The tables that a publication holds, what is selected and in which order: the same rows are the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from puntual.errors import PublishError
from puntual.warehouse.catalog import TableSpec, described_tables
from puntual.warehouse.serving import PublishedTable

# No column that the contract marks as personal data is in these schemas, neither of members nor of collectors; the work
# lists carry what a collector needs, and only for the members that the day chose.
_SCHEMAS = frozenset({"star", "reporting", "reference"})
_FURTHER = frozenset({"kpis.kpi_status", "marts.fct_loan_reconciliation"})


def published_tables(manifest: Mapping[str, Any]) -> dict[str, PublishedTable]:
    """The star, the reports, the reference tables and the state of the KPIs, by the name that readers know.

    Raises:
        PublishError: two of them have one name, or one has no key that a test promises.
    """
    found: dict[str, PublishedTable] = {}
    for address, spec in _described(manifest).items():
        if spec.name in found or not spec.key:
            what = "stands in two schemas" if spec.name in found else "has no unique test, so its rows have no order"
            raise PublishError(f"{address} cannot be published: its name {what}; mend it in dbt_project")
        found[spec.name] = PublishedTable(
            select=f"select * from {address}",
            order_by=_order(spec),
            key=spec.key,
            description=spec.description,
            columns={column.name: column.description for column in spec.columns},
        )
    return dict(sorted(found.items()))


def published_addresses(manifest: Mapping[str, Any]) -> list[str]:
    """``schema.name`` of every published table."""
    return list(_described(manifest))


def _described(manifest: Mapping[str, Any]) -> dict[str, TableSpec]:
    specs = described_tables(manifest, _SCHEMAS | {"kpis", "marts"})
    return {address: spec for address, spec in specs.items() if spec.schema in _SCHEMAS or address in _FURTHER}


def _order(spec: TableSpec) -> tuple[str, ...]:
    """By date first, where a table has one: a period is then read in one piece."""
    names = {column.name for column in spec.columns}
    first = [name for name in ("as_of_date", "date_key") if name in names and name not in spec.key]
    return (*first[:1], *spec.key)


def ordered(table: PublishedTable) -> str:
    """The query of a published table, in its order."""
    return f"{table.select} order by {', '.join(f'{name} nulls last' for name in table.order_by)}"
