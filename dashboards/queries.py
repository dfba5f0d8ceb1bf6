"""What the pages ask of a published snapshot: named SELECTs with parameters, over its Parquet files.

DuckDB runs in memory and reads only the files that a query names; no connection outlives its query, so a publication
or a clean-up is never held back. Results are cached by the snapshot's folder: it never changes, and a new publication
is another folder, so what a run publishes is what the next click shows.

A rate is always computed here from its two sums; nothing averages a rate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import streamlit as st

from puntual.errors import PublishError
from puntual.snapshot import SCREEN_ROUTES, Snapshot

PAGE_ROWS = 100
NO_COLLECTOR = ""
ORDERS: dict[str, str] = {
    "rank": "rank",
    "expected_gain_amount": "expected_gain_amount desc nulls last",
    "arrears_amount": "arrears_amount desc nulls last",
    "past_due_days": "past_due_days desc nulls last",
    "default_probability": "default_probability desc nulls last",
    "full_name": "full_name",
}
MOVEMENT_STEPS = ("new", "increased", "reduced", "cured", "written_off", "closed")


@dataclass(frozen=True)
class Scope:
    """Part of the portfolio: no branch or no product chosen means all of them; '' is a loan without one."""

    branches: tuple[str, ...] = ()
    products: tuple[str, ...] = ()

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of ``_IN_SCOPE``."""
        return {"branches": list(self.branches), "products": list(self.products)}


@dataclass(frozen=True)
class ContactFilter:
    """Part of today's list. None means no condition; a collector of ``NO_COLLECTOR`` means contacts without one."""

    collector_id: str | None = None
    channel_code: str | None = None
    bucket_code: str | None = None
    search: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of ``_IN_FILTER``."""
        return {
            "collector": self.collector_id,
            "channel": self.channel_code,
            "bucket": self.bucket_code,
            "search": self.search.strip(),
        }


_IN_SCOPE = """
    (len($branches::varchar[]) = 0 or list_contains($branches::varchar[], coalesce(branch_id, '')))
    and (len($products::varchar[]) = 0 or list_contains($products::varchar[], coalesce(product_code, '')))
"""

# contains() and not like: what people type (% and _ too) is text, never a pattern.
_IN_FILTER = """
    ($collector::varchar is null or coalesce(collector_id, '') = $collector)
    and ($channel::varchar is null or channel_code = $channel)
    and ($bucket::varchar is null or bucket_code = $bucket)
    and ($search::varchar = '' or contains(
        strip_accents(lower(concat_ws(' ', full_name, customer_id, loan_id, national_id_masked))),
        strip_accents(lower($search))))
