"""What a contact may be charged: whether the fee rules in force allow it today, through which channels.

The amounts stand in the seed ``collection_fees`` and are put to the loans in :mod:`puntual.decision.value`. No rule in
force says that none is known, not that everything may be charged: then nothing is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.contact_events import positions
from puntual.decision.policies import PolicySet
from puntual.decision.rule_kinds import FeeRule, MinCountByRule

Flags = npt.NDArray[np.bool_]


def chargeable(
    loans: pd.DataFrame, interactions: pd.DataFrame, *, policies: PolicySet, as_of: date, channels: Sequence[str]
) -> Flags:
    """Whether one more contact may be charged to each loan: loans x channels.

    1. All fee rules of the channel must allow it; without one nothing is charged.
    2. A rule allows ``n`` charges a calendar month. A contact of the month counts when it was made for the loan, or for
       none in particular, and was effective where the rule asks for that.
    3. Before the rule's past-due days a contact is free, so what is done before the due date costs nothing.
    4. The contact of a duty that is free of charge is another matter: :func:`free_of_charge`.

    Args:
        loans: loan_id, customer_id, past_due_days.
        interactions: fct_interactions.
        policies: rules in force on ``as_of``.
        as_of: contact day.
        channels: of the contact.
    """
    rules = [entry.rule for _, entry in policies.of_kind("fee") if isinstance(entry.rule, FeeRule)]
    late = pd.to_numeric(loans["past_due_days"]).to_numpy(dtype=float)
    day = pd.to_datetime(interactions["occurred_date"])
    in_month = (day >= pd.Timestamp(as_of).replace(day=1)) & (day <= pd.Timestamp(as_of))
    made = interactions[(in_month & interactions["direction_code"].eq("outbound")).to_numpy(dtype=bool)]
    allowed = np.tile([any(channel in rule.channels for rule in rules) for channel in channels], (len(loans), 1))
    for rule in rules:
        counted = made[made["channel_code"].isin(rule.channels).to_numpy(dtype=bool)]
        if rule.charge_requires == "effective":
            counted = counted[counted["is_right_party"].to_numpy(dtype=bool)]
        own = positions(counted["loan_id"], pd.Index(loans["loan_id"]))
        charged = np.bincount(own[own >= 0], minlength=len(loans))
        unnamed = counted[counted["loan_id"].isna().to_numpy(dtype=bool)]
        by_member = unnamed.groupby(unnamed["customer_id"].astype(object)).size()
        charged = charged + loans["customer_id"].astype(object).map(by_member).fillna(0).to_numpy(dtype=np.int64)
        may = (charged < rule.n) & (late >= rule.not_before_past_due_days)
        concerned = np.array([channel in rule.channels for channel in channels], dtype=bool)
        allowed &= may[:, None] | ~concerned[None, :]
    return np.asarray(allowed, dtype=bool)


def chargeable_channels(policies: PolicySet, channels: Sequence[str]) -> tuple[str, ...]:
    """Channels through which the rules in force let some contact be charged, whomever it is to."""
    rules = [entry.rule for _, entry in policies.of_kind("fee") if isinstance(entry.rule, FeeRule)]
    of = {channel: [rule for rule in rules if channel in rule.channels] for channel in channels}
    return tuple(channel for channel, mine in of.items() if mine and all(rule.n > 0 for rule in mine))


def free_of_charge(
    members: pd.Series, duties: pd.DataFrame | None, *, policies: PolicySet, channels: Sequence[str]
) -> Flags:
    """Contacts that meet a duty whose rule makes it free for the member: members x channels.

    Args:
        members: customer_id of each row.
        duties: customer_id, rule_id, channels (JSON list) of what is owed today; None: nothing.
        policies: rules in force.
        channels: of the columns.
    """
    free = np.zeros((len(members), len(channels)), dtype=bool)
    ids = {
        entry.rule.id
        for _, entry in policies.of_kind("min_count_by")
        if isinstance(entry.rule, MinCountByRule) and entry.rule.free_of_charge
    }
    if duties is None or not ids:
        return free
    mine = duties[duties["rule_id"].isin(ids)]
    for listed, rows in mine.groupby("channels"):
        inside = np.isin(np.array(channels, dtype=object), json.loads(str(listed)))
        free[members.isin(rows["customer_id"]).to_numpy(dtype=bool)] |= inside
    return free
