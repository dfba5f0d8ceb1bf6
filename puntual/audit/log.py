"""The log's own table: one row per person considered and day, with everything that was weighed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from puntual.audit.digests import canonical
from puntual.errors import AuditError

CHANNELS = "channels"
"""The list column: what the rules, the model, the capacities and chance said of each channel."""
VERSIONS = ("inputs_sha256", "model_versions", "rules_sha256", "settings_sha256", "code_sha256")
"""Columns that say what a row was decided with."""
GROUP_ROWS = 4_096
"""Rows that are read and, when they cannot be read, named together."""
_OF_THE_PERSON = ("as_of_date", "customer_id", "loan_id")


def log_table(decisions: pd.DataFrame, details: pd.DataFrame, versions: Mapping[str, Any]) -> pa.Table:
    """One row per row of ``decisions``, by customer_id: its columns, ``channels`` and the ``versions``.

    ``channels`` is a list with the columns of ``details``, one item per channel in their order. A version that is not a
    text is written as JSON. Whatever columns decisions and details have are kept: a new one needs no word here.

    Raises:
        AuditError: a member of ``details`` has no decision.
    """
    decisions = decisions.sort_values("customer_id", kind="stable").reset_index(drop=True)
    place = pd.Index(decisions["customer_id"]).get_indexer(pd.Index(details["customer_id"]))
    if (place < 0).any():
        raise AuditError(f"The member {details['customer_id'].iloc[int(place.argmin())]} has details and no decision.")
    order = np.argsort(place, kind="stable")
    items = _arrays(details.iloc[order].drop(columns=[name for name in _OF_THE_PERSON if name in details]))
    counts = np.bincount(place, minlength=len(decisions))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), type=pa.int32())
    table = pa.table(_arrays(decisions))
    struct = pa.StructArray.from_arrays(list(items.values()), names=list(items))
    table = table.append_column(CHANNELS, pa.ListArray.from_arrays(offsets, struct))
    for name, value in versions.items():
        text = value if isinstance(value, str) else canonical(value).decode()
        table = table.append_column(name, pa.array([text] * len(decisions), type=pa.string()))
    return table


def _arrays(frame: pd.DataFrame) -> dict[str, pa.Array]:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    arrays = {}
    for name in table.column_names:
        column = table.column(name)
        array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], type=column.type)
        if pa.types.is_null(array.type) or pa.types.is_large_string(array.type):
            array = array.cast(pa.string())
        elif pa.types.is_timestamp(array.type):
            array = array.cast(pa.timestamp("us", tz=array.type.tz))
        arrays[name] = array
    return arrays


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as Parquet: the same rows give the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=GROUP_ROWS, write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def person(file: Path, customer_id: str) -> dict[str, Any] | None:
    """The row of one person, ``channels`` as a list of dictionaries; None when the day did not consider them."""
    source = pq.ParquetFile(file)
    position = source.schema_arrow.get_field_index("customer_id")
    for group in range(source.metadata.num_row_groups):
        # By customer_id: most groups are passed over by their bounds.
        statistics = source.metadata.row_group(group).column(position).statistics
        if statistics is not None and not statistics.min <= customer_id <= statistics.max:
            continue
        table = source.read_row_group(group)
        found = table.filter(pc.equal(table.column("customer_id"), customer_id)).to_pylist()
        if found:
            return found[0]
    return None


def people(file: Path, columns: list[str]) -> pd.DataFrame:
    """Some columns of everybody, ``channels`` not among them; those that the log had not yet are left out."""
    there = set(pq.read_schema(file).names)
    return pq.read_table(file, columns=[name for name in columns if name in there]).to_pandas()
