"""The plan of the day: draws first, then the best use of what they leave, and the probability of every action."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.allocate import Allocation, allocate
from puntual.decision.arms import Arms
from puntual.decision.capacity import Capacity, Layout
from puntual.decision.explore import Exploration, explore, uniform, worth_trying
from puntual.decision.minimums import Minimums
from puntual.decision.scores import Scores
from puntual.decision.stability import Stability
from puntual.decision.variants import Alternative, of_own_plan, parts_of, told_stability, worth_something

_TIE = 1e-9
"""Two actions nearer than this are alike: which of them a plan would take is not known without making it."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """What is done for each member, and what was known when it was chosen; arrays by row of the members.

    ``choice``: column of the action, -1 for none; ``greedy``: what the plan of the member's arm alone would do.
    ``used``: of each capacity. ``idle``: what each plan, the product's first, did not use of its part: plans x
    capacities. ``wanted``: actions that are allowed and worth something. ``exploration_most``: what the draws may cost;
    None is no limit. ``allocation``: of the product's plan, but prices by row are those of the member's own plan where
    it is told.
    """

    choice: npt.NDArray[np.int64]
    greedy: npt.NDArray[np.int64]
    exploration: Exploration
    is_overflow: Flags
    propensity: Floats
    allocation: Allocation
    used: npt.NDArray[np.int64]
    idle: npt.NDArray[np.int64]
    allowed: Flags
    wanted: Flags
    arms: Arms
    exploration_cost: float
    exploration_most: float | None
    minimums: Minimums
    stability: Stability


def make_plan(
    people: pd.DataFrame,
    allowed: Flags,
    scores: Scores,
    others: Sequence[Alternative],
    arms: Arms,
    offered: Sequence[Capacity],
    channels: list[str],
    minimums: Minimums,
    stability: Stability,
    *,
    share: float,
    most_cost: float | None,
    most_cost_share: float | None,
    seed: int,
    as_of: date,
    channel_of: Ints | None = None,
) -> Plan:
    """Draws first, then the best use of what they leave; everyone else follows the plan of its arm.

    ``others``: the plans of ``arms`` beside the product's. Each gets of every capacity the part that its members are
    expected to be of all who are planned for, by the probabilities of the arms; draws are common to all. Who must be
    served is drawn for nothing and served by the product's plan, whatever the arm; the draws and the other plans leave
    the capacity that it takes. ``channel_of``: channel of each column, where columns are channels at some hours: a
    propensity is that of the channel. None: each column is a channel.
    """
    of = np.arange(len(channels)) if channel_of is None else channel_of
    first_of_channel = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
    must = minimums.must
    # what the choice compares: value, a head start for what was chosen before, and for duties the channels that count
    weighed = replace(
        scores,
        worth=np.where(must[:, None], minimums.worth, scores.worth) + stability.head_start,
        supported=np.where(must[:, None], minimums.channels, scores.supported),
    )
    zone = people["zone"].to_numpy(dtype=object)
    layout = Layout.of(offered, channels)
    cell = layout.zone_codes(zone, len(people))
    uses = layout.reach > 0

    def solved(mine: Scores, rows: Flags, counts: Ints) -> Allocation:
        room = [replace(one, count=int(count)) for one, count in zip(offered, counts, strict=True)]
        worth = np.where(np.isfinite(mine.worth), mine.worth, -np.inf)
        return allocate(
            worth[rows],
            (allowed & mine.supported)[rows],
            room,
            channels=channels,
            zones=zone[rows],
            must=must[rows] if mine is weighed else None,
            group=channel_of,
        )

    if most_cost_share is not None and share > 0:
        # of a plan that no draw enters, so that the probabilities do not depend on the draws
        undrawn = solved(weighed, np.ones(len(people), dtype=bool), layout.counts).choice
        by_plan = most_cost_share * float(scores.cost[undrawn[undrawn >= 0]].sum())
        most_cost = by_plan if most_cost is None else min(most_cost, by_plan)
    exploration = explore(
        people["customer_id"],
        allowed
        & layout.reachable[:, cell].T
        & worth_trying(scores.benefit, scores.cost, scores.supported)
        & ~must[:, None],
        cell,
        layout.member,
        layout.is_pool,
        layout.spread(layout.counts - minimums.used),
        share=share,
        seed=seed,
        as_of=as_of,
        cost=scores.cost,
        most_cost=most_cost,
        weight=layout.weight,
        channel_of=channel_of,
    )
    exploration = replace(exploration, is_explored=exploration.is_explored & ~arms.is_held & ~must)
    drawn = np.where(exploration.is_explored, exploration.drawn, -1)
    spared = replace(layout, counts=layout.counts - minimums.used)
    kept, spent = _keep(spared, cell, drawn, exploration.priority)
    is_overflow = exploration.is_explored & (drawn >= 0) & ~kept
    left = layout.counts - spent
    planned = ~exploration.is_explored & (~arms.is_held | must)
    own = np.where(must, 0, arms.plan)
    # by the probabilities of the arms, so that nobody's draw changes what is planned for the others
    portions = arms.portions
    lots = np.zeros(len(portions))
    if arms.is_changed:
        levels = pd.Series([f"level {number}" for number in range(len(portions))])
        lots = uniform(levels, seed=seed, as_of=as_of, purpose="parts")

    def part(room: Ints, which: int) -> Ints:
        """What of the capacities is for one of the plans: 0 is the product's, which is asked for nothing but that."""
        of_others = parts_of(room - minimums.used, portions, lots)
        return np.asarray(room - of_others.sum(axis=0) if which == 0 else of_others[which - 1], dtype=np.int64)

    def instead(mine: Scores, allocation: Allocation, rows: Flags) -> tuple[Ints, Flags]:
        """What the plan would choose for each of ``rows``, had it to serve that one more, and whether that is sure."""
        usable = (allowed & mine.supported & layout.reachable[:, cell].T)[rows] & (np.nan_to_num(mine.worth[rows]) > 0)
        lost = layout.cell_prices(allocation.duals) if allocation.displaced is None else allocation.displaced
        net = np.where(usable, mine.worth[rows] - lost[:, cell[rows]].T, -np.inf)
        # at which hours is another question than through which channel
        by_channel = net if channel_of is None else np.maximum.reduceat(net, first_of_channel, axis=1)
        ranked = np.sort(np.column_stack([np.zeros(len(net)), by_channel]), axis=1)
        best = np.where((net > 0).any(axis=1), net.argmax(axis=1), -1).astype(np.int64)
        lead = ranked[:, -1] - ranked[:, -2]
        is_sure = (lead > _TIE * np.maximum(1.0, np.abs(ranked[:, -1]))) & (allocation.displaced is not None)
        # whom no capacity holds back gets the best in any plan
        free = np.where(usable, lost[:, cell[rows]].T, 0.0).max(axis=1, initial=0.0) == 0.0
        return best, is_sure | free

    def greatest(mine: Scores, rows: Flags, which: int) -> tuple[Ints, Flags, Allocation, Ints]:
        """The plan of ``rows`` within its part of what the draws leave, and what it would have chosen for the others;
        what of the part it leaves, for no other plan takes that.

        For a member whose draw took a place: with that place given back.
        """
        counts = part(left, which)
        allocation = solved(mine, rows, counts)
        answer, is_sure = np.full(len(people), -1, dtype=np.int64), np.ones(len(people), dtype=bool)
        answer[rows] = allocation.choice
        answer[~rows], is_sure[~rows] = instead(mine, allocation, ~rows)
        held_back = counts <= allocation.used
        alike: dict[tuple[int, ...], list[int]] = {}
        for row in np.flatnonzero(kept):
            if (uses[:, drawn[row], cell[row]] & held_back).any():
                alike.setdefault(given_back(int(row)), []).append(int(row))
        for room, members in alike.items():
            place = np.isin(np.arange(len(people)), members)
            more = part(np.array(room), which)
            if (more != counts).any():
                answer[place], is_sure[place] = instead(mine, solved(mine, rows, more), place)
        return answer, is_sure, allocation, counts - allocation.used

    @functools.cache
    def of_cell(channel: int, where: int) -> tuple[int, ...]:
        return without(int(np.flatnonzero(kept & (drawn == channel) & (cell == where))[0]))

    def given_back(row: int) -> tuple[int, ...]:
        """What would be left had the member of ``row`` not been explored; alike for equal draws where all fit."""
        return without(row) if is_overflow.any() else of_cell(int(drawn[row]), int(cell[row]))

    @functools.cache
    def without(row: int) -> tuple[int, ...]:
        but_one = np.where(np.arange(len(drawn)) == row, -1, drawn)
        return tuple(int(count) for count in layout.counts - _keep(spared, cell, but_one, exploration.priority)[1])

    compared = [weighed, *(one.weighed for one in others)]
    made = [greatest(mine, planned & (own == number), number) for number, mine in enumerate(compared)]
    answers, allocation = [one[0] for one in made], made[0][2]
    is_sure = made[0][1] | arms.unasked()
    for (_, sure, _, _), chance in zip(made[1:], arms.chance, strict=True):
        is_sure = is_sure & (sure | (chance == 0.0))
    used = sum((one[2].used for one in made), start=spent)
    greedy = of_own_plan(own, answers)
    wanted = of_own_plan(
        arms.plan, [allowed & worth_something(one) for one in (scores, *(each.scores for each in others))]
    )
    choice = np.where(exploration.is_explored, np.where(kept, drawn, -1), np.where(arms.is_held & ~must, -1, greedy))
    told = exploration
    if channel_of is not None:
        drawing = np.add.reduceat(exploration.probability, np.r_[first_of_channel, len(channels)], axis=1)
        told = replace(exploration, probability=drawing)
    through = np.r_[of, -1]  # the last column stands for no contact
    propensity = propensity_of(through[choice], [through[answer] for answer in answers], told, arms, share)
    propensity[is_overflow | ~is_sure] = np.nan
    # a duty is met in every draw of its day; what an arm without the product's plan would do for it is not known
    propensity[must] = np.where(arms.alone[must], 1.0, np.nan)
    # members are told the prices that their own plan paid; a ladder beside a model has none
    paid = [made[number][2] if number and others[number - 1].is_told else allocation for number in range(len(made))]
    price = of_own_plan(own, [layout.cell_prices(one.duals)[:, cell].T for one in paid])
    return Plan(
        choice=choice,
        greedy=greedy,
        exploration=exploration,
        is_overflow=is_overflow,
        propensity=propensity,
        allocation=replace(allocation, choice=greedy, price_of_choice=price),
        used=used,
        idle=np.array([one[3] for one in made], dtype=np.int64),
        allowed=allowed,
        wanted=wanted,
        arms=arms,
        exploration_cost=share
        * float((1.0 - arms.held_probability) @ (exploration.probability[:, : len(channels)] @ scores.cost)),
        exploration_most=most_cost if share > 0 else None,
        minimums=minimums,
        stability=told_stability(stability, others, own),
    )


