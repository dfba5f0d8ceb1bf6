"""Who belongs to which segment on a day, and whether a set keeps what it declares. Pure: frames in, frames out."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from puntual.segments.data import CampaignDataError
from puntual.segments.registry import KNOWN_AFTERWARDS, Segments, declared_columns

COLUMNS = ("as_of_date", "customer_id", "set_id", "segment_code", "arrears_amount")
_EXAMPLES = 5


@dataclass(frozen=True)
class Membership:
    """``members``: one row per member and segment it belongs to, columns :data:`COLUMNS`; in an exclusive set at most
    one per member. A member of no segment of an exhaustive set has a row with ``segment_code`` None.

    ``alarms``: what a set declares and the day's members do not keep, with their number and examples.
    """

    members: pd.DataFrame
    alarms: list[dict[str, Any]]


def segment_frame(decisions: pd.DataFrame, features: pd.DataFrame, customers: pd.DataFrame) -> pd.DataFrame:
    """The columns that conditions may name, one row per decision, by customer_id.

    Args:
        decisions: rows of the day.
        features: feat_customer__as_of of the day.
        customers: customer_id and customer_status_code.
    """
    columns = declared_columns()
    mine = [name for name in decisions.columns if name in columns and name not in features.columns]
    frame = decisions[["customer_id", *mine]].merge(
        features[[name for name in columns if name in features.columns]], on="customer_id", how="left"
    )
    frame = frame.merge(customers[["customer_id", "customer_status_code"]], on="customer_id", how="left")
    frame["exposure_share"] = _share(frame["outstanding_principal_amount"])
    frame["default_probability_share"] = _share(frame["default_probability"])
    return frame.sort_values("customer_id").reset_index(drop=True)


def _share(values: pd.Series) -> pd.Series:
    """Share of the known values that are not above each; NaN for an unknown one."""
    number = pd.to_numeric(values).astype(float)
    known = number.notna().sum()
    return number.rank(method="max") / known if known else number


def members_of(segments: Segments, frame: pd.DataFrame, as_of: date) -> Membership:
    """Evaluate every condition on the day's members and hold each set against what it declares.

    Args:
        segments: the sets in force.
        frame: of :func:`segment_frame`.
        as_of: the business date.

    Raises:
        CampaignDataError: a condition fails on a value, or a set with ``on_violation: stop`` does not keep what it
            declares; nothing is published.
    """
    holds = _evaluate(segments, frame)
    pieces, alarms = [], []
    for one in segments.sets:
        flags = holds[[f"{one.id}/{segment.code}" for segment in one.segments]].to_numpy(dtype=bool)
        codes = np.array([segment.code for segment in one.segments], dtype=object)
        count = flags.sum(axis=1)
        found = []
        if one.exclusive and (count > 1).any():
            found.append(_alarm(one.id, "overlap", frame, count > 1, flags, codes))
        if one.exhaustive and (count == 0).any():
            found.append(_alarm(one.id, "gap", frame, count == 0, flags, codes))
        if found and one.on_violation == "stop":
            raise CampaignDataError(
                "\n".join(f"{alarm['text_en']} Nothing is published; mend segments.yaml." for alarm in found)
            )
        alarms += found
        row, place = np.nonzero(flags)
        if one.exclusive:  # the first in written order, where the data holds several
            row, first = np.unique(row, return_index=True)
            place = place[first]
        piece = frame.iloc[row][["customer_id", "arrears_amount"]].assign(segment_code=codes[place])
        if one.exhaustive:
            none = frame.loc[count == 0, ["customer_id", "arrears_amount"]].assign(segment_code=None)
            piece = pd.concat([piece, none.astype({"segment_code": object})], ignore_index=True)
        pieces.append(piece.assign(set_id=one.id))
    members = pd.concat(pieces, ignore_index=True).assign(as_of_date=as_of)
    members = members.astype({"arrears_amount": float, "customer_id": object, "segment_code": object, "set_id": object})
    order = [segment.code for one in segments.sets for segment in one.segments]
    members["_at"] = members["segment_code"].map({code: place for place, code in enumerate(order)})
    members = members.sort_values(["customer_id", "set_id", "_at"], kind="stable")
    return Membership(members[list(COLUMNS)].reset_index(drop=True), alarms)


def members_before(
    segments: Segments,
    codes: Collection[str],
    features: pd.DataFrame,
    customers: pd.DataFrame,
    default_risk: pd.DataFrame,
    as_of: date,
) -> pd.DataFrame:
    """Who belongs to the segments ``codes`` before the day is decided: customer_id, segment_code; as afterwards.

    Args:
        segments: the sets in force.
        codes: segments that somebody asks for, of any set.
        features: feat_customer__as_of of the day; eligible members count.
        customers: dim_customers.
        default_risk: customer_id, default_probability; a member's is the highest.
        as_of: the business date.

    Raises:
        CampaignDataError: no set has the code, its set rests on what is known only once the day is decided, or as in
            :func:`members_of`.
    """
    known = segments.codes()
    if unknown := sorted(set(codes) - set(known)):
        raise CampaignDataError(
            f"owners.yaml: there is no segment {', '.join(unknown)}. There are {', '.join(sorted(known))} "
            "(puntual campaigns check)."
        )
    asked = {known[code] for code in codes}
    for (set_id, code), condition in segments.conditions.items():
        later = [name for name in KNOWN_AFTERWARDS if re.search(rf"\b{name}\b", condition)]
        if set_id in asked and later:
            raise CampaignDataError(
                f"owners.yaml asks for a segment of the set {set_id}, whose segment {code} rests on "
                f"{', '.join(later)}: known only once it is decided who gets whom. Name segments of another set."
            )
    mine = features[features["is_eligible"].to_numpy(dtype=bool)]
    risk = default_risk.groupby("customer_id")["default_probability"].max()
    people = pd.DataFrame(
        {
            "customer_id": mine["customer_id"].to_numpy(dtype=object),
            "default_probability": mine["customer_id"].map(risk).to_numpy(dtype=float),
        }
    ).assign(**dict.fromkeys(KNOWN_AFTERWARDS))
    sets = tuple(one for one in segments.sets if one.id in asked)
    conditions = {key: condition for key, condition in segments.conditions.items() if key[0] in asked}
    frame = segment_frame(people, features, customers)
    found = members_of(replace(segments, sets=sets, conditions=conditions), frame, as_of).members
    return found.loc[found["segment_code"].isin(codes), ["customer_id", "segment_code"]].reset_index(drop=True)


def _evaluate(segments: Segments, frame: pd.DataFrame) -> pd.DataFrame:
    kinds = declared_columns()
    absent = sorted(set(kinds) - set(frame.columns))
    if absent:
        raise CampaignDataError(f"The day's members lack the columns {', '.join(absent)}; rebuild the features.")
    typed = ", ".join(f'cast("{name}" as {kind}) as "{name}"' for name, kind in kinds.items())
    asked = ", ".join(
        f'coalesce({condition}, false) as "{set_id}/{code}"'
        for (set_id, code), condition in segments.conditions.items()
    )
    table = pa.Table.from_pandas(frame[list(kinds)], preserve_index=False)
    with duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": 2}) as connection:
        connection.register("given", table)
        try:
            return connection.execute(f"select {asked} from (select {typed} from given)").df()
        except duckdb.Error as error:
            raise CampaignDataError(
                f"A condition of segments.yaml fails on a member of the day: {str(error).splitlines()[0]}"
            ) from error


def _alarm(
    set_id: str, kind: str, frame: pd.DataFrame, which: np.ndarray, flags: np.ndarray, codes: np.ndarray
) -> dict[str, Any]:
    examples = frame.loc[which, "customer_id"].head(_EXAMPLES).tolist()
    touched = codes[flags[which].any(axis=0)].tolist()
    count, keys = int(which.sum()), ", ".join(examples)
    if kind == "overlap":
        spanish = f"Segmentos {set_id}: {count} socios están en más de uno ({', '.join(touched)}); por ejemplo {keys}."
        english = f"Segments {set_id}: {count} members are in more than one ({', '.join(touched)}); for example {keys}."
    else:
        spanish = f"Segmentos {set_id}: {count} socios no están en ninguno; por ejemplo {keys}."
        english = f"Segments {set_id}: {count} members are in none; for example {keys}."
    return {
        "set_id": set_id,
        "alarm_code": kind,
        "segment_codes": touched,
        "member_count": count,
        "examples": examples,
        "text_es": spanish,
        "text_en": english,
    }
