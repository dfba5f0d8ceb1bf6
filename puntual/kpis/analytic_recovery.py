"""What came in against what was expected: of everyone, a collector, an agency, drawn contacts (K30-K32, K35, K61, K89).

Frames of decisions have one row per member and date that was decided: as_of_date, customer_id, action, collector_id,
is_exploration, drawn_contact_probability (of being drawn for a contact), was_drawn_contact, drawn_gain_amount (of its
permitted channels, by their probability), expected_gain_amount (of the contact, none: NaN), arrears_amount,
pay_probability and expected_amount (NaN without a channel model), and paid_amount once the window has passed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from puntual.kpis.statistics import (
    Floats,
    mean_difference,
    payment_variance,
    qini,
    residual_scale,
    shrink,
    sum_interval,
)
from puntual.kpis.values import KpiValues

LEAST_PER_ARM = 30
"""Fewer drawn contacts, or fewer drawn to be left alone, say nothing about what contacts bring."""
LEAST_FOR_QINI = 200
LEAST_ISSUED = 5
"""A collector with fewer lines of the list than this has no figure of effectiveness."""

NO_SCORES = (
    "No hay modelo de canales en vigor para la fecha, y sin él no hay recuperación esperada.",
    "No channel model is in force for the date, and without one there is no expected recovery.",
)
NO_MATURED = (
    "Ninguna decisión con puntajes ha cumplido todavía su ventana de respuesta.",
    "No decision with scores has passed its response window yet.",
)


def expected(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    """Per row, the expected payment within the window (alone, plus the contact's gain) and its variance."""
    probability = rows["pay_probability"].to_numpy(dtype=float)
    amount = np.maximum(rows["expected_amount"].to_numpy(dtype=float), 0.0)
    gain = np.nan_to_num(rows["expected_gain_amount"].to_numpy(dtype=float))
    moved = np.clip(probability + np.divide(gain, amount, out=np.zeros(len(rows)), where=amount > 0), 0.0, 1.0)
    return probability * amount + gain, payment_variance(moved, amount)


def expected_recovery(values: KpiValues, decided: pd.DataFrame, matured: pd.DataFrame) -> None:
    """K30: the sum over everyone eligible, in total, by branch, province and segment, each with its interval.

    Payments are taken as independent: each member pays the expected amount or nothing. How much wider past payments
    scattered (``matured``) widens the interval.
    """
    rows = decided[decided["pay_probability"].notna()]
    if rows.empty:
        values.off("K30", *NO_SCORES)
        return
    scale = _scale(matured)
    money, variance = expected(rows)
    values.add_interval("K30", sum_interval(money, variance, scale))
    for grain, column in (("branch", "branch_id"), ("province", "province"), ("segment", "segment_code")):
        names = rows[column].to_numpy(dtype=object)
        for name in sorted({name for name in names if isinstance(name, str)}):
            mine = names == name
            values.add_interval(
                "K30", sum_interval(money[mine], variance[mine], scale), grain=grain, keys={column: name}
            )


def horizon_recovery(values: KpiValues, totals: pd.DataFrame) -> None:
    """K30_HORIZON: rows of ``ml.recovery_totals`` of the date, each with its interval."""
    if totals.empty:
        values.off(
            "K30_HORIZON",
            "No hay modelo de recuperación esperada en vigor para la fecha, o nadie debe nada.",
            "No model of expected recovery is in force for the date, or nobody owes anything.",
        )
        return
    names = {"branch": "branch_id", "segment": "segment_code"}
    for row in totals.to_dict("records"):
        grain = str(row["grain_code"])
        interval = (float(row["expected_recovery_amount"]), float(row["low"]), float(row["high"]))
        keys = {names[grain]: str(row[names[grain]])} if grain in names else None
        values.add_interval("K30_HORIZON", interval, grain=grain, keys=keys)


def recovery_against_expected(values: KpiValues, matured: pd.DataFrame, period: str) -> None:
    """K31: what was paid within the window over what had been expected; ``matured`` has the period's rows alone."""
    rows = matured[matured["pay_probability"].notna()]
    if rows.empty:
        if period == "month":
            values.off("K31", *NO_MATURED)
        return
    frame = rows.assign(expected_payment=expected(rows)[0])
    values.add_groups(
        "K31",
        frame,
        "paid_amount",
        "expected_payment",
        {"total": [], "branch": ["branch_id"], "province": ["province"], "segment": ["segment_code"]},
        periods=[period],
    )


def incremental_recovery(values: KpiValues, explored: pd.DataFrame, contact_count: int) -> None:
    """K32: what contacts brought, from members drawn for a contact or drawn to be left alone; with its interval.

    By intention to treat: who was drawn for a contact counts as such, done or not. K32_PER_CONTACT is the difference
    per drawn contact; K32 is that times the ``contact_count`` contacts issued on the same dates.
    """
    rows = _comparable(explored)
    treated = rows["was_drawn_contact"].to_numpy(dtype=bool)
    fewest = int(min(treated.sum(), (~treated).sum()))
    if fewest < LEAST_PER_ARM:
        for code in ("K32", "K32_PER_CONTACT"):
            values.off(
                code,
                f"Hay {int(treated.sum())} contactos sorteados y {int((~treated).sum())} sin contacto con ventana "
                f"cumplida; se necesitan {LEAST_PER_ARM} de cada uno.",
                f"There are {int(treated.sum())} drawn contacts and {int((~treated).sum())} drawn to be left alone "
                f"with a passed window; {LEAST_PER_ARM} of each are needed.",
            )
        return
    covariate = None
    if rows["pay_probability"].notna().all():
        covariate = (rows["pay_probability"] * rows["expected_amount"]).to_numpy(dtype=float)
    found = mean_difference(
        rows["paid_amount"].to_numpy(dtype=float),
        treated,
        rows["drawn_contact_probability"].to_numpy(dtype=float),
        covariate,
    )
    values.add_interval("K32_PER_CONTACT", found)
    low, high = found[1] * contact_count, found[2] * contact_count
    values.add_interval("K32", (found[0] * contact_count, low, high))


def experiments(values: KpiValues, latest: pd.DataFrame) -> None:
    """K32_EXPERIMENT: what the arms of each experiment brought so far, beyond its control; with its interval.

    Details: the experiment's id, of the sum over its arms, when it has one arm beside the control with
    ``<id>:low`` and ``<id>:high``, the ends of the interval that holds at every look. ``latest`` has the newest rows of
    measured.experiments. An experiment whose sample ratio is off says nothing.
    """
    rows = latest[(latest["metric_code"] == "paid_amount") & latest["incremental_value"].notna()]
    rows = rows[rows["verdict_code"] != "sample_ratio"]
    if rows.empty:
        values.off(
            "K32_EXPERIMENT",
            "Ningún experimento tiene bastantes socios con la ventana cumplida en cada grupo.",
            "No experiment has enough members whose window has passed in each arm.",
        )
        return
    for name, mine in rows.groupby("experiment_id", sort=True):
        values.add("K32_EXPERIMENT", float(mine["incremental_value"].sum()), detail=str(name))
        if len(mine) == 1:
            values.add("K32_EXPERIMENT", float(mine["incremental_low"].iloc[0]), detail=f"{name}:low")
            values.add("K32_EXPERIMENT", float(mine["incremental_high"].iloc[0]), detail=f"{name}:high")


def uplift(values: KpiValues, explored: pd.DataFrame) -> None:
    """K89: whether the contacts with the greatest expected gain are those that brought most, on drawn contacts."""
    rows = _comparable(explored)
    rows = rows[rows["drawn_gain_amount"].notna()]
    treated = rows["was_drawn_contact"].to_numpy(dtype=bool)
    fewest = int(min(treated.sum(), (~treated).sum()))
    if fewest < LEAST_FOR_QINI:
        values.off(
            "K89",
            f"Hay {fewest} casos en el grupo sorteado más pequeño; se necesitan {LEAST_FOR_QINI}.",
            f"The smaller drawn group has {fewest} cases; {LEAST_FOR_QINI} are needed.",
        )
        return
    values.add(
        "K89",
        qini(
            rows["drawn_gain_amount"].to_numpy(dtype=float),
            rows["paid_amount"].to_numpy(dtype=float),
            treated,
            rows["drawn_contact_probability"].to_numpy(dtype=float),
        ),
    )


def collector_effectiveness(
    values: KpiValues, issued: pd.DataFrame, collectors: pd.DataFrame, window_days: int
) -> None:
    """K61 per collector and K35 per agency: paid against expected of the very lines that they were given.

    1. A member given to the same collector again within the window counts once: the payments would be the same.
    2. K61 = (paid - expected) / expected, shrunk to the mean of all collectors by empirical Bayes; detail ``raw`` is
       the figure before shrinking, ``low`` and ``high`` its 95 % interval after it.
    3. K35 = (paid - expected) / balance placed, of the lines of an agency's collectors.
    """
    rows = _once_per_window(issued[issued["pay_probability"].notna() & issued["collector_id"].notna()], window_days)
    if rows.empty:
        for code in ("K35", "K61"):
            values.off(code, *NO_MATURED)
        return
    money, variance = expected(rows)
    frame = pd.DataFrame(
        {
            "collector_id": rows["collector_id"].to_numpy(dtype=object),
            "expected": money,
            "variance": variance * _scale(rows) ** 2,
            "difference": rows["paid_amount"].to_numpy(dtype=float) - money,
            "placed": rows["arrears_amount"].to_numpy(dtype=float),
        }
    )
    frame = frame.merge(collectors[["collector_id", "agency"]], on="collector_id", how="left")
    summed = frame.groupby("collector_id", sort=True)[["expected", "variance", "difference"]].sum()
    summed["lines"] = frame.groupby("collector_id").size()
    summed = summed[(summed["lines"] >= LEAST_ISSUED) & (summed["expected"] > 0)]
    if summed.empty:
        values.off(
            "K61",
            f"Ningún gestor tiene {LEAST_ISSUED} gestiones asignadas con ventana cumplida.",
            f"No collector has {LEAST_ISSUED} issued contacts whose window has passed.",
        )
    raw = (summed["difference"] / summed["expected"]).to_numpy(dtype=float)
    found = shrink(raw, (summed["variance"] / summed["expected"] ** 2).to_numpy(dtype=float))
    for place, collector in enumerate(summed.index):
        base = float(summed["expected"].iloc[place])
        keys = {"collector_id": str(collector)}
        interval = (found.value[place] * base, found.low[place] * base, found.high[place] * base)
        values.add_interval("K61", interval, base, grain="collector", keys=keys)
        values.add("K61", raw[place] * base, base, grain="collector", detail="raw", keys=keys)
    placed = frame[frame["agency"].notna()]
    if placed.empty:
        values.off(
            "K35",
            "Ninguna gestión con ventana cumplida fue asignada a una agencia.",
            "No contact whose window has passed was given to an agency.",
        )
    else:
        values.add_groups("K35", placed, "difference", "placed", {"agency": ["agency"]})


def _scale(matured: pd.DataFrame) -> float:
    rows = matured[matured["pay_probability"].notna()]
    if rows.empty:
        return 1.0
    money, variance = expected(rows)
    return residual_scale(rows["paid_amount"].to_numpy(dtype=float), money, variance)


def _comparable(explored: pd.DataFrame) -> pd.DataFrame:
    """Drawn members who could have been drawn into either arm; the others have nothing to be compared with."""
    chance = explored["drawn_contact_probability"].to_numpy(dtype=float)
    return explored[(chance > 0) & (chance < 1)]


def _once_per_window(rows: pd.DataFrame, window_days: int) -> pd.DataFrame:
    """The rows in time, without those whose member was given to the same collector less than a window before."""
    ordered = rows.sort_values(["collector_id", "customer_id", "as_of_date"], kind="stable")
    day = pd.to_datetime(ordered["as_of_date"]).to_numpy().astype("datetime64[D]").astype(np.int64)
    owner = ordered.groupby(["collector_id", "customer_id"], sort=False).ngroup().to_numpy()
    keep = np.zeros(len(ordered), dtype=bool)
    last_owner, last_day = -1, 0
    for place in range(len(ordered)):
        if owner[place] != last_owner or day[place] - last_day >= window_days:
            keep[place] = True
            last_owner, last_day = owner[place], day[place]
    return ordered[keep]
