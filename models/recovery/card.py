"""The card of expected recovery: the back-test of the totals and the coverage of the intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models import cards
from models.estimators import contributions
from models.recovery.columns import RECOVERY_FEATURES
from models.recovery.conformal import conformal_quantile, conformity, sum_spread
from models.recovery.score import RecoveryModel
from models.willingness.card import WILLINGNESS_CAVEAT

if TYPE_CHECKING:
    from models.recovery.train import HeldOut, RecoveryRows

LEAST_CALIBRATION_DATES = 2
SHAPE_ROWS = 2_000


def build_card(
    model: RecoveryModel, rows: RecoveryRows, held: HeldOut, expected: np.ndarray, weight: float
) -> dict[str, Any]:
    """The card as data; :func:`render` makes the page.

    ``expected`` are the corrected expectations of the held-out rows. Every interval in it was calibrated on held-out
    dates that had matured before the date that it is judged on.
    """
    days = rows.date[held.places]
    paid, owed = rows.paid[held.places], rows.owed[held.places]
    backtest = _backtest(model, rows, held, expected)
    errors = np.array([abs(row["relative_error"]) for row in backtest])
    judged = [row for row in backtest if row["covered"] is not None]
    weights = [row["member_count"] for row in judged]
    coverage = {
        f"{confidence:.0%}": float(
            np.average([row["coverage"][f"{confidence:.0%}"] for row in judged], weights=weights)
        )
        for confidence in (model.settings.further_confidence, model.settings.confidence)
        if judged
    }
    plain = held.mean * owed
    return {
        "model": model.name,
        "trained_as_of": model.trained_as_of,
        "schema_hash": RECOVERY_FEATURES.schema_hash(),
        "feature_count": len(RECOVERY_FEATURES.features),
        "protected_attributes_used": [],
        "horizon_days": model.settings.horizon_days,
        "confidence": model.settings.confidence,
        "row_count": len(rows),
        "first_week": pd.Timestamp(rows.date.min()).date(),
        "last_week": pd.Timestamp(rows.date.max()).date(),
        "level": model.level,
        "correction_weight": weight,
        "shift": model.shift,
        "common_spread": model.spread.common,
        "backtest": backtest,
        "metrics": {
            "portfolio_error": round(float(errors.mean()), 4),
            "portfolio_error_uncorrected": round(_mean_error(days, paid, plain), 4),
            "portfolio_covered": round(float(np.mean([row["covered"] for row in judged])), 4) if judged else None,
            "branch_covered": round(float(np.mean([row["branch_covered"] for row in judged])), 4) if judged else None,
            **{f"member_coverage_{name}": round(value, 4) for name, value in coverage.items()},
            "explained_share": round(1 - float(((paid - expected) ** 2).sum() / ((paid - paid.mean()) ** 2).sum()), 4),
            "owed_alone_explained_share": round(
                1 - float(((paid - _owed_alone(paid, owed)) ** 2).sum() / ((paid - paid.mean()) ** 2).sum()), 4
            ),
        },
        "features": _sizes(model, rows),
    }


def _owed_alone(paid: np.ndarray, owed: np.ndarray) -> np.ndarray:
    """The plain reading: everybody pays the same share of what is owed."""
    return owed * paid.sum() / owed.sum()


def _mean_error(days: np.ndarray, paid: np.ndarray, expected: np.ndarray) -> float:
    _, place = np.unique(days, return_inverse=True)
    seen, said = np.bincount(place, weights=paid), np.bincount(place, weights=expected)
    return float(np.abs(said / np.maximum(seen, 1e-9) - 1).mean())


def _backtest(model: RecoveryModel, rows: RecoveryRows, held: HeldOut, expected: np.ndarray) -> list[dict[str, Any]]:
    """One row per held-out date: expected and actual total, and whether the intervals of that time held."""
    horizon = np.timedelta64(model.settings.horizon_days, "D")
    days = rows.date[held.places]
    paid, owed, branch = rows.paid[held.places], rows.owed[held.places], rows.branch[held.places]
    share = paid / owed
    found = []
    for day in np.unique(days):
        here, before = days == day, days + horizon < day
        entry: dict[str, Any] = {
            "as_of_date": pd.Timestamp(day).date(),
            "member_count": int(here.sum()),
            "expected_amount": float(expected[here].sum()),
            "actual_amount": float(paid[here].sum()),
            "relative_error": float(expected[here].sum() / max(paid[here].sum(), 1e-9) - 1),
            "low": None,
            "high": None,
            "covered": None,
            "branch_covered": None,
            "coverage": {},
        }
        if len(np.unique(days[before])) >= LEAST_CALIBRATION_DATES:
            spread = sum_spread(days[before], paid[before], expected[before], owed[before])
            _, low, high = spread.interval(expected[here], owed[here], model.settings.confidence)
            entry |= {"low": low, "high": high, "covered": bool(low <= paid[here].sum() <= high)}
            inside = []
            for name in np.unique(branch[here]):
                mine = here & (branch == name)
                _, least, most = spread.interval(expected[mine], owed[mine], model.settings.confidence)
                inside.append(least <= paid[mine].sum() <= most)
            entry["branch_covered"] = float(np.mean(inside))
            for confidence in (model.settings.further_confidence, model.settings.confidence):
                least_share, most_share = held.bounds[confidence]
                shift = conformal_quantile(
                    conformity(share[before], least_share[before], most_share[before]), confidence
                )
                covered = (np.maximum(least_share[here] - shift, 0.0) <= share[here]) & (
                    share[here] <= np.maximum(most_share[here] + shift, 0.0)
                )
                entry["coverage"][f"{confidence:.0%}"] = float(covered.mean())
        found.append(entry)
    return found


def _sizes(model: RecoveryModel, rows: RecoveryRows) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    some = np.sort(random.choice(len(rows), min(SHAPE_ROWS, len(rows)), replace=False))
    size = np.abs(contributions(model.boosters.mean, rows.matrix[some], n_jobs=model.settings.n_jobs)).mean(axis=0)
    names = RECOVERY_FEATURES.feature_names
    return [{"name": names[k], "mean_size": round(float(size[k]), 4)} for k in np.argsort(-size, kind="stable")]


def render(card: dict[str, Any]) -> str:
    """The card as one HTML page without any outside file; Spanish first, then English."""
    page = cards.Page("Recuperación esperada", "Expected recovery", str(card["trained_as_of"]))
    metrics = card["metrics"]
    page.facts(
        [
            ("Horizonte", "Horizon", f"{card['horizon_days']} días / days"),
            ("Entrenado con datos hasta", "Trained on data up to", card["trained_as_of"]),
            ("Filas", "Rows", cards.number(card["row_count"])),
            ("Fechas", "Dates", f"{card['first_week']} – {card['last_week']}"),
            (
                "Corrección de nivel",
                "Correction of the level",
                f"× {cards.number(card['level'], 3)} "
                f"({card['correction_weight']:.0%} del residuo reciente / of the residual)",
            ),
            ("Error medio del total", "Mean error of the total", _percent(metrics["portfolio_error"])),
            ("Sin corrección", "Without the correction", _percent(metrics["portfolio_error_uncorrected"])),
            (
                "Variación explicada entre socios",
                "Variation between members explained",
                f"{metrics['explained_share']:.0%} (solo lo adeudado / what is owed alone: "
                f"{metrics['owed_alone_explained_share']:.0%})",
            ),
        ]
    )
    page.note(
        "Los montos de cada fecha se predijeron con un modelo que solo aprendió de montos cumplidos hasta entonces.",
        "The amounts of each date were predicted by a model that learnt only from amounts that had matured by then.",
    )
    page.text(*WILLINGNESS_CAVEAT)
    page.heading("Retroprueba del total", "Back-test of the total")
    names = [name for row in card["backtest"] for name in row["coverage"]]
    levels = sorted(set(names))
    page.table(
        [
            "Fecha / Date",
            "Socios / Members",
            "Esperado / Expected",
            "Real / Actual",
            "Error",
            f"Intervalo / Interval {card['confidence']:.0%}",
            *(f"Cobertura por socio / Member coverage {level}" for level in levels),
        ],
        [
            [
                row["as_of_date"],
                cards.number(row["member_count"]),
                cards.number(row["expected_amount"]),
                cards.number(row["actual_amount"]),
                _percent(row["relative_error"], sign="+"),
                "–" if row["low"] is None else f"{cards.number(row['low'])} – {cards.number(row['high'])}",
                *(_percent(row["coverage"][level]) if level in row["coverage"] else "–" for level in levels),
            ]
            for row in card["backtest"]
        ],
    )
    page.picture(
        "Error del total por fecha",
        "Error of the total by date",
        cards.bar_chart([(str(row["as_of_date"]), row["relative_error"]) for row in card["backtest"]]),
    )
    page.picture(
        "Lo que más mueve el monto",
        "What moves the amount most",
        cards.bar_chart([(f["name"], f["mean_size"]) for f in card["features"][:15]]),
    )
    return page.html()


def _percent(share: float, *, sign: str = "") -> str:
    """A share in per cent with the signs of Spanish, which comes first on the page."""
    return ("+" if sign and share >= 0 else "") + cards.number(100 * share, 1) + " %"
