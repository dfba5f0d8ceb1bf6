"""How members moved between the segments of two days. Pure: frames in, frames out."""

from __future__ import annotations

from datetime import date

import pandas as pd

from puntual.segments.registry import Segments

SIZE_COLUMNS = (
    "as_of_date", "set_id", "segment_code", "segment_rank", "name_es", "name_en", "version", "digest", "is_exclusive",
    "member_count", "arrears_amount",
)  # fmt: skip
MIGRATION_COLUMNS = (
    "as_of_date", "comparison_code", "from_date", "set_id", "from_segment_code", "to_segment_code", "member_count",
    "from_arrears_amount", "to_arrears_amount", "is_same_definition",
)  # fmt: skip
OUTSIDE = "outside"
"""Members who were not decided about on one of the two days: they owed nothing within the window."""
UNASSIGNED = "unassigned"
"""Members of no segment, although the set is declared to be exhaustive."""


def sizes(segments: Segments, members: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Members and their arrears of every segment, empty ones included; columns :data:`SIZE_COLUMNS`.

    Args:
        segments: the sets in force.
        members: of :func:`puntual.segments.members.members_of`.
        as_of: the business date.
    """
    rows = []
    summed = (
        members.assign(segment_code=members["segment_code"].fillna(UNASSIGNED))
        .groupby(["set_id", "segment_code"])["arrears_amount"]
        .agg(["size", "sum"])
    )
    for one in segments.sets:
        listed = [(segment.code, segment.name.es, segment.name.en) for segment in one.segments]
        if one.exhaustive:
            listed.append((UNASSIGNED, "Sin segmento", "No segment"))
        for rank, (code, spanish, english) in enumerate(listed, start=1):
            count, amount = summed.loc[(one.id, code)] if (one.id, code) in summed.index else (0, 0.0)
            rows.append(
                (
                    as_of, one.id, code, rank, spanish, english, one.version, segments.digests[one.id], one.exclusive,
                    int(count), round(float(amount), 2),
                )
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(SIZE_COLUMNS)).astype({"as_of_date": object})


def migration(
    segments: Segments, before: pd.DataFrame, now: pd.DataFrame, as_of: date, *, comparison: str,
    digests_before: dict[str, str],
) -> pd.DataFrame:  # fmt: skip
    """Members by the segment of an earlier day and of this one, exclusive sets only; :data:`MIGRATION_COLUMNS`.

    ``outside`` is who was not decided about on that side. The rows of one from-segment are all of its members of the
    earlier day, those of one to-segment all of this day's.

    Args:
        segments: the sets in force.
        before: stored rows of one earlier day, columns as ``members_of`` gives them; empty gives no row.
        now: this day's.
        as_of: this day.
        comparison: what the earlier day is: ``day`` or ``month``.
        digests_before: digest by set on the earlier day: under another definition a move may be one of the rules alone.
    """
    if before.empty:
        return pd.DataFrame(columns=list(MIGRATION_COLUMNS), dtype=object)
    from_date = pd.Timestamp(before["as_of_date"].iloc[0]).date()
    pieces = []
    for one in segments.sets:
        if not one.exclusive or one.id not in digests_before:
            continue
        left, right = (_side(frame, one.id) for frame in (before, now))
        both = left.merge(right, on="customer_id", how="outer", suffixes=("_from", "_to"))
        both = both.assign(
            from_segment_code=both["segment_code_from"].fillna(OUTSIDE),
            to_segment_code=both["segment_code_to"].fillna(OUTSIDE),
        )
        counted = both.groupby(["from_segment_code", "to_segment_code"], as_index=False).agg(
            member_count=("customer_id", "size"),
            from_arrears_amount=("arrears_amount_from", "sum"),
            to_arrears_amount=("arrears_amount_to", "sum"),
        )
        pieces.append(
            counted.assign(set_id=one.id, is_same_definition=digests_before[one.id] == segments.digests[one.id])
        )
    if not pieces:
        return pd.DataFrame(columns=list(MIGRATION_COLUMNS), dtype=object)
    moved = pd.concat(pieces, ignore_index=True).assign(
        as_of_date=as_of, from_date=from_date, comparison_code=comparison
    )
    moved[["from_arrears_amount", "to_arrears_amount"]] = moved[["from_arrears_amount", "to_arrears_amount"]].round(2)
    return moved[list(MIGRATION_COLUMNS)].astype({"as_of_date": object, "from_date": object})


def _side(frame: pd.DataFrame, set_id: str) -> pd.DataFrame:
    mine = frame.loc[frame["set_id"] == set_id, ["customer_id", "segment_code", "arrears_amount"]]
    return mine.assign(segment_code=mine["segment_code"].fillna(UNASSIGNED))
