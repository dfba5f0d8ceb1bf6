"""What the pages ask of the published campaigns and segments."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

from dashboards.queries import cached, select
from puntual.errors import PublishError
from puntual.snapshot import Snapshot

CAMPAIGNS, SUPPRESSIONS = "rpt_campaigns", "rpt_campaign_suppressions"
SEGMENTS, MIGRATION = "rpt_segments", "rpt_segment_migration"
_PREVIEWS = "campaigns/previews.parquet"


def is_published(folder: str) -> bool:
    """Whether the snapshot has campaigns: a day that an older version published has none."""
    counts = Snapshot.at(Path(folder)).manifest.get("row_counts", {})
    return all(name in counts for name in (CAMPAIGNS, SUPPRESSIONS, SEGMENTS, MIGRATION))


@cached
def campaigns(folder: str, as_of: date) -> pd.DataFrame:
    """The campaigns of the day by priority, with what each selects, sends and holds back."""
    sql = f"select * from {CAMPAIGNS} where as_of_date = $as_of order by priority, campaign_id"
    return select(folder, sql, [CAMPAIGNS], {"as_of": as_of})


@cached
def suppressions(folder: str, as_of: date, campaign_id: str | None) -> pd.DataFrame:
    """Members held back by rule, most first: of one campaign, or of all of them."""
    return select(
        folder,
        f"""
        select rule_id, any_value(rule_source) as rule_source, sum(suppressed_count)::bigint as suppressed_count,
            sum(touched_count)::bigint as touched_count
        from {SUPPRESSIONS}
        where as_of_date = $as_of and ($campaign::varchar is null or campaign_id = $campaign)
        group by rule_id order by suppressed_count desc, touched_count desc, rule_id
        """,
        [SUPPRESSIONS],
        {"as_of": as_of, "campaign": campaign_id},
    )


@cached
def segments(folder: str, as_of: date) -> pd.DataFrame:
    """Members and arrears of every segment of the day, set by set in written order."""
    sql = f"select * from {SEGMENTS} where as_of_date = $as_of order by is_exclusive desc, set_id, segment_rank"
    return select(folder, sql, [SEGMENTS], {"as_of": as_of})


@cached
def migration(folder: str, as_of: date, comparison: str) -> pd.DataFrame:
    """Members by segment of the earlier day and of this one; no rows where there is no earlier day."""
    return select(
        folder,
        f"""
        select * from {MIGRATION} where as_of_date = $as_of and comparison_code = $comparison
        order by set_id, from_segment_code, to_segment_code
        """,
        [MIGRATION],
        {"as_of": as_of, "comparison": comparison},
    )


@cached
def previews(folder: str) -> pd.DataFrame:
    """How each text looks: one row per campaign, step and language, without anybody's name.

    Raises:
        PublishError: the file is not in the snapshot or cannot be read.
    """
    try:
        frame = pd.read_parquet(Path(folder) / _PREVIEWS).astype(object)
    except (OSError, ValueError) as error:
        raise PublishError(f"{_PREVIEWS} of {folder} cannot be read: {error}. Publish again.") from error
    return frame.where(frame.notna(), None)