"""


def select(folder: str, sql: str, tables: Sequence[str], parameters: dict[str, Any] | None = None) -> pd.DataFrame:
    """The rows of ``sql``, in which each of ``tables`` is a view of the snapshot's file of that name.

    Raises:
        PublishError: a table is not in the snapshot, its file cannot be read, or it lacks a column that is asked for.
    """
    snapshot = Snapshot.at(Path(folder))
    files = {table: snapshot.table_path(table) for table in tables}
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        connection.execute("set autoinstall_known_extensions = false")
        try:
            for table, file in files.items():
                connection.read_parquet(str(file)).create_view(table)
            return connection.execute(sql, parameters or {}).df()
        except (duckdb.IOException, duckdb.InvalidInputException, duckdb.BinderException) as error:
            names = ", ".join(file.relative_to(snapshot.folder).as_posix() for file in files.values())
            raise PublishError(f"{names} of {folder} cannot be read as published: {error}. Publish again.") from error


cached = st.cache_data(show_spinner=False, max_entries=256)


@cached
def duty_alarms(folder: str) -> pd.DataFrame:
    """Duties to contact that are overdue or cannot be met, a row for each member and due date, alarms first."""
    return select(
        folder,
        """
        select * from duty_alarms
        order by severity, state_code = 'overdue' desc, rule_id, due_on, customer_id, due_date
        """,
        ["duty_alarms"],
    )


@cached
def scope_options(folder: str) -> pd.DataFrame:
    """Branches and products with an active loan: ``kind`` (branch, product), ``code``, ``name``, in reading order."""
    return select(
        folder,
        """
        select distinct 'branch' as kind, coalesce(loans.branch_id, '') as code,
            coalesce(branches.branch_name, loans.branch_id, '') as name
        from rpt_portfolio as loans left join dim_branches as branches using (branch_id)
        union all
        select distinct 'product', coalesce(product_code, ''), coalesce(product_code, '') from rpt_portfolio
        order by kind, name, code
        """,
        ["rpt_portfolio", "dim_branches"],
    )


@cached
def bucket_labels(folder: str) -> pd.DataFrame:
    """The bucket ladder in order: ``bucket_code``, ``bucket_rank``, ``min_days``, ``label_es``, ``label_en``."""
    sql = "select bucket_code, bucket_rank, min_days, label_es, label_en from dpd_buckets order by bucket_rank"
    return select(folder, sql, ["dpd_buckets"])


@cached
def channel_labels(folder: str) -> pd.DataFrame:
    """The channels in order: ``channel_code``, ``label_es``, ``label_en``."""
    return select(folder, "select channel_code, label_es, label_en from channels order by rank", ["channels"])


@cached
def portfolio_by_date(folder: str, scope: Scope) -> pd.DataFrame:
    """One row per month end and for the as-of date, oldest first: sums, and PAR30 and PAR90 from their two parts.

    PAR(d): outstanding principal of loans more than d days past due over all outstanding principal; NULL without any.
    """
    return select(
        folder,
        f"""
        with summed as (
            select as_of_date,
                sum(outstanding_principal_amount) as outstanding_principal_amount,
                sum(arrears_amount) as arrears_amount,
                coalesce(sum(outstanding_principal_amount) filter (min_days > 30), 0) as par30_amount,
                coalesce(sum(outstanding_principal_amount) filter (min_days > 90), 0) as par90_amount,
                sum(loan_count) as loan_count
            from rpt_portfolio inner join dpd_buckets using (bucket_code)
            where {_IN_SCOPE}
            group by as_of_date
        )
        select as_of_date,
            outstanding_principal_amount::double as outstanding_principal_amount,
            arrears_amount::double as arrears_amount,
            par30_amount::double as par30_amount,
            (par30_amount / nullif(outstanding_principal_amount, 0))::double as par30_rate,
            (par90_amount / nullif(outstanding_principal_amount, 0))::double as par90_rate,
            loan_count::bigint as loan_count
        from summed order by as_of_date
        """,
        ["rpt_portfolio", "dpd_buckets"],
        scope.parameters,
    )


@cached
def members_by_date(folder: str, scope: Scope, days: tuple[date, ...]) -> pd.DataFrame:
    """Members with an active loan, and of them those with one past due, on each of ``days``: each member once."""
    return select(
        folder,
        f"""
        select as_of_date, count(distinct customer_id) as member_count,
            count(distinct customer_id) filter (past_due_days > 0) as member_in_arrears_count
        from fct_loan_as_of
        where as_of_date between $first and $last  -- skips the row groups of other years before days are compared
            and list_contains($days::date[], as_of_date::date) and loan_status_code = 'active' and {_IN_SCOPE}
        group by as_of_date order by as_of_date
        """,
        ["fct_loan_as_of"],
        {**scope.parameters, "days": list(days), "first": min(days), "last": max(days)},
    )


@cached
def arrears_by_bucket(folder: str, scope: Scope, as_of: date) -> pd.DataFrame:
    """One row per bucket of the ladder, empty ones included, in order: loans, outstanding principal, arrears."""
    return select(
        folder,
        f"""
        with summed as (
            select bucket_code, sum(loan_count) as loan_count,
                sum(outstanding_principal_amount) as outstanding_principal_amount, sum(arrears_amount) as arrears_amount
            from rpt_portfolio where as_of_date = $as_of and {_IN_SCOPE} group by bucket_code
        )
        select bucket_code, bucket_rank, label_es, label_en,
            coalesce(loan_count, 0)::bigint as loan_count,
            coalesce(outstanding_principal_amount, 0)::double as outstanding_principal_amount,
            coalesce(arrears_amount, 0)::double as arrears_amount
        from dpd_buckets left join summed using (bucket_code) order by bucket_rank
        """,
        ["rpt_portfolio", "dpd_buckets"],
        {**scope.parameters, "as_of": as_of},
    )


@cached
def movement_periods(folder: str) -> pd.DataFrame:
    """The periods that have a movement, newest first: ``from_date``, ``as_of_date``."""
    sql = "select distinct from_date, as_of_date from rpt_arrears_movement order by as_of_date desc, from_date desc"
    return select(folder, sql, ["rpt_arrears_movement"])


@cached
def arrears_movement(folder: str, scope: Scope, from_date: date, as_of: date) -> pd.DataFrame:
    """From opening to closing arrears, in order: ``step`` and ``amount``, negative where arrears went down.

    opening + every step between = closing, to the cent.
    """
    parts = ", ".join(f"sum({step}_amount) as {step}" for step in ("opening", *MOVEMENT_STEPS, "closing"))
    wide = select(
        folder,
        f"""
        select {parts} from rpt_arrears_movement
        where from_date = $from_date and as_of_date = $as_of and {_IN_SCOPE}
        """,
        ["rpt_arrears_movement"],
        {**scope.parameters, "from_date": from_date, "as_of": as_of},
    )
    steps = wide.iloc[0]
    if steps.isna().all():
        return pd.DataFrame({"step": [], "amount": []})
    down = {"reduced", "cured", "written_off", "closed"}
    amounts = [float(-steps[step] if step in down else steps[step]) for step in steps.index]
    return pd.DataFrame({"step": list(steps.index), "amount": amounts})


@cached
def contact_options(folder: str) -> pd.DataFrame:
    """What today's list can be filtered by: ``kind`` (collector, channel, bucket), ``code``, ``name``, contacts."""
    return select(
        folder,
        """
        select 'collector' as kind, coalesce(collector_id, '') as code,
            any_value(coalesce(collector_name, collector_id, '')) as name, count(*) as contact_count
        from worklist group by collector_id
        union all
        select 'channel', channel_code, channel_code, count(*) from worklist group by channel_code
        union all
        select 'bucket', bucket_code, bucket_code, count(*) from worklist group by bucket_code
        order by kind, name, code
        """,
        ["worklist"],
    )


