"""The day's decision for every eligible member: rules, value, capacity, exploration and assignment put together.

One decision row for everyone who owes something today or within the response window, chosen or not, and one detail row
per member and channel: verdict of the rules, value, price, what the greedy plan and what chance would have done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision import assign as assignment
from puntual.decision.arms import Arms
from puntual.decision.bands import Bands
from puntual.decision.capacity import COLLECTOR_CHANNELS, Capacity, budget, capacities, roster, use_by_team, zone_keys
from puntual.decision.duty_alarms import OVERDUE, alarms_of, duties_of_members, standing
from puntual.decision.facts import ContactFacts
from puntual.decision.fees import free_of_charge
from puntual.decision.holiday_calendar import HolidayCalendar
from puntual.decision.minimums import Minimums
from puntual.decision.owners import LastOwners, OwnerRules, Placement, place, zone_of_place
from puntual.decision.plan import Plan, make_plan
from puntual.decision.plan_warnings import idle_bands, no_second, unknown_probabilities, unknown_year
from puntual.decision.policies import Ladder, PolicySet
from puntual.decision.reachable import told
from puntual.decision.rules import evaluate
from puntual.decision.scores import Scores
from puntual.decision.second import nobody, second_contacts, with_attempts
from puntual.decision.sending import contacts_a_day, shared_limits
from puntual.decision.stability import Stability
from puntual.decision.tables import DECISION_COLUMNS, arms_summary, decision_rows, detail_rows, price_rows, summary_of
from puntual.decision.variants import Alternative, Variant, Variants, of_own_plan, told_scores, worth_something
from puntual.errors import RuleError
from puntual.frames import texts_or_none


@dataclass(frozen=True)
class DecisionOutcome:
    """What was decided and why.

    Columns of the frames: ``puntual.decision.tables``. ``decisions``: one row per eligible member, by customer_id.
    ``details``: one row per eligible member and channel. ``prices``: one row per capacity. ``duty_alarms``: duties to
    contact that are overdue or cannot be met, ``puntual.decision.duty_alarms``. ``summary``: figures of the run.
    """

    decisions: pd.DataFrame
    details: pd.DataFrame
    prices: pd.DataFrame
    duty_alarms: pd.DataFrame
    summary: dict[str, Any]
    second_contacts: pd.DataFrame = field(default_factory=lambda: nobody(0).contacts)


def decide(
    *,
    features: pd.DataFrame,
    customers: pd.DataFrame,
    contact_points: pd.DataFrame,
    interactions: pd.DataFrame,
    promises: pd.DataFrame,
    payments: pd.DataFrame,
    collectors: pd.DataFrame,
    channel_scores: pd.DataFrame | None,
    default_risk: pd.DataFrame | None,
    policies: PolicySet,
    ladder: Ladder,
    holidays: HolidayCalendar,
    costs: Mapping[str, float],
    daily_capacity: Mapping[str, int | None],
    as_of: date,
    timezone: str,
    exploration_share: float,
    exploration_max_cost: float | None = None,
    exploration_max_cost_share: float | None = None,
    seed: int = 0,
    promise_grace_days: int = 2,
    arms: pd.DataFrame | None = None,
    stakes: pd.DataFrame | None = None,
    provision_weight: float = 0.0,
    fee_weight: float = 0.0,
    daily_budget: float | None = None,
    duties: pd.DataFrame | None = None,
    overdue: pd.DataFrame | None = None,
    earlier: pd.DataFrame | None = None,
    stay_amount: float = 0.0,
    stay_share: float = 0.0,
    owners: OwnerRules | None = None,
    segments: pd.DataFrame | None = None,
    facts: ContactFacts | None = None,
    hour_bands: Mapping[str, Mapping[str, int]] | None = None,
    reach_hours: pd.DataFrame | None = None,
    hour_reach_weight: float = 0.0,
    owner_stay_gain: float = 0.0,
    actions_per_person: int = 1,
    second_action_share: float = 0.0,
    second_after: Literal["reached", "attempted"] = "reached",
    team_capacity: Mapping[str, int] | None = None,
    channel_budgets: Mapping[str, float] | None = None,
    variants: Variants | None = None,
) -> DecisionOutcome:
    """At most one contact today for every eligible member, within rules and capacities, for the greatest value.

    1. Eligible: ``is_eligible`` rows of ``features`` (owes something today or within the response window).
    2. Value of a channel: expected extra recovery, provision avoided and fee, less the cost of the contact; what the
       second and third rest on stands in ``puntual.decision.value``. Only positive values are chosen.
       Channels that the model does not support for a member are left to exploration.
    3. Without ``channel_scores`` the written ladder decides: gains are NULL, and so are prices and bound; members are
       served by past-due days, then amount.
    4. A share of the members gets a random permitted action (``is_exploration``), but none that would not pay for
       itself at twice its estimated gain. ``propensity`` is the probability of the row's action: (1 - share) if it is
       the greedy one, plus share times its probability when drawing: exact, given everybody else's draws. The greedy
       action of a member who was drawn is what the plan would have chosen had that member not been: its place given
       back, and everyone who would make room counted (``Allocation.displaced``). NULL where a draw met a full capacity
       (``exploration_overflow``) and where that choice is not certain (a tie, or a plan without proof that it is the
       best): such a row is no evidence.
    5. ``blocked_by`` of a member without contact: rule ids when every channel is blocked, else why nothing was chosen:
       ``no_positive_value``, ``no_support``, ``capacity``, ``not_on_the_ladder``, ``exploration_none``,
       ``exploration_overflow``. ``[]`` for a contact. ``experiment:<id>:hold_out`` for the held out, beside the rules.
    6. ``arrears_amount`` and ``past_due_days`` are the member's sum and maximum over all loans; ``loan_id`` is the main
       loan, that of the largest arrears; ``default_probability`` is that of the member's worst loan.
    7. ``rank`` 1 is the contact of greatest net value in its list: the collector's, or the channel's for messages. On a
       day with ``variants`` those of each plan are ordered so, and laid into one another evenly: values of two plans
       are not of one measure, and what is left of an unfinished list is of all arms alike.
    8. Members of experiments follow their arm: no contact for a hold-out, else a plan: the product's, the written
       ladder, or one of ``variants``. Each plan gets of every capacity the part that its members are expected to be of
       all who are planned for. Exploration goes on in all arms but hold-outs. ``propensity`` then counts the draw of
       the arm too: with probability h of a hold-out and p_k of plan k it is (1 - h) times that of the draw, plus
       (1 - share) times the sum of the p_k whose plan would choose the action for that member, plus h if it is none.
       What a plan would have done for a member of another is found as for the explored. Without a channel model the
       product is today's ladder. Amounts and reasons of a member are those of its own plan, but a ladder's beside a
       model, which has none, are the product's; so are those of a duty, which the product serves in every arm.
       Second contacts are valued by the product in every arm: what is left goes to none of them for its own weights.

    Args:
        features: feat_customer__as_of rows of ``as_of``.
        customers: dim_customers.
        contact_points: dim_contact_points.
        interactions: fct_interactions.
        promises: fct_promises.
        payments: fct_payments.
        collectors: dim_collectors.
        channel_scores: long scores per customer and channel, or None when the channel model is off.
        default_risk: loan_id, default_probability, reason_codes, and customer_id when a member's worst loan is to count
            instead of the main one; or None.
        policies: rules in force on ``as_of``.
        ladder: order of channels by past-due days.
        holidays: calendar of the country.
        costs: cost of one contact by channel; its keys are the channels offered, in order.
        daily_capacity: contacts a day by channel; None is no limit. One of calls or visits holds beside what the
            collectors can do.
        as_of: contact day.
        timezone: the institution's zone.
        exploration_share: probability with which a member is explored.
        exploration_max_cost: what the drawn contacts of the day may cost in expectation; None is no limit.
        exploration_max_cost_share: the same as a share of what the day would cost if nobody were explored; the smaller
            of the two limits holds.
        seed: of the draws.
        promise_grace_days: whole days after a promise's due date before it counts as broken.
        arms: of the members of experiments, columns ``puntual.experiments.assign.ARM_COLUMNS``; None: there are none.
        stakes: :func:`puntual.decision.value.stakes` of the date; None: neither provisions nor fees are known.
        provision_weight: part of the provision avoided that counts; 0 leaves it out.
        fee_weight: part of the regulated fee that counts as income; 0 leaves it out. What may be charged for a contact
            (``chargeable_fee_amount``) is known whatever counts; the contact of a duty that is free bears none.
        daily_budget: what all contacts of the day may cost together; None is no limit.
        duties: contacts that a rule asks for: customer_id, rule_id, channels (JSON list), is_last_chance. Who can be
            served is, before everything else; who cannot is among ``duty_alarms`` and stops nothing. With due_date and
            due_on as in :func:`puntual.decision.duties.owed`.
        overdue: :func:`puntual.decision.duties.overdue` since the run before: reported, and no reason to contact today.
        earlier: as_of_date, customer_id, action, collector_id of the last day decided before; None: nothing to keep.
        stay_amount: an earlier action that was not carried out is left only for more than this, or than
            ``stay_share`` of what it is worth, whichever is more; both 0: never kept. Only with a channel model.
        stay_share: see ``stay_amount``.
        owners: who may be given which members; None: everybody may get everybody.
        segments: customer_id, segment_code of the segments that ``owners`` names, several a member; None: none.
        facts: what the rules know beside the marts: recent plans, dated statuses, messages, templates.
        hour_bands: contacts of the day by channel and band of hours of the institution's clock ("08:00-10:00"); a
            channel with bands is used within them, and window_start to window_end of a contact lie in one. None: no
            bands.
        reach_hours: rows of ``ml.reach_hours`` of the date; None: all hours are alike.
        hour_reach_weight: how much of a contact's value follows the reach of its hours when a band is chosen.
        owner_stay_gain: who had the same undone contact on the last list (``earlier.collector_id``) keeps it unless
            another having it is a gain above this, see :class:`puntual.decision.owners.LastOwners`.
        actions_per_person: contacts of a member on the day; 2 lets some have a second one, see
            :mod:`puntual.decision.second`. Only with a channel model.
        second_action_share: part of its benefit that a second contact is taken to have.
        second_after: whether the rules judge a second contact as if the first had reached the member, or as an attempt.
        team_capacity: calls and visits a day of whole teams by ``collectors.team``; None: no limit but the people's.
        channel_budgets: what the contacts of a day may cost by channel; with ``costs`` a number of contacts beside
            ``daily_capacity``, the smaller of which holds. None or absent is no limit.
        variants: arms of experiments that change something, and who may follow them; None: there are none.

    Raises:
        RuleError: inputs that no decision can rest on (members twice, a member without a customer row).
    """
    channels = list(costs)
    people = _people(features, customers)

    def judge(members: pd.DataFrame, more: pd.DataFrame | None) -> pd.DataFrame:
        return evaluate(
            members,
            contact_points,
            interactions if more is None else with_attempts(interactions, more),
            promises,
            payments,
            policies=policies,
            holidays=holidays,
            as_of=as_of,
            timezone=timezone,
            channels=channels,
            promise_grace_days=promise_grace_days,
            facts=facts,
        )

    def hours_of(members: pd.DataFrame, mine: pd.DataFrame) -> Bands:
        stated = hour_bands or {}
        weight = hour_reach_weight
        return Bands.of(members, mine, channels, stated, reach_hours, weight=weight, as_of=as_of, timezone=timezone)

    verdicts = judge(people, None)
    width = len(channels)
    allowed = verdicts["is_allowed"].to_numpy(dtype=bool).reshape(-1, width)
    cost = np.array([costs[channel] for channel in channels], dtype=np.float64)
    free = free_of_charge(people["customer_id"], duties, policies=policies, channels=channels)

    def scored(given: pd.DataFrame | None, steps: Ladder, provision: float | None, fee: float | None) -> Scores:
        return Scores.of(
            people,
            given,
            channels,
            steps,
            cost,
            stakes=stakes,
            provision_weight=provision_weight if provision is None else provision,
            fee_weight=fee_weight if fee is None else fee,
            free=free,
        )

    scores = scored(channel_scores, ladder, None, None)
    team = roster(collectors, channels, as_of, team_capacity)
    money = channel_budgets or {}
    daily = {name: contacts_a_day(daily_capacity.get(name), money.get(name), costs[name]) for name in channels}
    offered = capacities(team, channels, daily, team_capacity)
    by_place = None
    if owners is not None and owners.owners and len(team) and len(people):
        by_place = place(people, collectors, team, offered, owners, segments)
        team, offered = by_place.team, by_place.capacities
    offered = [
        *offered,
        *shared_limits(
            interactions,
            policies=policies,
            channels=channels,
            as_of=as_of,
            timezone=timezone,
            planned=None if facts is None else facts.planned,
            daily=daily,
        ),
    ]
    placed = people if by_place is None else people.assign(zone=by_place.place)
    bands = None
    if hour_bands and any(hour_bands.values()):
        bands = hours_of(people, verdicts)
        offered = [*offered, *bands.limits]
    if daily_budget is not None:
        offered = [*offered, budget("budget:day", daily_budget, costs)]
    group = Arms.of(people, arms, variants, is_model=scores.is_model)
    columns, over, mine = channels, offered, scores
    if bands is not None:
        columns, over, mine = list(bands.names), bands.capacities(offered), bands.scores(scores)
        allowed = bands.allowed
    minimums = Minimums.of(
        placed,
        duties,
        allowed,
        mine,
        over,
        columns,
        group.is_held,
        None if bands is None else [channels[position] for position in bands.channel_of],
    )

    def head_starts(mine: Scores) -> Stability:
        before = earlier if mine.is_model else None
        found = Stability.of(people, before, interactions, channels, mine.worth, amount=stay_amount, share=stay_share)
        return found if bands is None else bands.with_hours(found, mine)

    def beside(one: Variant | None) -> Alternative:
        if one is None or one.ladder is not None:
            own = scored(None, ladder if one is None or one.ladder is None else one.ladder, None, None)
            return Alternative.of_ladder(own, own if bands is None else bands.ladder(own), is_model=scores.is_model)
        given = channel_scores
        if one.channel_model is not None and variants is not None:
            given = variants.scores_of(one.channel_model, channel_scores)
        own = scored(given, ladder, one.provision_weight, one.fee_weight)
        return Alternative.of_product(own, own if bands is None else bands.scores(own), head_starts(own))

    others = [beside(one) for one in group.plans]
    plan = make_plan(
        placed,
        allowed,
        mine,
        others,
        group,
        over,
        columns,
        minimums,
        head_starts(scores),
        share=exploration_share,
        most_cost=exploration_max_cost,
        most_cost_share=exploration_max_cost_share,
        seed=seed,
        as_of=as_of,
        channel_of=None if bands is None else bands.channel_of,
    )
    action = None
    if bands is not None:
        action, verdicts = bands.action_of(plan.choice), bands.hours(verdicts, plan.choice)
        plan = bands.told(plan, of_own_plan(group.plan, [worth_something(scores), *(one.wanted for one in others)]))
    valued = told_scores(scores, others, np.where(minimums.must, 0, group.plan))
    chosen = plan.choice >= 0
    familiar = assignment.familiar_collectors(promises, interactions, as_of=as_of)
    today = pd.Series(np.array([*channels, "none"], dtype=object)[plan.choice], index=people["customer_id"])
    last = LastOwners.of(earlier, interactions, today, owner_stay_gain)
    assigned, evenness = _assign(people, plan, valued, channels, team, familiar, by_place, action, last, offered)
    decisions = decision_rows(people, verdicts, plan, valued, channels, assigned, default_risk, as_of)
    found = standing(
        duties,
        overdue,
        actions=decisions.set_index("customer_id")["action"],
        is_held=pd.Series(group.is_held, index=people["customer_id"]),
        zones=people.set_index("customer_id")["timezone"],
        verdicts=verdicts,
        policies=policies,
        as_of=as_of,
        timezone=timezone,
    )
    decisions["duties"] = duties_of_members(found, decisions["customer_id"]).to_numpy(dtype=object)
    decisions = decisions[list(DECISION_COLUMNS)]
    alarms = alarms_of(found)
    details = detail_rows(people, verdicts, plan, valued, channels, as_of)
    second = nobody(len(offered))
    if actions_per_person > 1 and scores.is_model:
        second = second_contacts(
            placed.assign(own_zone=people["zone"]),
            decisions,
            plan,
            scores,
            offered,
            channels,
            team,
            assigned,
            familiar,
            judge,
            None if bands is None else hours_of,
            share=second_action_share,
            reached=second_after == "reached",
        )
        plan = replace(plan, used=plan.used + second.used)
    worked_by = pd.concat([decisions["collector_id"], second.contacts["collector_id"]]).dropna()
    prices = price_rows(offered, plan, scores, use_by_team(team, worked_by), as_of)
    prices["zone"] = pd.Series([zone_of_place(key) for key in prices["zone"]], index=prices.index, dtype=object)
    summary = summary_of(
        people,
        plan,
        valued,
        channels,
        policies,
        team,
        int(chosen.sum()),
        exploration_share,
        told(contact_points, customers, facts),
    )
    summary["assignment"] = evenness
    summary["warnings"] = idle_bands(bands) + unknown_year(holidays, policies, as_of)
    summary["warnings"] += unknown_probabilities(group, daily_budget)
    if actions_per_person > 1:
        summary["warnings"] += no_second(second, is_model=scores.is_model, reached=second_after == "reached")
    if actions_per_person > 1:
        summary |= second.summary()
    summary |= arms_summary(plan, offered)
    summary["duty_overdue_count"] = int((alarms["state_code"] == OVERDUE).sum())
    summary["duty_alarm_count"] = int((alarms["severity"] == "alarm").sum())
    return DecisionOutcome(
        texts_or_none(decisions), texts_or_none(details), texts_or_none(prices), alarms, summary, second.contacts
    )


def _people(features: pd.DataFrame, customers: pd.DataFrame) -> pd.DataFrame:
    """Eligible members by customer_id, with what the rules and the lists need of them."""
    eligible = features[features["is_eligible"].to_numpy(dtype=bool)].sort_values("customer_id")
    needed = ["customer_id", "customer_status_code", "timezone", "province", "language_code"]
    # a birth date that nobody has was not delivered; of one that only some have, the others' age is not known
    optional = [name for name in ("birth_date", "party_code") if name in customers and customers[name].notna().any()]
    known = customers[needed + optional]
    if eligible["customer_id"].duplicated().any() or known["customer_id"].duplicated().any():
        raise RuleError("A member appears twice among the eligible members or the customers; rebuild the marts.")
    shared = [name for name in known.columns if name in eligible.columns and name != "customer_id"]
    people = eligible.drop(columns=shared).merge(known, on="customer_id", how="left", indicator=True)
    if (people["_merge"] != "both").any():
        missing = people.loc[people["_merge"] != "both", "customer_id"].iloc[0]
        raise RuleError(f"The eligible member {missing} is not in dim_customers; rebuild the marts.")
    people = people.drop(columns="_merge").reset_index(drop=True)
    return people.assign(zone=pd.Series(zone_keys(people["province"]), index=people.index, dtype=object))


def _assign(
    people: pd.DataFrame,
    plan: Plan,
    scores: Scores,
    channels: list[str],
    team: pd.DataFrame,
    familiar: pd.Series,
    by_place: Placement | None,
    action: npt.NDArray[np.object_] | None,
    last: LastOwners,
    offered: Sequence[Capacity],
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """collector_id and is_familiar for every member, empty where the action needs nobody; and how even the day is."""
    result = pd.DataFrame(
        {"collector_id": pd.Series(None, index=people.index, dtype=object), "is_familiar": False}, index=people.index
    )
    by_person = [position for position, channel in enumerate(channels) if channel in COLLECTOR_CHANNELS]
    rows = np.flatnonzero(np.isin(plan.choice, by_person) & (plan.choice >= 0))
    contacts = pd.DataFrame(
        {
            "customer_id": people["customer_id"].to_numpy(dtype=object)[rows],
            "channel_code": np.array(channels, dtype=object)[plan.choice[rows]],
            "zone": people["zone"].to_numpy(dtype=object)[rows],
            "language_code": people["language_code"].to_numpy(dtype=object)[rows],
            "net_amount": np.nan_to_num(scores.worth[rows, plan.choice[rows]]),
        },
        index=people.index[rows],
    )
    if by_place is not None:
        contacts["place"] = by_place.place[rows]
    if action is not None:
        contacts["action"] = action[rows]
    on_people = [one for one in offered if one.pools]
    done = assignment.assign(contacts, team, familiar, last, on_people)
    result.loc[contacts.index, "collector_id"] = done.collector_id
    result.loc[contacts.index, "is_familiar"] = done.is_familiar
    return result, assignment.fairness(contacts, team, done)
