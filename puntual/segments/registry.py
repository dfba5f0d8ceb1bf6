"""Sets of segments: validated YAML, the institution's own on top of the shipped one, every condition proved safe.

A segment is a condition in SQL on what is known of a member on the day: the columns of :func:`declared_columns`. It is
read by DuckDB's own parser and may hold columns, constants, comparisons and functions of their arguments alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import duckdb
import yaml
from pydantic import Field, model_validator

from puntual.errors import UsageError
from puntual.exports.predicate import checked_predicate
from puntual.paths import DBT_PROJECT
from puntual.segments.data import CODE, CampaignDataError, digest_of, files_of, read_data
from puntual.strict import Strict, Words

FILE = "segments.yaml"

_FEATURES = DBT_PROJECT / "models" / "features" / "_features__models.yml"
_DECIDED = DBT_PROJECT / "models" / "staging" / "_decided__sources.yml"
KNOWN_AFTERWARDS = ("action", "collector_id", "expected_gain_amount", "contact_cost_amount")
"""Columns that a condition may name and that are known once the day is decided, so not to who decides it."""
_OF_THE_DECISION = ("default_probability", *KNOWN_AFTERWARDS)
_SAMPLE = {"text": "'x'", "boolean": "false", "date": "date '2026-01-01'"}
_NOT_OF_A_MEMBER = frozenset({"as_of_date", "is_score", "is_channel_training", "is_eligible"})
DERIVED = {
    "customer_status_code": "text",
    "exposure_share": "double precision",
    "default_probability_share": "double precision",
}
"""Columns that neither table has: the member's status, and the share of the day's members who owe no more principal
(or have no higher default probability) than this one: 0.95 and more are the largest twentieth in any currency."""


class Segment(Strict):
    """Members for whom ``when`` is true on the day; NULL counts as not true."""

    code: str = Field(pattern=CODE)
    name: Words
    about: Words | None = None
    when: str = Field(min_length=1)


class SegmentSet(Strict):
    """Segments of one purpose.

    ``exclusive``: nobody in two of them; ``exhaustive``: everybody in one. Both are checked on every day's members.
    ``on_violation``: ``alarm`` publishes and says so (a member of two belongs to the first, of none to no segment),
    ``stop`` publishes nothing. ``remove``: codes of the shipped set that an institution's file takes away.
    """

    id: str = Field(pattern=CODE)
    version: int = Field(ge=1)
    name: Words
    exclusive: bool
    exhaustive: bool
    on_violation: Literal["alarm", "stop"] = "alarm"
    segments: tuple[Segment, ...] = ()
    remove: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _codes_once(self) -> SegmentSet:
        codes = [one.code for one in self.segments]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            raise ValueError(f"the code {', '.join(twice)} stands twice")
        return self


class SegmentFile(Strict):
    """A file of sets."""

    id: Literal["SEGMENTS"]
    sets: tuple[SegmentSet, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Segments:
    """The sets in force. ``conditions``: by set and code, as DuckDB writes them back. ``digests``: by set."""

    sets: tuple[SegmentSet, ...]
    conditions: Mapping[tuple[str, str], str]
    digests: Mapping[str, str]

    def codes(self) -> dict[str, str]:
        """Set by segment code, over all sets."""
        return {segment.code: one.id for one in self.sets for segment in one.segments}

    def of(self, set_id: str) -> SegmentSet:
        """The set of that id."""
        return next(one for one in self.sets if one.id == set_id)


def load_segments(shipped_dir: Path, institution_dir: Path | None = None) -> Segments:
    """The shipped sets with the institution's own ``segments.yaml`` on top.

    Of a set of the same id the institution's version, flags and segments count: a segment of the same code replaces
    the shipped one, a new one is added behind, ``remove`` takes away. A new id is a new set.

    Raises:
        CampaignDataError: a file or a condition is not valid, or a code stands in two sets; names file and key.
    """
    found: dict[str, SegmentSet] = {}
    origin: dict[tuple[str, str], Path] = {}
    for file in files_of(shipped_dir, institution_dir, FILE):
        seen = set()
        for one in read_data(file, SegmentFile).sets:
            if one.id in seen:
                raise CampaignDataError(f"{file}: sets.{one.id}: the set stands twice")
            seen.add(one.id)
            found[one.id] = _on_top(found.get(one.id), one, file)
            origin |= {(one.id, segment.code): file for segment in one.segments}
    conditions: dict[tuple[str, str], str] = {}
    of_code: dict[str, str] = {}
    for one in found.values():
        if not one.segments:
            raise CampaignDataError(f"{FILE}: sets.{one.id}.segments: no segment is left")
        for segment in one.segments:
            place = f"{origin[one.id, segment.code]}: sets.{one.id}.{segment.code}"
            if segment.code in of_code:
                raise CampaignDataError(f"{place}: the code stands in the set {of_code[segment.code]} too; rename one")
            of_code[segment.code] = one.id
            conditions[one.id, segment.code] = _condition(segment.when, f"{place}.when")
    sets = tuple(found.values())
    return Segments(sets, conditions, {one.id: _digest(one, conditions) for one in sets})


def _on_top(shipped: SegmentSet | None, own: SegmentSet, file: Path) -> SegmentSet:
    there = {segment.code: segment for segment in shipped.segments} if shipped else {}
    unknown = sorted(set(own.remove) - set(there))
    if unknown:
        raise CampaignDataError(
            f"{file}: sets.{own.id}.remove: {', '.join(unknown)} is no segment of the shipped set; it has "
            f"{', '.join(there) or 'none'}"
        )
    there |= {segment.code: segment for segment in own.segments}
    kept = tuple(segment for code, segment in there.items() if code not in own.remove)
    return own.model_copy(update={"segments": kept, "remove": ()})


def _digest(one: SegmentSet, conditions: Mapping[tuple[str, str], str]) -> str:
    """Of what decides who belongs where: names may change without it."""
    rules = [[segment.code, conditions[one.id, segment.code]] for segment in one.segments]
    return digest_of([one.id, one.exclusive, one.exhaustive, rules])


@cache
def _condition(text: str, place: str) -> str:
    """The condition, proved to be one and to run on the types of the columns; proved once in a process."""
    columns = declared_columns()
    try:
        condition = checked_predicate(text, list(columns), option=place)
    except UsageError as error:
        raise CampaignDataError(str(error).replace("a column of this export", "a known column")) from error
    described = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    with duckdb.connect(":memory:", config={"enable_external_access": "false"}) as connection:
        connection.execute(f"create table members ({described})")
        # With values too: over NULL alone a comparison of a number with a word would pass.
        connection.execute("insert into members default values")
        samples = ", ".join(_SAMPLE.get(kind, "0") for kind in columns.values())
        connection.execute(f"insert into members values ({samples})")
        try:
            kind = connection.execute(f"select typeof({condition}), {condition} from members").fetchone()
        except duckdb.Error as error:
            raise CampaignDataError(f"{place}: {str(error).splitlines()[0]}. It says: {text}") from error
    if kind is None or kind[0] not in {"BOOLEAN", '"NULL"'}:
        raise CampaignDataError(f"{place}: it is a value and no condition ({kind and kind[0]}). It says: {text}")
    return condition


@cache
def declared_columns() -> dict[str, str]:
    """SQL type of every column that a condition may name: features, some of the decision, and :data:`DERIVED`.

    How a contact was drawn, its arm and its probability are not among them: who is treated otherwise because a draw
    chose them spoils the measurement.
    """
    features = yaml.safe_load(_FEATURES.read_text(encoding="utf-8"))["models"]
    sources = yaml.safe_load(_DECIDED.read_text(encoding="utf-8"))["sources"]
    of_features = next(one for one in features if one["name"] == "feat_customer__as_of")["columns"]
    decided = next(one for one in sources if one["name"] == "decisions")["tables"]
    of_decisions = next(one for one in decided if one["name"] == "decisions")["columns"]
    kinds = {one["name"]: one["data_type"] for one in of_decisions if one["name"] in _OF_THE_DECISION}
    kinds |= {one["name"]: one["data_type"] for one in of_features if one["name"] not in _NOT_OF_A_MEMBER}
    return kinds | DERIVED
