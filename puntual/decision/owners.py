"""Who may be given which members: the institution's own people and each agency, by past-due days, amount and product.

The rules are part of the choice, not a filter after it: a member whom only one agency may get competes for its capacity
alone, so nothing is chosen that nobody may work, and nobody's capacity lies idle for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from puntual.decision.capacity import COLLECTOR_CHANNELS, NOBODY, ZONED_CHANNELS, Capacity, Cell, limit_of
from puntual.decision.stability import undone
from puntual.errors import RuleError
from puntual.strict import Strict

INTERNAL = "internal"
ANY_AGENCY = "agency"
_CLASS_MARK = "\x1f"

Flags = npt.NDArray[np.bool_]


class Between(Strict):
    """From ``min`` to ``max``, both included; absent is no end."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Between:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    def holds(self, values: pd.Series) -> Flags:
        """Whether each value lies inside; a missing one does not."""
        figures = pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
        low, high = (-np.inf if self.min is None else self.min), (np.inf if self.max is None else self.max)
        return np.asarray((figures >= low) & (figures <= high), dtype=bool)


class OwnerRule(Strict):
    """What one owner may get; an absent condition is none.

    ``placed_out``: members who meet the conditions are this owner's alone. ``max_share``: of the day's capacity of all
    who call and visit, at most this is this owner's.
    """

    owner: str = Field(min_length=1)
    past_due_days: Between | None = None
    arrears_amount: Between | None = None
    products: tuple[str, ...] | None = Field(default=None, min_length=1)
    segments: tuple[str, ...] | None = Field(default=None, min_length=1)
    placed_out: bool = False
    max_share: float | None = Field(default=None, ge=0, le=1)

    def holds(self, people: pd.DataFrame, segments: pd.DataFrame | None = None) -> Flags:
        """Whether each member meets the conditions; ``segments``: customer_id, segment_code, several a member."""
        inside = np.ones(len(people), dtype=bool)
        for name in ("past_due_days", "arrears_amount"):
            between: Between | None = getattr(self, name)
            if between is not None:
                inside &= between.holds(people[name])
        if self.products is not None:
            if "product_code" not in people.columns:
                raise RuleError(f"owners.yaml, {self.owner}: members have no product_code; remove that condition.")
            inside &= people["product_code"].isin(self.products).to_numpy(dtype=bool)
        if self.segments is not None:
            if segments is None:
                raise RuleError(f"owners.yaml, {self.owner}: the segments of the members are not given.")
            mine = segments.loc[segments["segment_code"].isin(self.segments), "customer_id"]
            inside &= people["customer_id"].isin(mine).to_numpy(dtype=bool)
        return inside


class OwnerRules(Strict):
    """All rules, at most one per owner."""

    id: str = "OWNERS"
    version: int = Field(default=1, ge=1)
    owners: tuple[OwnerRule, ...] = ()

    @field_validator("owners")
    @classmethod
    def _once_each(cls, value: tuple[OwnerRule, ...]) -> tuple[OwnerRule, ...]:
        names = [rule.owner for rule in value]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} has two entries; put the conditions into one")
        return value

    @property
    def segments(self) -> frozenset[str]:
        """Segments that an entry names."""
        return frozenset(code for rule in self.owners for code in rule.segments or ())

    def rule_of(self, owner: str) -> OwnerRule | None:
        """The owner's entry, or that of every agency."""
        named = {rule.owner: rule for rule in self.owners}
        return named.get(owner) or (None if owner == INTERNAL else named.get(ANY_AGENCY))


def owners_file(shipped_dir: Path, institution_dir: Path | None = None) -> Path:
    """The file that holds: the institution's if it has one, else the shipped one."""
    own = institution_dir / "owners.yaml" if institution_dir is not None else None
    return own if own is not None and own.exists() else shipped_dir / "owners.yaml"


def load_owner_rules(shipped_dir: Path, institution_dir: Path | None = None) -> OwnerRules:
    """The institution's ``owners.yaml`` if it has one, else the shipped one, which restricts nobody.

    Raises:
        RuleError: the file is not valid; says where.
    """
    file = owners_file(shipped_dir, institution_dir)
    try:
        return OwnerRules.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        what = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise RuleError(
            f"{file} is not valid: {what}. Correct it; data/policies/owners.yaml shows the form."
        ) from error
    except (OSError, yaml.YAMLError) as error:
        raise RuleError(f"{file} cannot be read: {error}") from error


