"""A book with everything that the KPIs read, built as far as the long table, and MetricFlow's engine beside it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tests.dbt.book import AS_OF, Book, full_book
from tests.dbt.warehouses import duckdb_environment, load_duckdb, load_postgres, postgres_environment, run_dbt

KPIS = ("--select", "+fct_kpi", "+kpi_status", "+kpi_time_spine")
NO_TESTS = ("--exclude-resource-type", "test")
WITH_TESTS = ("--indirect-selection", "buildable")
KEYS = ("branch_id", "product_code", "segment_code", "bucket_code", "collector_id", "agency", "channel_code",
        "campaign_id", "province")  # fmt: skip
Query = Callable[[str], list[tuple[Any, ...]]]


def ask_history(book: Book, *, months: int = 14, weeks: int = 13, days: int = 31) -> None:
    """The kept days, Sundays and month ends of a run on the book's date."""
    book.ask(book.as_of, "is_score")
    for back in range(days):
        book.ask(book.as_of - timedelta(days=back), "is_day")
    sunday = book.as_of - timedelta(days=book.as_of.isoweekday() % 7)
    for back in range(weeks):
        book.ask(sunday - timedelta(days=7 * back), "is_week_end")
    first = (book.as_of + timedelta(days=1)).replace(day=1)
    for _ in range(months):
        book.ask(first - timedelta(days=1), "is_month_end")
        first = (first - timedelta(days=1)).replace(day=1)


def kpi_book() -> Book:
    """The full book with history, branches in two provinces, and scores of three days."""
    book = full_book()
    ask_history(book)
    book.add("branches", branch_id="B2", name="Loja", province="Loja")
    rng = random.Random(5)
    loans = sorted({row["loan_id"] for row in book.tables["loans"]})
    for day in (AS_OF, AS_OF - timedelta(days=1), date(2026, 5, 31)):
        for loan_id in loans:
            book.tables.setdefault("ml.default_risk_scores", []).append(
                {"as_of_date": day, "loan_id": loan_id, "default_probability": rng.random(), "_load_id": 1}
            )
    return book


@dataclass(frozen=True)
class Warehouse:
    """A built warehouse: how to ask it, and dbt's compiled files."""

    query: Query
    target: Path
    engine: str
    file: Path | None = None

    def kpis(self, **where: Any) -> list[dict[str, Any]]:
        """Rows of the long table; None asks for NULL."""
        columns = ("as_of_date", "period_code", "kpi_code", "grain_code", *KEYS, "detail_code", "numerator",
                   "denominator", "value")  # fmt: skip
        rows = [
            dict(zip(columns, row, strict=True)) for row in self.query(f"select {', '.join(columns)} from kpis.fct_kpi")
        ]
        return [row for row in rows if all(row[name] == value for name, value in where.items())]


def build_duckdb(book: Book, folder: Path, *arguments: str) -> Warehouse:
    import duckdb

    file = folder / "warehouse.duckdb"
    file.unlink(missing_ok=True)
    load_duckdb(book, file)
    run_dbt(
        ["build", "--exclude-resource-type", "unit_test", *KPIS, *(arguments or NO_TESTS)],
        duckdb_environment(file),
        folder,
    )

    def query(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(file), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    return Warehouse(query, folder / "target", "duckdb", file)


def build_postgres(book: Book, url: str, folder: Path, *arguments: str) -> Warehouse:
    import psycopg2

    load_postgres(book, url)
    run_dbt(
        ["build", "--exclude-resource-type", "unit_test", *KPIS, *(arguments or NO_TESTS)],
        postgres_environment(url),
        folder,
    )

    def query(sql: str) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            connection.close()

    return Warehouse(query, folder / "target", "postgres")


class MetricFlow:
    """MetricFlow's own engine on dbt's semantic manifest: it writes the SQL, the warehouse answers it."""

    def __init__(self, warehouse: Warehouse) -> None:
        from metricflow.engine.metricflow_engine import MetricFlowEngine
        from metricflow.protocols.sql_client import SqlEngine
        from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
        from metricflow.sql.render.postgres import PostgresSQLSqlPlanRenderer
        from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
        from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

        class Dialect:
            """What the engine asks of a client when it only explains."""

            sql_engine_type = SqlEngine.DUCKDB if warehouse.engine == "duckdb" else SqlEngine.POSTGRES
            sql_plan_renderer = (
                DuckDbSqlPlanRenderer() if warehouse.engine == "duckdb" else PostgresSQLSqlPlanRenderer()
            )

        text = (warehouse.target / "semantic_manifest.json").read_text(encoding="utf-8")
        manifest = parse_manifest_from_dbt_generated_manifest(manifest_json_string=text)
        self._engine = MetricFlowEngine(SemanticManifestLookup(manifest), Dialect())  # type: ignore[arg-type]
        self._warehouse = warehouse

    def values(self, metrics: Sequence[str], group_by: Iterable[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Values of the metrics by the group's columns, in their order."""
        from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

        names = list(group_by)
        request = MetricFlowQueryRequest.create(metric_names=list(metrics), group_by_names=names)
        sql = self._engine.explain(request).sql_statement.sql
        listed = ", ".join([*names, *metrics])
        rows = self._warehouse.query(f"select {listed} from ({sql}) as asked")
        return {row[: len(names)]: dict(zip(metrics, row[len(names) :], strict=True)) for row in rows}
