"""The work lists and campaigns of the date, and their masked twin for the screens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pandas as pd

from models.default_risk.reasons import sentences
from models.features import ALREADY_PAST_THRESHOLD, CUSTOMER_FEATURES, LOAN_FEATURES
from pipelines.day import Day
from pipelines.steps.campaigning import manner_of, planned_again
from pipelines.steps.routes import routes_of
from puntual.decision.second import with_second_contacts, with_second_messages
from puntual.lists.campaigns import going_out, write_campaigns, write_previews
from puntual.lists.routes import with_routes, write_routes
from puntual.lists.rows import ListSettings, contact_rows, masked_worklist
from puntual.lists.texts import LANGUAGES, load_reason_texts
from puntual.lists.worklists import write_worklists
from puntual.paths import POLICIES

_HISTORY_DAYS = 200


@dataclass(frozen=True)
class WrittenLists:
    """What the screens show of the lists, personal data masked: contacts, routes and their stops."""

    worklist: pd.DataFrame
    routes: pd.DataFrame
    route_stops: pd.DataFrame


def write_lists(
    day: Day, folder: Path, decisions: pd.DataFrame, details: pd.DataFrame, second: pd.DataFrame
) -> WrittenLists:
    """Write every list and route of the date into ``folder``; ``second`` are second contacts of members."""
    planned = planned_again(day, with_second_messages(decisions, second), details)
    warehouse, since = day.warehouse, day.as_of - timedelta(days=_HISTORY_DAYS)
    chosen = decisions.loc[decisions["action"] != "none", "customer_id"]
    interactions = warehouse.read(
        "select * from marts.fct_interactions where occurred_date > {} order by interaction_id", [since]
    )
    promises = warehouse.read("select * from marts.fct_promises where made_date > {} order by promise_id", [since])
    kept = warehouse.read_table(
        "ml.promise_scores",
        ["promise_id", "kept_probability"],
        where={"as_of_date": day.as_of},
        order_by=["promise_id"],
    )
    promises = promises.merge(kept, on="promise_id", how="left")
    settings = list_settings(day)
    # In the order in which the decision reads them: the archive then keeps them once.
    customers = warehouse.read_table("marts.dim_customers", order_by=["customer_id"])
    contact_points = warehouse.read_table("marts.dim_contact_points", order_by=["contact_point_id"])
    collectors = warehouse.read_table("marts.dim_collectors", order_by=["collector_id"])
    contacts, of_contacts = with_second_contacts(decisions, details, second)
    rows = contact_rows(
        contacts,
        of_contacts,
        features=warehouse.read_table(
            "features.feat_customer__as_of", where={"is_score": True}, order_by=["customer_id"]
        ),
        customers=customers,
        loans=warehouse.read_table("marts.dim_loans", order_by=["loan_id"]),
        contact_points=contact_points,
        collectors=collectors,
        interactions=interactions[interactions["customer_id"].isin(chosen)],
        promises=promises[promises["customer_id"].isin(chosen)],
        buckets=warehouse.read_table("reference.dpd_buckets"),
        reason_texts=reason_texts(),
        further_reasons=further_reasons(day),
        reach_hours=warehouse.read_table(
            "ml.reach_hours", where={"as_of_date": day.as_of}, order_by=["channel_code", "segment", "weekday", "hour"]
        ),
        settings=settings,
        scripts=planned.plan.scripts,
    )
    routes = routes_of(
        day,
        rows,
        decisions["customer_id"],
        customers=customers,
        contact_points=contact_points,
        collectors=collectors,
    )
    rows = going_out(with_routes(rows, routes.plan, settings), planned.plan)
    write_worklists(rows, folder, settings, day.as_of)
    write_campaigns(planned.plan, rows, details, folder, settings, planned.data, day.as_of)
    write_previews(folder, planned.plan, planned.members, planned.data, manner_of(day), day.as_of)
    screens = write_routes(routes.plan, rows, routes.addresses, folder, settings, day.as_of)
    return WrittenLists(masked_worklist(rows), screens["routes"], screens["route_stops"])


def list_settings(day: Day) -> ListSettings:
    """How the institution's lists are written."""
    institution = day.settings.institution
    return ListSettings(
        institution=institution.name,
        language=institution.language,
        currency=institution.currency,
        timezone=institution.timezone,
        csv_separator=day.settings.worklists.csv_separator,
        csv_decimal=day.settings.worklists.csv_decimal,
    )


def further_reasons(day: Day) -> dict[str, dict[str, str]]:
    """What lowers the risk of a loan and what would change it: loan -> language -> sentences."""
    rows = day.warehouse.read_table(
        "ml.default_risk_reasons", where={"as_of_date": day.as_of}, order_by=["loan_id"]
    ).to_dict("records")
    currency = day.settings.institution.currency
    return {
        row["loan_id"]: {language: " ".join(sentences(row, language, currency)) for language in LANGUAGES}
        for row in rows
    }


def reason_texts() -> dict[str, dict[str, str]]:
    """Sentences of every reason code: those of the decision, and those of the models' feature groups."""
    groups = (*CUSTOMER_FEATURES.groups, *LOAN_FEATURES.groups, ALREADY_PAST_THRESHOLD)
    return {group.code: {"es": group.es, "en": group.en} for group in groups} | load_reason_texts(POLICIES)