def owner_of(collectors: pd.DataFrame) -> pd.Series:
    """Owner per collector_id: the agency's name, ``agency`` for one without a name, else ``internal``."""
    kind = collectors.get("kind_code", pd.Series(None, index=collectors.index, dtype=object))
    agency = collectors.get("agency", pd.Series(None, index=collectors.index, dtype=object)).astype(object)
    name = agency.where(agency.notna(), ANY_AGENCY)
    owner = name.where((kind == "agency").to_numpy(dtype=bool), INTERNAL)
    return pd.Series(owner.to_numpy(dtype=object), index=collectors["collector_id"].to_numpy(), dtype=object)


def may_get(people: pd.DataFrame, owners: list[str], rules: OwnerRules, segments: pd.DataFrame | None = None) -> Flags:
    """Members x owners: whether the owner may be given the member.

    A member whom some owner has placed out is that owner's alone, at work today or not; one whom two have is either's.
    """
    allowed = np.ones((len(people), len(owners)), dtype=bool)
    placed = np.zeros_like(allowed)
    for position, owner in enumerate(owners):
        rule = rules.rule_of(owner)
        if rule is not None:
            allowed[:, position] = rule.holds(people, segments)
            placed[:, position] = allowed[:, position] & rule.placed_out
    is_out = np.zeros(len(people), dtype=bool)
    for rule in rules.owners:
        if rule.placed_out:
            is_out |= rule.holds(people, segments)
    return np.where(is_out[:, None], placed, allowed)


ZONE_GAIN = 0.2
"""What it counts that a member's collector is of the member's zone, in days' work of a collector."""


@dataclass(frozen=True)
class LastOwners:
    """Who had the same undone contact on the last list, and for how much another may have it today.

    ``collector_id`` by customer_id. ``most_gain``: a contact is taken from its collector only for a gain above this:
    the part of a day's work by which the collector would be above an even load, and :data:`ZONE_GAIN` where the
    collector is not of the member's zone and another one is.
    """

    collector_id: pd.Series
    most_gain: float

    @classmethod
    def of(
        cls, earlier: pd.DataFrame | None, interactions: pd.DataFrame, action: pd.Series, most_gain: float
    ) -> LastOwners:
        """Of the members whose ``action`` (by customer_id) is that of the last list and was not carried out since.

        Args:
            earlier: as_of_date, customer_id, action, collector_id of the last day decided before; without the last
                column, or None: nobody had anything.
            interactions: fct_interactions.
            action: today's, by customer_id.
            most_gain: see above.
        """
        if earlier is None or "collector_id" not in earlier.columns:
            return cls(pd.Series(dtype=object), most_gain)
        still = undone(earlier, interactions)
        same = still["collector_id"].notna() & (still["customer_id"].map(action) == still["action"])
        return cls(still[same].set_index("customer_id")["collector_id"].astype(object), most_gain)


@dataclass(frozen=True)
class Placement:
    """The day's places under the rules: a place is a zone and a class of members with the same owners.

    ``place``: of every member. ``team``: the roster with pools by owner and ``places``, a tuple of (channel, place)
    that each collector may work. ``capacities``: pools and limits over places, those of teams (``team:``) and shares of
    owners (``share:``) among them.
    """

    place: npt.NDArray[np.object_]
    team: pd.DataFrame
    capacities: list[Capacity]


