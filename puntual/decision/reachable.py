"""Contact points: through which of them a channel reaches a member, and what must be known about the one used."""

from __future__ import annotations

from datetime import date
from typing import get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.board import Board
from puntual.decision.contact_events import FREE, NEVER, Flags, Ints, end_of_day_utc, latest, microseconds, positions
from puntual.decision.facts import ContactFacts
from puntual.decision.policies import Told
from puntual.decision.rule_kinds import PartyRule, PointKind, RequireRule, StopWordsRule, plain
from puntual.errors import RuleError

_NO_POINT = np.int64(-1)
_NO_PLACE = np.iinfo(np.int64).max


def block_contact_points(
    board: Board,
    contact_points: pd.DataFrame,
    interactions: pd.DataFrame,
    texts: pd.DataFrame | None,
    members: pd.Index,
    as_of: date,
    timezone: str,
) -> Ints:
    """Block what no contact point supports; returns the row of the point to use per channel and member, or -1.

    Raises:
        RuleError: no policy says through which contact points a channel reaches a member.
    """
    owner = positions(contact_points["customer_id"], members)
    updated = microseconds(contact_points["updated_at"])
    known = np.flatnonzero(owner >= 0)
    rank_of_id = np.argsort(np.argsort(contact_points["contact_point_id"].astype(str).to_numpy(), kind="stable"))
    # numpy's "not a time" is the smallest integer, so an unknown update comes last
    order = known[np.lexsort((rank_of_id[known], -(updated[known] // 2), owner[known]))]
    points = contact_points.iloc[order]
    owner = owner[order]
    party = _told(points, "party_code")
    of_another = party.notna().to_numpy(dtype=bool) & party.ne("debtor").to_numpy(dtype=bool)

    kind = points["kind_code"].astype(object).to_numpy()
    has_whatsapp = points["has_whatsapp"].eq(True).to_numpy(dtype=bool)
    day_over = end_of_day_utc(as_of, timezone)
    opted_out = pd.to_datetime(points["opted_out_at"])
    consent = points["has_consent"]
    consent_at = pd.to_datetime(_told(points, "consent_at"))
    # a consent of tomorrow is none yet; the moment of one that was refused or is not known lifts nothing
    agreed = consent.eq(True).to_numpy(dtype=bool) & ~consent_at.ge(day_over).to_numpy(dtype=bool)
    given = consent_at.where(agreed)
    is_out = opted_out.lt(day_over) & ~given.gt(opted_out)
    place_code = _told(points, "place_code")
    passes = {
        "valid": points["is_valid"].eq(True).to_numpy(dtype=bool),
        "consent": agreed,
        "consent_not_refused": ~consent.eq(False).to_numpy(dtype=bool),
        "not_workplace": ~place_code.eq("work").to_numpy(dtype=bool),
        "place_told": place_code.notna().to_numpy(dtype=bool),
        "own": ~of_another,
    }
    left = interactions["outcome_code"].eq("opt_out").to_numpy(dtype=bool)
    refusals = interactions[left & (interactions["occurred_at"] < day_over).to_numpy(dtype=bool)]

    requirements = [(index, entry.rule) for index, entry in board.policies.of_kind("require")]
    words = [(index, entry.rule) for index, entry in board.policies.of_kind("stop_words")]
    parties = [(index, entry.rule) for index, entry in board.policies.of_kind("party")]
    chosen = np.full((len(board.channels), board.members), _NO_POINT)
    for place, channel in enumerate(board.channels):
        mine = [(index, rule) for index, rule in requirements if channel in rule.channels]
        kinds = [
            (index, rule) for index, rule in mine if isinstance(rule, RequireRule) and rule.what == "contact_point"
        ]
        if not kinds:
            raise RuleError(f"No policy says through which contact points the channel {channel} reaches a member.")
        concerning = [(rule, _elsewhere(board, index, owner)) for index, rule in kinds]
        preference = _preference(concerning, channel, kind, has_whatsapp, of_another)
        of_kind = preference < _NO_PLACE
        reachable = np.zeros(board.members, dtype=bool)
        reachable[owner[of_kind]] = True
        for index, _ in kinds:
            board.block(index, [channel], np.where(reachable, FREE, NEVER))

        out_here = is_out.to_numpy(dtype=bool) | _refused(refusals, channel, members, owner, given)
        checks: list[tuple[int, Flags]] = []
        for index, rule in mine:
            assert isinstance(rule, RequireRule)
            if rule.what != "contact_point":
                good = ~out_here if rule.what == "not_opted_out" else passes[rule.what]
                checks.append((index, good | _elsewhere(board, index, owner)))
        for index, limit in parties:
            if isinstance(limit, PartyRule) and channel in limit.channels:
                good = (party.isna() | party.isin(limit.allowed)).to_numpy(dtype=bool)
                checks.append((index, good | _elsewhere(board, index, owner)))
        for index, stop in words:
            if isinstance(stop, StopWordsRule) and channel in stop.channels and texts is not None:
                said = _stopped(texts, stop, day_over)
                good = ~_refused(said, channel, members, owner, given)
                checks.append((index, good | _elsewhere(board, index, owner)))
        all_pass = of_kind.copy()
        for _, good in checks:
            all_pass &= good
        usable = np.zeros(board.members, dtype=bool)
        usable[owner[all_pass]] = True
        any_check_failed_alone = np.zeros(board.members, dtype=bool)
        failures = []
        for index, good in checks:
            some_pass = np.zeros(board.members, dtype=bool)
            some_pass[owner[of_kind & good]] = True
            some_fail = np.zeros(board.members, dtype=bool)
            some_fail[owner[of_kind & ~good]] = True
            alone = reachable & ~usable & ~some_pass
            any_check_failed_alone |= alone
            failures.append((index, alone, some_fail))
        for index, alone, some_fail in failures:
            # no point passes the check; or each check has a point of its own and none passes all: name every failed one
            jointly = reachable & ~usable & ~any_check_failed_alone & some_fail
            board.block(index, [channel], np.where(alone | jointly, NEVER, FREE))
        for rank in sorted(set(preference[all_pass].tolist()), reverse=True):
            rows = np.flatnonzero(all_pass & (preference == rank))[::-1]
            chosen[place, owner[rows]] = order[rows]
    return chosen


def told(contact_points: pd.DataFrame, customers: pd.DataFrame, facts: ContactFacts | None = None) -> frozenset[Told]:
    """What the source tells of its contact points, members and templates, so that the rules about it judge.

    ``place``: every address says what place it is. ``party``: some point says whose it is, and those that do not are
    the member's own. ``member_party``: some member says what part they have in the debt, and those that do not are
    debtors. ``birth_date``: some member has one, and those that have none may be of any age. ``templates``: somebody
    keeps account of which are approved.
    """
    found: set[Told] = set()
    if _told(customers, "party_code").notna().any():
        found.add("member_party")
    if _told(customers, "birth_date").notna().any():
        found.add("birth_date")
    if facts is not None and facts.templates is not None:
        found.add("templates")
    addresses = contact_points[contact_points["kind_code"].eq("address").to_numpy(dtype=bool)]
    if len(addresses) and _told(addresses, "place_code").notna().all():
        found.add("place")
    if _told(contact_points, "party_code").notna().any():
        found.add("party")
    return frozenset(found)


def _told(points: pd.DataFrame, name: str) -> pd.Series:
    """An optional column of points or members; nothing of any of them where a frame does not have it."""
    return points[name] if name in points.columns else pd.Series(None, index=points.index, dtype=object)


def _elsewhere(board: Board, index: int, owner: Ints) -> Flags:
    """Points of members whom the rule does not concern."""
    inside = board.concerned.by(board.policies.rules[index].rule.where)
    return np.zeros(owner.size, dtype=bool) if inside is None else ~inside[owner]


def _preference(
    kinds: list[tuple[RequireRule, Flags]],
    channel: str,
    kind: npt.NDArray[np.object_],
    has_whatsapp: Flags,
    of_another: Flags,
) -> Ints:
    """Place of each point in the order of kinds of ``channel`` (the last rule's order); the largest number: none.

    A rule comes with the points of members whom it does not concern, whose place it leaves as it is. Every point of
    the member comes before any of a co-debtor or guarantor.
    """
    place = np.zeros(kind.size, dtype=np.int64)
    for rule, elsewhere in kinds:
        assert rule.point_kinds is not None
        mine = np.full(kind.size, _NO_PLACE)
        for rank, wanted in enumerate(rule.point_kinds[channel]):  # type: ignore[index]
            fits = (kind == "mobile") & has_whatsapp if wanted == "mobile_with_whatsapp" else kind == wanted
            mine[fits & (mine == _NO_PLACE)] = rank
        both = np.where((place == _NO_PLACE) | (mine == _NO_PLACE), _NO_PLACE, mine)
        place = np.where(elsewhere, place, both)
    return np.where(of_another & (place < _NO_PLACE), place + len(get_args(PointKind)), place)


def _stopped(texts: pd.DataFrame, rule: StopWordsRule, day_over: pd.Timestamp) -> pd.DataFrame:
    """Messages that say one of the rule's words and nothing else."""
    words = {plain(word) for word in rule.words}
    earlier = texts[(pd.to_datetime(texts["occurred_at"]) < day_over).to_numpy(dtype=bool)]
    says = np.array([plain(text) in words for text in earlier["text"]], dtype=bool)
    return earlier[says]


def _refused(
    refusals: pd.DataFrame,
    channel: str,
    members: pd.Index,
    owner: Ints,
    given: pd.Series,
) -> Flags:
    """Points of members who refused through ``channel``: it does not say of which number, so of all of them.

    A consent ``given`` later through a point lifts it for that point.
    """
    here = refusals[refusals["channel_code"].eq(channel).to_numpy(dtype=bool)]
    newest = latest(positions(here["customer_id"], members), microseconds(here["occurred_at"]), len(members))
    refused = np.asarray(newest[owner] != FREE, dtype=bool)
    moment = given.to_numpy().astype("datetime64[us]")
    return refused & ~(~np.isnat(moment) & (moment.astype(np.int64) > newest[owner]))
