"""The columns of a work list: what stands in each, how it is written, and which ones a collector fills in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["text", "wrapped", "integer", "money", "percent", "date", "time"]


@dataclass(frozen=True)
class Column:
    """``source`` in the rows, code of the heading, form, width in characters.

    Attributes:
        fill: left for the collector to fill in.
        new_page: on paper a page begins with it.
        hidden: there for the way back, not to be read.
        if_any: hidden in a list where no line has it, as the order of the route is in one of calls.
        by_line: of several parts, joined by ``"; "``, each stands on a line of its own.
    """

    source: str
    heading: str
    form: Form
    width: int
    fill: bool = False
    new_page: bool = False
    hidden: bool = False
    if_any: bool = False
    by_line: bool = False


COLUMNS = (
    Column("rank", "rank", "integer", 6),
    Column("full_name", "full_name", "wrapped", 28),
    Column("national_id", "national_id", "text", 14),
    Column("arrears_amount", "arrears_amount", "money", 13),
    Column("collectable_amount", "collectable_amount", "money", 13),
    Column("past_due_days", "past_due_days", "integer", 8),
    Column("channel", "channel", "text", 11),
    Column("window_start_local", "window_start_local", "text", 7),
    Column("window_end_local", "window_end_local", "text", 7),
    Column("suggested_hour_local", "suggested_hour_local", "text", 9, if_any=True),
    Column("route_order", "route_order", "integer", 8, if_any=True),
    Column("planned_arrival_local", "planned_arrival_local", "text", 9, if_any=True),
    Column("contact_value", "contact_value", "wrapped", 24),
    Column("place", "place", "wrapped", 22),
    Column("reasons_on_list", "reasons", "wrapped", 72, new_page=True),
    Column("script", "script", "wrapped", 48),
    Column("last_contacts", "last_contacts", "wrapped", 42, by_line=True),
    Column("previous_collector", "previous_collector", "wrapped", 18),
    Column("open_promise", "open_promise", "wrapped", 24, new_page=True, by_line=True),
    Column("expected_gain_amount", "expected_gain_amount", "money", 13),
    Column("default_probability", "default_probability", "percent", 14),
    Column("outcome", "outcome", "text", 24, fill=True),
    Column("contact_time", "contact_time", "time", 9, fill=True),
    Column("promise_date", "promise_date", "date", 13, fill=True),
    Column("promise_amount", "promise_amount", "money", 13, fill=True),
    Column("notes", "notes", "wrapped", 30, fill=True),
    Column("product", "product", "text", 12),
    Column("loan_id", "loan_id", "text", 12),
    Column("customer_id", "customer_id", "text", 12),
    Column("row_id", "row_id", "text", 27, hidden=True),
)
IN_ALL = (
    Column("as_of_date", "as_of_date", "date", 0),
    Column("collector_id", "collector_id", "text", 0),
    Column("collector_name", "collector_name", "text", 0),
)
"""What stands before the columns of a list where lines of several collectors are together."""