def propensity_of(
    choice: npt.NDArray[np.int64],
    answers: Sequence[npt.NDArray[np.int64]],
    exploration: Exploration,
    arms: Arms,
    share: float,
) -> Floats:
    """Probability of each member's ``choice`` (-1: none) over the draws of arm, exploration and action.

    ``answers``: what each plan would do for each member, the product's first, then those of ``arms`` in their order.
    """
    column = np.where(choice < 0, exploration.probability.shape[1] - 1, choice)
    drawn = share * exploration.probability[np.arange(len(choice)), column] * (1.0 - arms.held_probability)
    planned = arms.product * (choice == answers[0])
    for chance, answer in zip(arms.chance, answers[1:], strict=True):
        planned = planned + chance * (choice == answer)
    planned = (1.0 - share) * planned
    return np.asarray(drawn + planned + arms.held_probability * (choice < 0), dtype=np.float64)


def _keep(
    layout: Layout, cell: npt.NDArray[np.int64], drawn: npt.NDArray[np.int64], priority: Floats
) -> tuple[Flags, npt.NDArray[np.int64]]:
    """Draws that fit, by priority, and what they use of each capacity."""
    kept = drawn >= 0

    def drop(users: npt.NDArray[np.int64], excess: int) -> None:
        if excess > 0:
            kept[users[np.lexsort((users, priority[users]))][-excess:]] = False

    for position in np.flatnonzero(~layout.is_pool):
        users = np.flatnonzero(kept & layout.member[position][drawn, cell])
        first = users[np.lexsort((users, priority[users]))]
        taken = np.cumsum(layout.weight[position][drawn[first], cell[first]])
        drop(users, int((taken > layout.counts[position]).sum()))
    counts = np.zeros(layout.shape, dtype=np.int64)
    np.add.at(counts, (drawn[kept], cell[kept]), 1)
    split = layout.serve(counts)
    room = split.sum(axis=0)
    for channel, zone in np.argwhere(layout.served & (counts > room)):
        users = np.flatnonzero(kept & (drawn == channel) & (cell == zone))
        drop(users, int(counts[channel, zone] - room[channel, zone]))
    spent = layout.used(split)
    for position in np.flatnonzero(~layout.is_pool & ~layout.is_over):
        spent[position] = int(layout.weight[position][drawn, cell][kept].sum())
    return kept, spent
