"""A small share of random decisions inside the rules, with the exact probability of each: how the next model learns.

Whether a member is explored, and what is drawn, are hashes of (seed, date, member): the same day gives the same draw,
and nobody's draw depends on another's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
_MOST_OF_A_CAPACITY = 0.5
_TIMES_THE_SHARE = 2.0
_DOUBT = 2.0
"""An estimate of a gain is taken to be off by at most this factor: beyond it a draw would teach nothing."""


@dataclass(frozen=True)
class Exploration:
    """Who is explored, what was drawn for them, and with which probabilities each member would be.

    ``drawn``: column of the drawn action, -1 for none; only meaningful where ``is_explored``.
    ``probability``: rows x (actions + 1); the last column is none. Rows sum to 1.
    ``priority``: a number in [0, 1) per row; where too many draws meet one capacity the lowest keep theirs.
    """

    is_explored: npt.NDArray[np.bool_]
    drawn: npt.NDArray[np.int64]
    probability: Floats
    priority: Floats


def uniform(keys: pd.Series, *, seed: int, as_of: date, purpose: str) -> Floats:
    """A number in [0, 1) for each key: a keyed hash, equal on every machine and independent between purposes."""
    digest = hashlib.sha256(f"{seed}|{as_of.isoformat()}|{purpose}".encode()).hexdigest()
    hashed = pd.util.hash_array(keys.astype(str).to_numpy(dtype=object), hash_key=digest[:16], categorize=False)
    # 53 bits: what a double holds exactly
    return (hashed >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def explore(
    customer_ids: pd.Series,
    allowed: npt.NDArray[np.bool_],
    cell: npt.NDArray[np.int64],
    member: npt.NDArray[np.bool_],
    is_pool: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.int64],
    *,
    share: float,
    seed: int,
    as_of: date,
    cost: Floats | None = None,
    most_cost: float | None = None,
    weight: npt.NDArray[np.int64] | None = None,
    channel_of: npt.NDArray[np.int64] | None = None,
) -> Exploration:
    """Draws for a share of the members among their permitted actions, none included.

    1. A member with m permitted actions draws each with probability 1 / (m + 1), and none with what is left.
    2. The probabilities of a channel (and zone) are scaled down where the contacts expected from drawing would pass
       twice the share of a capacity, and never more than half of it: a scarce visit is worth too much to be drawn.
    3. With ``most_cost``, what the drawn contacts are expected to cost is kept within it: the probability of a channel
       is scaled so that a draw of it is expected to cost no more than one amount, the same for all channels, and the
       dear ones give way first.

    All of this is settled before anything is drawn, so the probabilities are exact.

    Args:
        customer_ids: one per row.
        allowed: rows x actions.
        cell: zone number of each row.
        member: capacities x actions x zones; which capacity each action in each zone uses.
        is_pool: capacities that are alternatives (pools) rather than limits.
        counts: what each capacity has.
        share: probability with which a member is explored.
        seed: of the institution.
        as_of: contact day.
        cost: of one contact, by action.
        most_cost: what the drawn contacts of the day may cost in expectation; None is no limit.
        weight: units of each capacity that a contact takes, like ``member``; None: one each.
        channel_of: of each action, where several are one channel at different hours: the channel counts as one action
            and its hours have equal parts of its probability. None: each action is a channel.
    """
    base = _equal_parts(allowed, channel_of)
    zones = member.shape[2]
    expected = np.zeros((allowed.shape[1], zones))
    for zone in range(zones):
        expected[:, zone] = share * base[cell == zone].sum(axis=0)
    scale = _scale(
        expected,
        member,
        is_pool,
        min(_MOST_OF_A_CAPACITY, _TIMES_THE_SHARE * share) * counts.astype(np.float64),
        member.astype(np.int64) if weight is None else weight,
    )
    action = base * scale[:, cell].T
    if cost is not None and most_cost is not None:
        action = action * affordable(share * action.sum(axis=0), cost, most_cost)
    none = 1.0 - action.sum(axis=1, keepdims=True)
    probability = np.hstack([action, none])

    is_explored = uniform(customer_ids, seed=seed, as_of=as_of, purpose="explore") < share
    ticket = uniform(customer_ids, seed=seed, as_of=as_of, purpose="action")
    edges = np.cumsum(action, axis=1)
    drawn = (ticket[:, None] >= edges).sum(axis=1)
    drawn = np.where(drawn >= allowed.shape[1], -1, drawn).astype(np.int64)
    return Exploration(
        is_explored, drawn, probability, uniform(customer_ids, seed=seed, as_of=as_of, purpose="priority")
    )


def _equal_parts(allowed: npt.NDArray[np.bool_], channel_of: npt.NDArray[np.int64] | None) -> Floats:
    """Probability of each permitted action before capacities: alike for all channels and none."""
    if channel_of is None:
        return np.asarray(allowed / (allowed.sum(axis=1, keepdims=True) + 1.0), dtype=np.float64)
    hours = np.zeros(allowed.shape)
    some = np.zeros(len(allowed))
    for channel in np.unique(channel_of):
        mine = np.flatnonzero(channel_of == channel)
        count = allowed[:, mine].sum(axis=1)
        hours[:, mine] = np.maximum(count, 1)[:, None]
        some += count > 0
    return np.asarray(allowed / hours / (some + 1.0)[:, None], dtype=np.float64)


def worth_trying(gain: Floats, cost: Floats, supported: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Actions that a draw may teach something about: a contact that would not pay for itself even at twice its
    estimated gain is left out; where there is no estimate to rely on, everything is worth trying.

    >>> known = np.array([[True, True, True, False]])
    >>> worth_trying(np.array([[1.0, 2.0, -1.0, -1.0]]), np.full(4, 3.0), known).tolist()
    [[False, True, False, True]]
    """
    return ~supported | ~np.isfinite(gain) | (_DOUBT * gain > cost)