@cached
def contact_summary(folder: str, contacts: ContactFilter) -> pd.DataFrame:
    """One row per channel, in the channels' order: contacts, expected gain, arrears, contacts of exploration.

    ``gain`` is NULL where no gain was estimated (the channel model is off).
    """
    return select(
        folder,
        f"""
        select channel_code, coalesce(any_value(label_es), channel_code) as label_es,
            coalesce(any_value(label_en), channel_code) as label_en, count(*) as contact_count,
            sum(expected_gain_amount)::double as gain,
            coalesce(sum(arrears_amount), 0)::double as arrears_amount,
            count(*) filter (is_exploration) as exploration_count
        from (select * from worklist where {_IN_FILTER})
        left join (select channel_code, rank as channel_rank, label_es, label_en from channels) using (channel_code)
        group by channel_code order by min(channel_rank), channel_code
        """,
        ["worklist", "channels"],
        contacts.parameters,
    )


@cached
def contact_page(folder: str, contacts: ContactFilter, order: str, page: int) -> pd.DataFrame:
    """``PAGE_ROWS`` contacts of today's list: only what is on screen leaves the disk.

    Args:
        folder: the snapshot.
        contacts: which contacts.
        order: a key of ``ORDERS``.
        page: 1 is the first.
    """
    return select(
        folder,
        f"""
        select worklist.*, coalesce(branch_name, worklist.branch_id, '') as branch_name
        from worklist left join (select branch_id, branch_name from dim_branches) using (branch_id)
        where {_IN_FILTER}
        order by {ORDERS[order]}, collector_id nulls last, rank, customer_id
        limit {PAGE_ROWS} offset {PAGE_ROWS * (page - 1)}
        """,
        ["worklist", "dim_branches"],
        contacts.parameters,
    )


@cached
def routes(folder: str) -> pd.DataFrame:
    """One row per collector with visits today, by name; none in a snapshot that was published without routes."""
    if SCREEN_ROUTES not in Snapshot.at(Path(folder)).manifest["files"]:
        return pd.DataFrame()
    return select(folder, "select * from routes order by collector_name, collector_id", ["routes"])


@cached
def route_stops(folder: str, collector_id: str) -> pd.DataFrame:
    """The visits of a collector in the order of the route, those outside it last."""
    sql = "select * from route_stops where collector_id = $collector order by route_order"
    return select(folder, sql, ["route_stops"], {"collector": collector_id})


@cached
def collector_file(folder: str, collector_id: str) -> str | None:
    """The prebuilt Excel of a collector, relative to the snapshot; None when nothing was prepared."""
    sql = "select any_value(file) as file from worklist where collector_id = $collector and file is not null"
    file = select(folder, sql, ["worklist"], {"collector": collector_id}).at[0, "file"]
    return None if pd.isna(file) else str(file)


@cached
def campaign_files(folder: str, channel_code: str) -> list[str]:
    """The campaign files that hold the messages of a channel, relative to the snapshot, by name."""
    sql = """
        select distinct file from worklist
        where channel_code = $channel and file like 'campaigns/%' order by file
    """
    return [str(file) for file in select(folder, sql, ["worklist"], {"channel": channel_code})["file"]]


def published_bytes(folder: str, name: str) -> bytes:
    """A prebuilt file, byte for byte as it was published.

    Raises:
        PublishError: it was not published, is gone, or is not what was published.
    """
    snapshot = Snapshot.at(Path(folder))
    entry = snapshot.manifest["files"].get(name)
    if entry is None:  # also what keeps a path from leading out of the snapshot
        raise PublishError(f"{name} is not a file of the snapshot {folder}.")
    try:
        content = (snapshot.folder / name).read_bytes()
    except OSError as error:
        raise PublishError(f"{name} of {folder} cannot be read: {error}. Publish again.") from error
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise PublishError(f"{name} of {folder} was altered after publication. Publish again.")
    return content
