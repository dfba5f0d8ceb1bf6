"""Work lists: XLSX, CSV and Parquet per collector, and CSV and Parquet of everybody."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from puntual.lists.columns import COLUMNS, IN_ALL, Column
from puntual.lists.files import is_missing, keep_private, write_csv
from puntual.lists.rows import COLLECTOR_CHANNELS, ListSettings
from puntual.lists.texts import word
from puntual.lists.workbook import write_workbook

LIST = pa.schema(
    [
        ("as_of_date", pa.date32()),
        ("list_id", pa.string()),
        ("list_digest", pa.string()),
        ("row_id", pa.string()),
        ("rank", pa.int64()),
        ("collector_id", pa.string()),
        ("collector_name", pa.string()),
        ("customer_id", pa.string()),
        ("full_name", pa.string()),
        ("national_id", pa.string()),
        ("loan_id", pa.string()),
        ("product_code", pa.string()),
        ("branch_id", pa.string()),
        ("channel_code", pa.string()),
        ("contact_value", pa.string()),
        ("place", pa.string()),
        ("timezone", pa.string()),
        ("window_start", pa.timestamp("us", tz="UTC")),
        ("window_end", pa.timestamp("us", tz="UTC")),
        ("window_start_local", pa.string()),
        ("window_end_local", pa.string()),
        ("suggested_hour_local", pa.string()),
        ("route_order", pa.int64()),
        ("planned_arrival_local", pa.string()),
        ("arrears_amount", pa.float64()),
        ("collectable_amount", pa.float64()),
        ("promise_limit_amount", pa.float64()),
        ("past_due_days", pa.int64()),
        ("bucket_code", pa.string()),
        ("expected_gain_amount", pa.float64()),
        ("default_probability", pa.float64()),
        ("reasons", pa.string()),
        ("script", pa.string()),
        ("last_contacts", pa.string()),
        ("previous_collector", pa.string()),
        ("open_promise", pa.string()),
    ]
)
"""One row per contact of a list, codes instead of words, reasons in the institution's language; by list and rank.

Which contacts were drawn is not said, as in the workbooks: whoever works them would speak in another tone.
"""


def write_worklists(rows: pd.DataFrame, folder: Path, settings: ListSettings, as_of: date) -> list[Path]:
    """Write ``worklists/<collector>`` as .xlsx, .csv and .parquet for every collector with contacts, and
    ``worklists/all`` as .csv and .parquet; their paths.

    Rows are those of :func:`puntual.lists.rows.contact_rows`; messages stand in ``all`` too, without a collector. The
    last column of every file is the row's id, by which a filled list comes back. Equal rows give equal bytes. The files
    name people: they are their owner's alone.
    """
    shown = rows.assign(
        channel=[word("channels", code, settings.language) for code in rows["channel_code"]],
        product=["" if code is None else word("products", code, settings.language) for code in rows["product_code"]],
        timezone=rows["timezone"].where(rows["timezone"].notna(), settings.timezone),
        list_digest=pd.Series(None, index=rows.index, dtype=object),
    )
    written = []
    personal = shown[shown["channel_code"].isin(COLLECTOR_CHANNELS)]
    for file, unranked in personal.groupby("file", sort=True):
        path, group = folder / str(file), unranked.sort_values("rank")
        digest = list_digest(group)
        shown.loc[group.index, "list_digest"] = digest
        write_workbook(keep_private(path), group, settings, as_of, digest)
        written.append(path)
        written.append(_write_csv(path.with_suffix(".csv"), group, COLUMNS, settings))
        written.append(_write_parquet(path.with_suffix(".parquet"), group.assign(list_digest=digest)))
    written.append(_write_csv(folder / "worklists" / "all.csv", shown, (*IN_ALL, *COLUMNS), settings))
    written.append(_write_parquet(folder / "worklists" / "all.parquet", shown))
    return written


def list_digest(rows: pd.DataFrame) -> str:
    """What the list holds in 16 hexadecimal digits: its lines in order, each with member, loan and channel."""
    keys = ["row_id", "customer_id", "loan_id", "channel_code"]
    lines = ["|".join(str(part) for part in key) for key in rows[keys].itertuples(index=False, name=None)]
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()[:16]


def _write_csv(path: Path, rows: pd.DataFrame, columns: Sequence[Column], settings: ListSettings) -> Path:
    amounts = [column.source for column in columns if column.form == "money" and not column.fill]
    table = rows.assign(
        **{name: rows[name].astype(float).round(2) for name in amounts},
        **{column.source: None for column in columns if column.fill},
        default_probability=rows["default_probability"].astype(float).round(4),
    )
    return write_csv(
        path,
        [word("headings", column.heading, settings.language) for column in columns],
        table[[column.source for column in columns]].astype(object).itertuples(index=False, name=None),
        separator=settings.separator,
        decimal=settings.decimal,
    )


def _write_parquet(path: Path, rows: pd.DataFrame) -> Path:
    named = rows.drop(columns="reasons").rename(columns={"reasons_on_list": "reasons"})
    columns = []
    for field in LIST:
        values = named[field.name]
        if pa.types.is_date(field.type):
            values = pd.to_datetime(values).dt.date
        elif pa.types.is_timestamp(field.type):
            values = pd.to_datetime(values, utc=True)
        elif pa.types.is_string(field.type):
            values = pd.Series([None if is_missing(value) else str(value) for value in values], dtype=object)
        elif pa.types.is_integer(field.type):
            values = values.astype("Int64")
        columns.append(pa.array(values, type=field.type, from_pandas=True))
    pq.write_table(pa.Table.from_arrays(columns, schema=LIST), keep_private(path), compression="zstd")
    return path