def affordable(count: Floats, cost: Floats, most_cost: float) -> Floats:
    """Factor per action so that ``count`` contacts at ``cost`` each come to at most ``most_cost`` together.

    The factor is the same amount over the cost of the action, and never above 1.

    >>> affordable(np.array([10.0, 10.0]), np.array([0.1, 4.5]), 46.0).tolist()
    [1.0, 1.0]
    >>> affordable(np.array([10.0, 10.0]), np.array([0.1, 4.5]), 10.0).round(6).tolist()
    [1.0, 0.2]
    >>> affordable(np.array([10.0, 10.0]), np.array([0.1, 4.5]), 0.0).tolist()
    [0.0, 0.0]
    """
    factor = np.ones(len(cost))
    if float(count @ cost) <= most_cost:
        return factor
    dear = cost > 0
    for each in np.unique(cost[dear])[::-1]:
        # those dearer than the amount come down to it; the cheaper ones stay
        capped = dear & (cost >= each)
        amount = (most_cost - float((count * cost)[~capped].sum())) / max(float(count[capped].sum()), 1e-300)
        factor[capped] = np.clip(amount / cost[capped], 0.0, 1.0)
        below = cost[dear & ~capped].max(initial=0.0)
        if amount >= below:
            break
    return factor


def _scale(
    expected: Floats,
    member: npt.NDArray[np.bool_],
    is_pool: npt.NDArray[np.bool_],
    most: Floats,
    weight: npt.NDArray[np.int64],
) -> Floats:
    """Factor per action and zone that keeps the expected use of every capacity within ``most`` units of it."""
    scale = np.ones_like(expected)
    for limit in np.flatnonzero(~is_pool):
        use = (expected * weight[limit]).sum()
        if use > most[limit]:
            scale[member[limit]] = np.minimum(scale[member[limit]], most[limit] / use)
    if is_pool.any():
        pools = np.asarray(member[is_pool], dtype=bool)
        units = most[is_pool]
        supply = np.asarray(np.tensordot(units, pools, axes=1), dtype=np.float64)
        pooled_action = pools.any(axis=(0, 2))
        has_supply = np.broadcast_to(supply > 0, pools.shape)
        # each cell leans on its pools in proportion to their size
        share = np.divide(pools * units[:, None, None], supply[None], out=np.zeros(pools.shape), where=has_supply)
        load = (share * expected[None]).sum(axis=(1, 2))
        factor = np.where(load > units, units / np.where(load > units, load, 1.0), 1.0)
        tightest = np.where(pools, factor.reshape(-1, 1, 1), np.inf).min(axis=0)
        tightest = np.where(supply > 0, np.minimum(tightest, 1.0), 0.0)
        scale = np.where(pooled_action.reshape(-1, 1), np.minimum(scale, tightest), scale)
    return scale
