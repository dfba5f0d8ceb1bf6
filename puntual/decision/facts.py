"""What is known of members beside the marts, where an institution has it: inputs of engine and checker alike."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class ContactFacts:
    """Facts that not every institution has. None: not kept, and what needs it is not judged; empty: kept, and nothing.

    ``planned``: contacts of recent lists whose outcome has not arrived; customer_id, channel_code, planned_for (date),
    and loan_id if known. They count as attempts of their day unless an attempt of that day through that channel is
    there.

    ``statuses``: dated statuses beside the one of the member's record; customer_id, status_code, from_date, to_date
    (the last day; missing: no known end). Several may hold at once.

    ``texts``: what members wrote; customer_id, channel_code, occurred_at (UTC), text.

    ``templates``: message templates; channel_code, template_id, status_code (approved, paused, disabled, rejected,
    pending), quality_code (green, yellow, red or missing).
    """

    planned: pd.DataFrame | None = None
    statuses: pd.DataFrame | None = None
    texts: pd.DataFrame | None = None
    templates: pd.DataFrame | None = None
