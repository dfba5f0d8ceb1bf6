"""Experiments in the day: who takes part, what the log keeps of them, and what they say so far."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipelines.day import Day
from pipelines.steps.decided import store_decided
from puntual.experiments.assign import arms, expose
from puntual.experiments.registry import Registered, as_decided, check_unchanged, load_experiments, log_frame
from puntual.experiments.report import latest, report
from puntual.kpis import analytic_recovery
from puntual.kpis.values import KpiValues


@dataclass(frozen=True)
class TakingPart:
    """The experiments of the date, who takes part in them, and what they ask of the decision."""

    registered: tuple[Registered, ...]
    exposures: pd.DataFrame
    arms: pd.DataFrame


def take_part(day: Day, features: pd.DataFrame) -> TakingPart:
    """The experiments of the home, held against what the log says of them, and their members on the date.

    Raises:
        ExperimentError: a file is not valid, or changed after its experiment had begun.
    """
    registered = load_experiments(day.home.experiments)
    logged = pd.DataFrame(columns=["as_of_date", "experiment_id", "fingerprint", "end_date"])
    entered = pd.DataFrame(columns=["experiment_id", "customer_id", "entered_date"])
    if day.warehouse.table_exists("decisions.exposures"):
        logged = day.warehouse.read(
            "select as_of_date, experiment_id, fingerprint, end_date from decisions.experiments"
            " order by as_of_date, experiment_id"
        )
        entered = day.warehouse.read(
            "select experiment_id, customer_id, min(entered_date) as entered_date from decisions.exposures"
            " where as_of_date < {} group by experiment_id, customer_id order by experiment_id, customer_id",
            [day.as_of],
        )
    registered = as_decided(registered, logged, day.as_of)
    check_unchanged(registered, logged, day.as_of)
    exposures = expose(registered, features, entered, day.as_of)
    return TakingPart(registered, exposures, arms(registered, exposures))


def store_taking_part(day: Day, taking_part: TakingPart) -> None:
    """Put down the experiments that have begun, and who took part in them."""
    store_decided(day.warehouse, "decisions.experiments", log_frame(taking_part.registered, day.as_of), day.as_of)
    store_decided(day.warehouse, "decisions.exposures", taking_part.exposures, day.as_of)


def measure_experiments(values: KpiValues, day: Day) -> None:
    """Write what every experiment says on each of its days to ``measured.experiments``, and its money as a KPI."""
    registered = load_experiments(day.home.experiments)
    longest = max((one.experiment.metric.covariate_days for one in registered), default=0)
    entered = day.warehouse.read(
        "select experiment_id, customer_id, arm_code, min(entered_date) as entered_date from decisions.exposures"
        " where as_of_date <= {} group by experiment_id, customer_id, arm_code"
        " order by experiment_id, customer_id",
        [day.as_of],
    )
    payments = day.warehouse.read(
        f"""
        select payments.customer_id, payments.paid_date, sum(payments.payment_amount) as payment_amount
        from marts.fct_payments as payments
        inner join (
            select customer_id, min(entered_date) as entered_date from decisions.exposures group by customer_id
        ) as entered on payments.customer_id = entered.customer_id
        where payments.paid_date > entered.entered_date - {longest} and payments.paid_date <= {{}}
        group by payments.customer_id, payments.paid_date
        order by payments.customer_id, payments.paid_date
        """,
        [day.as_of],
    )
    frame = report(registered, entered, payments, day.as_of)
    store_decided(day.warehouse, "measured.experiments", frame, day.as_of)
    analytic_recovery.experiments(values, latest(frame))
