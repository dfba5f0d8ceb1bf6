"""Great Expectations at the door: the contract's suite on pandas chunks of the typed rows.

Only the columns that a suite reads go to pandas, dates as day numbers and timestamps as seconds: Great Expectations
compares numbers a hundred times faster than dates. Keys across rows (duplicates, orphans) are found set-based in
DuckDB; orphans reach the suite as a helper column, duplicates are no matter of a single row.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from puntual.contracts.render import Expectation

ROW = "_stage_row"
CHUNK_VECTORS = 244  # of 2 048 rows: about half a million rows at a time
_EXAMPLES = 20
_EPOCH = datetime.fromisoformat("1970-01-01")


@dataclass
class ExpectationResult:
    """What one expectation found in all chunks of a table; examples are at most twenty."""

    expectation: Expectation
    element_count: int = 0
    unexpected_count: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class SuiteResult:
    """Outcome of a suite.

    Attributes:
        failures: one row per failing row and reason: ``_stage_row``, ``reason``.
    """

    results: tuple[ExpectationResult, ...]
    failures: pd.DataFrame


def _kwargs(expectation: Expectation, timestamps: frozenset[str]) -> dict[str, Any]:
    """Arguments with dates in the numbers that the chunks carry."""
    in_seconds = expectation.kwargs.get("column") in timestamps

    def plain(value: Any) -> Any:
        if not isinstance(value, datetime):
            return value
        return (value - _EPOCH).total_seconds() if in_seconds else float((value - _EPOCH).days)

    return {name: plain(value) for name, value in expectation.kwargs.items() if value is not None}


class Door:
    """Great Expectations with one throw-away context; made once, it takes seconds to import."""

    def __init__(self) -> None:
        logging.getLogger("great_expectations").setLevel(logging.WARNING)
        import great_expectations as gx
        from great_expectations.data_context.types.base import (
            DataContextConfig,
            InMemoryStoreBackendDefaults,
            ProgressBarsConfig,
        )
        from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

        self.version: str = gx.__version__
        self._gx = gx
        self._configuration = ExpectationConfiguration
        # Without a docs site: GX would make a folder for it outside the institution's home.
        stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
        context = gx.get_context(mode="ephemeral", project_config=DataContextConfig(store_backend_defaults=stores))
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        self._source = context.data_sources.add_pandas("door")

    def check(
        self, name: str, suite: Sequence[Expectation], chunks: Iterator[pd.DataFrame], *, timestamps: frozenset[str]
    ) -> SuiteResult:
        """Validate every chunk; all failing rows with all their reasons.

        Args:
            name: of the table, for the batch.
            suite: expectations.
            chunks: frames with ``_stage_row`` and the columns of the suite.
            timestamps: columns that carry seconds, not days.

        Raises:
            RuntimeError: Great Expectations could not evaluate an expectation.
        """
        found = tuple(ExpectationResult(expectation) for expectation in suite)
        batches = self._source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
        gx_suite = self._gx.ExpectationSuite(
            name=name,
            expectations=[
                self._configuration(
                    type=item.type, kwargs=_kwargs(item, timestamps), meta={"position": position}
                ).to_domain_obj()
                for position, item in enumerate(suite)
            ],
        )
        failures: list[pd.DataFrame] = []
        result_format = {"result_format": "COMPLETE", "unexpected_index_column_names": [ROW]}
        for chunk in chunks:
            outcome = batches.get_batch({"dataframe": chunk}).validate(gx_suite, result_format=result_format)
            for result in outcome.results:
                _refuse_exceptions(name, result)
                into = found[_position(result)]
                failures += _collect(into, result.result, timestamps)
        empty = pd.DataFrame({ROW: pd.Series(dtype="int64"), "reason": pd.Series(dtype="object")})
        return SuiteResult(found, pd.concat(failures, ignore_index=True) if failures else empty)


def _position(result: Any) -> int:
    """Position in the suite: Great Expectations gives results back in an order of its own."""
    return int(result.expectation_config.meta["position"])


def _refuse_exceptions(name: str, result: Any) -> None:
    """An expectation that raised has judged nothing: that is a defect, never a pass."""
    info = result.exception_info or {}
    entries = [info] if "raised_exception" in info else list(info.values())
    for entry in entries:
        if entry.get("raised_exception"):
            raise RuntimeError(
                f"Great Expectations could not evaluate {result.expectation_config.type} on {name}:"
                f" {entry.get('exception_message')}"
            )


def _collect(into: ExpectationResult, result: dict[str, Any], timestamps: frozenset[str]) -> list[pd.DataFrame]:
    into.element_count += int(result.get("element_count", 0))
    unexpected = result.get("unexpected_index_list") or []
    into.unexpected_count += len(unexpected)
    if not unexpected:
        return []
    columns = into.expectation.columns
    for item in unexpected[: _EXAMPLES - len(into.examples)]:
        into.examples.append(
            {ROW: int(item[ROW])} | {name: _readable(item.get(name), name, timestamps, into) for name in columns}
        )
    rows = np.fromiter((item[ROW] for item in unexpected), dtype="int64", count=len(unexpected))
    return [_with_reasons(into.expectation, rows, [item.get(columns[0]) for item in unexpected], timestamps)]


def _with_reasons(
    expectation: Expectation, rows: np.ndarray, values: list[Any], timestamps: frozenset[str]
) -> pd.DataFrame:
    frame = pd.DataFrame({ROW: rows, "reason": expectation.reason})
    if expectation.reason.endswith(":"):
        # The cell of a helper column lists the columns that it is about.
        frame["reason"] = [[expectation.reason + name for name in value.split(",")] for value in values]
        return frame.explode("reason", ignore_index=True)
    if expectation.beyond is not None:
        limit = _kwargs(expectation, timestamps)["max_value"]
        frame["reason"] = np.where(np.array(values, dtype="float64") > limit, expectation.beyond, expectation.reason)
    return frame


def _readable(value: Any, name: str, timestamps: frozenset[str], into: ExpectationResult) -> Any:
    """The value as a person reads it: day and second numbers as ISO dates."""
    is_time = isinstance(into.expectation.kwargs.get("max_value"), datetime) or "column_A" in into.expectation.kwargs
    if value is None or value != value:  # NaN
        return None
    if is_time and isinstance(value, int | float):
        seconds = float(value) if name in timestamps else float(value) * 86400
        moment = np.datetime64("1970-01-01T00:00:00") + np.timedelta64(int(seconds), "s")
        return str(moment) if name in timestamps else str(moment)[:10]
    return value.item() if isinstance(value, np.generic) else value


def chunks_of(con: duckdb.DuckDBPyConnection, sql: str) -> Iterator[pd.DataFrame]:
    """Frames of about half a million rows of a query; the query's result is never whole in memory."""
    result = con.execute(sql)
    while True:
        chunk = result.fetch_df_chunk(CHUNK_VECTORS)
        if chunk.empty:
            return
        yield chunk
