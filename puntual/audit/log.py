"""The log's own table: one row per person considered and day, with everything that was weighed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
SECOND = "second_contact"
"""The second contact of the day as JSON, null without one; days on which nobody has one lack the column."""
_OF_A_SECOND = (
    "action", "window_start", "window_end", "collector_id", "rank", "expected_gain_amount", "provision_avoided_amount",
    "fee_amount", "chargeable_fee_amount", "contact_cost_amount", "value_amount", "reason_codes", "contact_point_id",
)  # fmt: skip
CAMPAIGN = "campaign"
"""What the campaigns made of the chosen message as JSON, null where none was chosen; older entries lack the column."""
_OF_A_CAMPAIGN = (
    "campaign_id", "channel_code", "is_sent", "suppressed_by", "suppressed_source", "blocked_by", "template_id",
    "template_version",
)  # fmt: skip
VERSIONS = ("inputs_sha256", "model_versions", "rules_sha256", "settings_sha256", "code_sha256")
"""Columns that say what a row was decided with."""
GROUP_ROWS = 4_096
"""Rows that are read and, when they cannot be read, named together."""
_OF_THE_PERSON = ("as_of_date", "customer_id", "loan_id")


def log_table(
    decisions: pd.DataFrame,
    details: pd.DataFrame,
    versions: Mapping[str, Any],
    second: pd.DataFrame | None = None,
    second_after: str = "",
    campaigns: pd.DataFrame | None = None,
    own_versions: Mapping[str, Sequence[str]] | None = None,
) -> pa.Table:
    """One row per row of ``decisions``, by customer_id: its columns, ``channels``, :data:`SECOND`, :data:`CAMPAIGN` and
    ``versions``.

    ``channels`` is a list with the columns of ``details``, one item per channel in their order. A version that is not a
    text is written as JSON. Whatever columns decisions and details have are kept: a new one needs no word here.
    ``second``: :data:`puntual.decision.second.SECOND_COLUMNS`; ``second_after``: what the rules took of the other
    contact, as the settings say. ``campaigns``: :data:`puntual.campaigns.plan.MEMBER_COLUMNS` of the day, of which only
    the messages that were chosen are told. ``own_versions``: values by row of ``decisions`` as given, for versions that
    are not everybody's.

    Raises:
        AuditError: a member of ``details`` or of ``second`` has no decision, or has two second contacts.
    """
    decisions = decisions.reset_index(drop=True).sort_values("customer_id", kind="stable")
    given = decisions.index.tolist()
    decisions = decisions.reset_index(drop=True)
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
    if second is not None and len(second):
        told = _second_texts(second, decisions["customer_id"], second_after)
        table = table.append_column(SECOND, pa.array(told, type=pa.string()))
    if campaigns is not None and len(campaigns):
        verdicts = _campaign_texts(campaigns, decisions, second)
        table = table.append_column(CAMPAIGN, pa.array(verdicts, type=pa.string()))
    for name, value in versions.items():
        text = value if isinstance(value, str) else canonical(value).decode()
        texts = [text] * len(decisions)
        if own_versions is not None and name in own_versions:
            texts = [own_versions[name][row] for row in given]
        table = table.append_column(name, pa.array(texts, type=pa.string()))
    return table


def _second_texts(second: pd.DataFrame, members: pd.Series, second_after: str) -> list[str | None]:
    place = pd.Index(members).get_indexer(pd.Index(second["customer_id"]))
    if (place < 0).any() or len(np.unique(place)) < len(place):
        raise AuditError("A second contact is of a member without a decision, or a member has two of them.")
    found: list[str | None] = [None] * len(members)
    rows = second[[name for name in _OF_A_SECOND if name in second]].to_dict("records")
    for at, row in zip(place.tolist(), rows, strict=True):
        found[at] = canonical(
            {name: _json_value(one) for name, one in row.items()} | {"second_after": second_after}
        ).decode()
    return found


def _campaign_texts(campaigns: pd.DataFrame, decisions: pd.DataFrame, second: pd.DataFrame | None) -> list[str | None]:
    """Of each decision; a member is in one campaign, which is that of its message if the first or second one is one."""
    chosen = [decisions[["customer_id", "action"]], *([] if second is None else [second[["customer_id", "action"]]])]
    keys = pd.MultiIndex.from_frame(pd.concat(chosen).astype(object))
    mine = campaigns[pd.MultiIndex.from_frame(campaigns[["customer_id", "channel_code"]].astype(object)).isin(keys)]
    place = pd.Index(decisions["customer_id"]).get_indexer(pd.Index(mine["customer_id"]))
    found: list[str | None] = [None] * len(decisions)
    told = mine[list(_OF_A_CAMPAIGN)].astype({"template_version": "Int64"})  # with gaps a table gives floats
    for at, row in zip(place.tolist(), told.to_dict("records"), strict=True):
        found[at] = canonical({name: _json_value(one) for name, one in row.items()}).decode()
    return found


def _json_value(value: Any) -> Any:
    """Times as UTC; missing as null."""
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        utc = value.tz_localize("UTC") if value.tz is None else value.tz_convert("UTC")
        return utc.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def second_of(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The second contact of a row of the log; None: there is none, or the entry was written before there were any."""
    text = row.get(SECOND)
    return json.loads(text) if isinstance(text, str) else None


def campaign_of(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the campaigns made of the message of a row of the log; None: no message, or an entry without campaigns."""
    text = row.get(CAMPAIGN)
    return json.loads(text) if isinstance(text, str) else None


def is_held_back(row: Mapping[str, Any]) -> bool:
    """Whether the contact of the row (``action``) is a message that was chosen and does not go out."""
    campaign = campaign_of(row)
    return campaign is not None and campaign["channel_code"] == row["action"] and not campaign["is_sent"]


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
