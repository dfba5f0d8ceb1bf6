"""What the KPI page asks of a snapshot: figures as they were published. Nothing here adds, divides or averages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dashboards.queries import cached, select

PERIODS = ("day", "week", "month")
# Grain -> the column that names its member. branch_product has two and is left to the export.
GRAINS: dict[str, str | None] = {
    "total": None,
    "branch": "branch_id",
    "product": "product_code",
    "segment": "segment_code",
    "bucket": "bucket_code",
    "collector": "collector_id",
    "agency": "agency",
    "channel": "channel_code",
    "campaign": "campaign_id",
    "province": "province",
}


def _of_member(grain: str) -> str:
    """The condition that keeps one member of a grain; of the total there is only one."""
    return "true" if GRAINS[grain] is None else f"coalesce({GRAINS[grain]}, '') = $member"


def _member(grain: str, member: str) -> dict[str, Any]:
    return {} if GRAINS[grain] is None else {"member": member}


@cached
def families(folder: str) -> list[str]:
    """The families of the catalogue, in its order."""
    sql = "select family from kpi_catalog group by family order by min(kpi_rank), family"
    return list(select(folder, sql, ["kpi_catalog"])["family"])


@cached
def members(folder: str, grain: str) -> list[str]:
    """The codes that a grain is broken down by in what was published, in order; '' is unknown."""
    column = GRAINS[grain]
    if column is None:
        return []
    sql = f"select distinct coalesce({column}, '') as code from fct_kpi where grain_code = $grain order by code"
    return list(select(folder, sql, ["fct_kpi"], {"grain": grain})["code"])


@cached
def branch_names(folder: str) -> dict[str, str]:
    """Name of each branch by its id."""
    rows = select(folder, "select branch_id, branch_name from dim_branches", ["dim_branches"])
    return {code: name or code for code, name in zip(rows["branch_id"], rows["branch_name"], strict=True)}


@cached
def catalog(folder: str, family: str) -> pd.DataFrame:
    """The catalogue of a family with where each KPI stands in this run, in its order: one row per KPI.

    ``status_code`` is on, off (its input is not in the contract) or no_data; ``reason_*`` says why; ``warning_*`` what
    a reader must know. ``has_details``: it is only published broken down by itself (a matrix, a triangle, a curve).
    """
    return select(
        folder,
        """
        with spoken as (
            select kpi_code, bool_or(detail_code is not null) as has_details
            from fct_kpi group by kpi_code
        )
        select catalog.*, status.status_code, status.reason_es, status.reason_en, status.warning_es, status.warning_en,
            coalesce(spoken.has_details, false) as has_details
        from kpi_catalog as catalog
        left join kpi_status as status using (kpi_code)
        left join spoken using (kpi_code)
        where catalog.family = $family
        order by catalog.kpi_rank, catalog.kpi_code
        """,
        ["kpi_catalog", "kpi_status", "fct_kpi"],
        {"family": family},
    )


@cached
def figures(folder: str, family: str, period: str, grain: str, member: str) -> pd.DataFrame:
    """The newest figure of each KPI of a family for one member of a grain, and the values before it.

    One row per KPI that has one: ``as_of_date``, ``numerator``, ``denominator``, ``value``, ``dates`` and ``trend``
    (oldest first), and ``light``: red beyond the red threshold, amber beyond the amber one (the target where there is
    none), green otherwise; NULL without thresholds, direction or value. On a threshold is still within it.
    """
    found = select(
        folder,
        f"""
        with rows as (
            select kpi_code, as_of_date, numerator, denominator, value
            from fct_kpi
            where period_code = $period and grain_code = $grain and detail_code is null and {_of_member(grain)}
        ),
        histories as (
            select kpi_code, max(as_of_date) as as_of_date, list(as_of_date order by as_of_date) as dates,
                list(value order by as_of_date) as trend
            from rows group by kpi_code
        ),
        marked as (
            select kpi_code, direction, kpi_rank, try_cast(red as double) as red,
                coalesce(try_cast(amber as double), try_cast(target as double)) as amber
            from kpi_catalog where family = $family
        )
        select rows.*, histories.dates, histories.trend,
            case
                when value is null or amber is null or direction not in ('up', 'down') then null
                when direction = 'down'
                    then case when value > red then 'red' when value > amber then 'amber' else 'green' end
                else case when value < red then 'red' when value < amber then 'amber' else 'green' end
            end as light
        from rows
        inner join histories using (kpi_code, as_of_date)
        inner join marked using (kpi_code)
        order by kpi_rank, kpi_code
        """,
        ["fct_kpi", "kpi_catalog"],
        {"family": family, "period": period, "grain": grain, **_member(grain, member)},
    )
    # A list with a NULL comes as a masked array, one without as a plain one.
    trends: list[Any] = [np.ma.filled(np.ma.asarray(trend, dtype=float), np.nan) for trend in found["trend"]]
    found["trend"] = [[None if np.isnan(value) else float(value) for value in trend] for trend in trends]
    return found


@cached
def breakdown(folder: str, kpi: str, period: str, grain: str) -> pd.DataFrame:
    """The newest figure of a KPI by each member of a grain: ``code``, parts and ``value``, the largest first."""
    return select(
        folder,
        f"""
        with rows as (
            select coalesce({GRAINS[grain]}, '') as code, as_of_date, numerator, denominator, value
            from fct_kpi
            where kpi_code = $kpi and period_code = $period and grain_code = $grain and detail_code is null
        )
        select * from rows where as_of_date = (select max(as_of_date) from rows) order by value desc nulls last, code
        """,
        ["fct_kpi"],
        {"kpi": kpi, "period": period, "grain": grain},
    )


@cached
def detail_dates(folder: str, kpi: str, period: str, grain: str, member: str) -> list[Any]:
    """The dates for which a KPI's own breakdown was published, newest first."""
    sql = f"""
        select distinct as_of_date from fct_kpi
        where kpi_code = $kpi and period_code = $period and grain_code = $grain and detail_code is not null
            and {_of_member(grain)}
        order by as_of_date desc
    """
    asked = {"kpi": kpi, "period": period, "grain": grain, **_member(grain, member)}
    return list(select(folder, sql, ["fct_kpi"], asked)["as_of_date"])


