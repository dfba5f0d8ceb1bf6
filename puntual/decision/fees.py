"""What a contact may be charged: the fee rules in force, and the loans that may be charged today.

The amounts stand in the seed ``collection_fees``; whether one may be charged at all is here.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from puntual.decision.contact_events import positions
from puntual.decision.policies import PolicySet
from puntual.decision.rule_kinds import FeeRule, MinCountByRule

CHARGEABLE_COLUMNS = ("loan_id", "is_chargeable", "charged_count", "vat_added")


def fee_rules(policies: PolicySet) -> list[FeeRule]:
    """The fee rules in force; an empty list says that none is known, not that everything may be charged."""
    return [entry.rule for _, entry in policies.of_kind("fee") if isinstance(entry.rule, FeeRule)]


def chargeable(
    loans: pd.DataFrame, interactions: pd.DataFrame, *, policies: PolicySet, as_of: date, channel: str
) -> pd.DataFrame:
    """Whether one more contact through ``channel`` may be charged to each loan: one row per loan, in input order.

    Columns :data:`CHARGEABLE_COLUMNS`: ``charged_count`` contacts of the calendar month of ``as_of`` that may have been
    charged already (made for the loan, or for none in particular, and effective where the rule asks for it);
    ``vat_added`` whether tax comes on top.

    1. All fee rules of the channel must allow it; without one nothing is charged.
    2. Before the rule's past-due days a contact is free, so what is done before the due date costs nothing.
    3. The contact of a duty that is free of charge (``min_count_by``) is for whoever allocates it to leave uncharged.

    Args:
        loans: loan_id, customer_id, past_due_days.
        interactions: fct_interactions.
        policies: rules in force on ``as_of``.
        as_of: contact day.
        channel: of the contact.
    """
    rules = [rule for rule in fee_rules(policies) if channel in rule.channels]
    late = pd.to_numeric(loans["past_due_days"]).to_numpy(dtype=float)
    month = pd.Timestamp(as_of).replace(day=1)
    day = pd.to_datetime(interactions["occurred_date"])
    in_month = (day >= month) & (day <= pd.Timestamp(as_of)) & interactions["direction_code"].eq("outbound")
    made = interactions[in_month.to_numpy(dtype=bool)]
    allowed, most = np.full(len(loans), bool(rules)), np.zeros(len(loans), dtype=np.int64)
    for rule in rules:
        counted = made[made["channel_code"].isin(rule.channels).to_numpy(dtype=bool)]
        if rule.charge_requires == "effective":
            counted = counted[counted["is_right_party"].to_numpy(dtype=bool)]
        own = positions(counted["loan_id"], pd.Index(loans["loan_id"]))
        charged = np.bincount(own[own >= 0], minlength=len(loans))
        unnamed = counted[counted["loan_id"].isna().to_numpy(dtype=bool)]
        by_member = unnamed.groupby(unnamed["customer_id"].astype(object)).size()
        charged = charged + loans["customer_id"].astype(object).map(by_member).fillna(0).to_numpy(dtype=np.int64)
        allowed &= (charged < rule.n) & (late >= rule.not_before_past_due_days)
        most = np.maximum(most, charged)
    return pd.DataFrame(
        {
            "loan_id": loans["loan_id"].to_numpy(),
            "is_chargeable": allowed,
            "charged_count": most,
            "vat_added": any(rule.vat_added for rule in rules),
        }
    )


def is_free_of_charge(policies: PolicySet, rule_id: str) -> bool:
    """Whether the contact that the duty ``rule_id`` asks for is free for the member."""
    return any(
        entry.rule.id == rule_id and isinstance(entry.rule, MinCountByRule) and entry.rule.free_of_charge
        for entry in policies.rules
    )