def place(
    people: pd.DataFrame,
    collectors: pd.DataFrame,
    team: pd.DataFrame,
    offered: list[Capacity],
    rules: OwnerRules,
    segments: pd.DataFrame | None = None,
) -> Placement:
    """Cells of the capacities refined so that each pool reaches the members whom its owner may get.

    Args:
        people: eligible members: customer_id, zone, past_due_days, arrears_amount, product_code.
        collectors: collector_id, kind_code, agency.
        team: :func:`puntual.decision.capacity.roster`.
        offered: :func:`puntual.decision.capacity.capacities` of the team; its limits are kept.
        rules: who may get whom.
        segments: customer_id, segment_code; needed where a rule names segments.

    Raises:
        RuleError: members are placed out with an owner who has no collector at all.
    """
    _check_owners_exist(collectors, rules)
    owner = team["collector_id"].map(owner_of(collectors)).to_numpy(dtype=object)
    owners = sorted(set(owner))
    allowed = may_get(people, owners, rules, segments)
    patterns, kind = np.unique(allowed, axis=0, return_inverse=True)
    zone = people["zone"].to_numpy(dtype=object)
    keys = np.array(
        [f"{name or ''}{_CLASS_MARK}{code}" for name, code in zip(zone, kind.reshape(-1), strict=True)], dtype=object
    )
    different = sorted({(key, name, int(code)) for key, name, code in zip(keys, zone, kind.reshape(-1), strict=True)},
                       key=lambda one: one[0])  # fmt: skip
    limited = {one.name: one for one in offered if one.pools}
    shares = _shares(team, owner, rules, list(limited.values()))
    is_none = np.isin(owner, [name for name, count in shares.items() if count == 0])
    pools = [_of_owner(pool, name) for pool, name in zip(team["pool"], owner, strict=True)]
    places = [
        tuple(
            (channel, key)
            for channel in person.channels
            for key, name, code in different
            if patterns[code, owners.index(name_of)]
            and (channel not in ZONED_CHANNELS or person.zone is None or person.zone == name)
        )
        for person, name_of in zip(team.itertuples(index=False), owner, strict=True)
    ]
    of_limit = {
        **{name: team["pool"].isin(one.pools).to_numpy(dtype=bool) for name, one in limited.items()},
        **{f"share:{name}": owner == name for name in shares},
    }
    most = {**{name: one.count for name, one in limited.items()}, **{f"share:{key}": n for key, n in shares.items()}}
    placed = team.assign(pool=pools, places=pd.Series(places, index=team.index, dtype=object))
    found = []
    here = placed[~is_none]
    for name, group in here.groupby("pool", sort=True):
        cells = tuple(Cell(channel, key) for channel, key in group.iloc[0]["places"])
        if cells:
            found.append(Capacity(str(name), cells, int(group["daily_capacity"].sum()), "pool"))
    served = {channel for one in found for channel in one.channels}
    channels = {channel for one in offered for channel in one.channels if channel in COLLECTOR_CHANNELS}
    found += [Capacity(f"{NOBODY}{one}", (Cell(one),), 0) for one in sorted(channels - served)]
    on_people = [limit_of(name, most[name], placed[of_limit[name] & ~is_none], found) for name in of_limit]
    on_people = [one for one in on_people if one.pools]
    limits = [one for one in offered if not one.name.startswith(NOBODY) and not one.pools]
    return Placement(keys, here.reset_index(drop=True), [*found, *on_people, *limits])


def _of_owner(pool: str, owner: str) -> str:
    base, bracket, team = pool.partition(" [")
    return f"{base}/{owner}{bracket}{team}"


def _check_owners_exist(collectors: pd.DataFrame, rules: OwnerRules) -> None:
    there = sorted(set(owner_of(collectors)))
    for rule in rules.owners:
        if rule.placed_out and not any(rules.rule_of(owner) is rule for owner in there):
            raise RuleError(
                f"owners.yaml places members out with {rule.owner}, and no collector is theirs (there are "
                f"{', '.join(there)}), so that nobody could get those members. Correct the name, hand over the "
                "collectors, or remove the entry."
            )


def zone_of_place(key: str | None) -> str | None:
    """The zone of a place; what is no place is returned as it is."""
    return key.split(_CLASS_MARK)[0] or None if isinstance(key, str) else key


def _shares(
    team: pd.DataFrame, owner: npt.NDArray[np.object_], rules: OwnerRules, limited: list[Capacity]
) -> dict[str, int]:
    """Calls and visits of each owner whose share is less than its people can do, by name.

    A share is of what all can do within the limits of their teams.
    """
    capacity = team["daily_capacity"]
    total = int(capacity.sum())
    for one in limited:
        total -= int(capacity[team["pool"].isin(one.pools)].sum()) - one.count
    found = {}
    for name in sorted(set(owner)):
        rule = rules.rule_of(name)
        if rule is None or rule.max_share is None:
            continue
        most = int(np.floor(rule.max_share * total + 1e-9))
        if most < int(capacity[owner == name].sum()):
            found[name] = most
    return found