@cached
def details(folder: str, kpi: str, period: str, grain: str, member: str, as_of: Any) -> pd.DataFrame:
    """A KPI's own breakdown: ``detail_code``, ``detail_from``, ``detail_to``, parts and ``value``.

    A transition is written from>to, a cell of a triangle cohort|age; anything else has no ``detail_to``. Of a triangle
    all dates up to ``as_of`` are given, each cell with its newest figure: it stands at the end of its own month.
    """
    return select(
        folder,
        rf"""
        with rows as (
            select detail_code, as_of_date, numerator, denominator, value,
                case when detail_code like '%>%' then '>' else '|' end as sign
            from fct_kpi
            where kpi_code = $kpi and period_code = $period and grain_code = $grain and detail_code is not null
                and as_of_date <= $as_of and {_of_member(grain)}
        ),
        newest as (
            select *, row_number() over (partition by detail_code order by as_of_date desc) as age_rank from rows
            where as_of_date = $as_of or regexp_full_match(detail_code, '[0-9]{4}-[0-9]{2}\|[0-9]+')
        )
        select detail_code, as_of_date, numerator, denominator, value,
            split_part(detail_code, sign, 1) as detail_from,
            case when contains(detail_code, sign) then split_part(detail_code, sign, 2) end as detail_to
        from newest where age_rank = 1 order by detail_code
        """,
        ["fct_kpi"],
        {"kpi": kpi, "period": period, "grain": grain, "as_of": as_of, **_member(grain, member)},
    )
