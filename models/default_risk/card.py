"""The card of a default-risk model: what it learnt from, how good it is, and how it may be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models import cards
from models.default_risk.evaluate import compare
from models.default_risk.score import BoostedTarget, DefaultRiskModel
from models.estimators import BinnedMatrix, BoosterSettings, contributions
from models.features import LOAN_FEATURES
from models.metrics import reference_bins
from models.monitoring import reference_of

if TYPE_CHECKING:
    from models.default_risk.train import TargetRows

SHAPE_ROWS, REFERENCE_ROWS = 2_000, 20_000
TITLES = {
    "default": ("Incumplimiento", "Default"),
    "early_warning": ("Alerta temprana", "Early warning"),
}


def build_card(
    model: DefaultRiskModel,
    parts: dict[str, TargetRows],
    notes: dict[str, dict[str, Any]],
    table: pd.DataFrame,
    binned: BinnedMatrix | None,
    booster: BoosterSettings,
    *,
    fit: Callable[..., tuple[Any, dict[str, Any]]],
    seed: int,
) -> dict[str, Any]:
    """The card as data; :func:`render` makes the page."""
    targets: dict[str, Any] = {}
    for name, part in parts.items():
        dates = part.dates
        entry: dict[str, Any] = notes[name] | {
            "threshold_days": part.threshold,
            "horizon_days": part.horizon_days,
            "row_count": len(part.rows),
            "loan_count": int(part.loans.nunique()),
            "event_rows": int(part.outcome.sum()),
            "event_loan_count": part.event_loan_count,
            "first_date": dates.min().date() if len(dates) else None,
            "last_date": dates.max().date() if len(dates) else None,
            "date_count": int(dates.nunique()),
        }
        target = model.targets[name]
        if isinstance(target, BoostedTarget) and binned is not None:
            entry["evaluation"] = compare(part, table, binned, booster, model.settings, fit=fit, seed=seed)
            entry["features"] = _shapes(target, part, binned, model.settings.n_jobs)
            entry["reference"] = _reference(target, part, binned)
        targets[name] = entry
    return {
        "model": model.name,
        "kind": model.kind,
        "trained_as_of": model.trained_as_of,
        "schema_hash": LOAN_FEATURES.schema_hash(),
        "feature_count": len(LOAN_FEATURES.features),
        "protected_attributes_used": [],
        "past_threshold": "Loans at or past the threshold get probability 1; nothing is learnt from them.",
        "metrics": {name: headline(entry) for name, entry in targets.items()},
        "targets": targets,
    }


def headline(entry: dict[str, Any]) -> dict[str, float]:
    """The few numbers of a target for a log line: AUC, Brier and ECE on rows not learnt from; empty when not judged."""
    measured = entry.get("evaluation", {}).get("metrics", {}).get("puntual", {})
    return {name: round(measured[name]["value"], 4) for name in ("auc", "brier", "ece") if name in measured}


def _reference(target: BoostedTarget, part: TargetRows, binned: BinnedMatrix) -> dict[str, dict[str, list[float]]]:
    """What the learnt rows looked like: groups of every number and of the score, for the stability of later dates."""
    random = np.random.default_rng(0)
    places = np.sort(random.choice(len(part.rows), min(REFERENCE_ROWS, len(part.rows)), replace=False))
    some = part.take(places)
    rows = binned.matrix[some.rows]
    found = reference_of(LOAN_FEATURES, rows)
    return found | {"score": reference_bins(target.probability(rows, some.past_due_days, some.day_of_year))}


def _shapes(target: BoostedTarget, part: TargetRows, binned: BinnedMatrix, n_jobs: int) -> list[dict[str, Any]]:
    """Features by mean size of their part in the score, with the shape of the strongest: mean part by value."""
    random = np.random.default_rng(0)
    some = np.sort(random.choice(part.rows, min(SHAPE_ROWS, len(part.rows)), replace=False))
    values = contributions(target.booster, binned.matrix[some], n_jobs=n_jobs)
    size = np.abs(values).mean(axis=0)
    order = np.argsort(-size, kind="stable")
    found: list[dict[str, Any]] = []
    for rank, place in enumerate(order):
        feature = LOAN_FEATURES.features[place]
        entry: dict[str, Any] = {
            "name": feature.name,
            "mean_size": round(float(size[place]), 4),
            "monotone": feature.monotone,
        }
        if rank < 6 and feature.type != "category":
            entry["shape"] = _shape(binned.matrix[some, place], values[:, place])
        found.append(entry)
    return found


def _shape(column: np.ndarray, part: np.ndarray, *, points: int = 12) -> list[list[float]]:
    known = ~np.isnan(column)
    if known.sum() < points:
        return []
    edges = np.unique(np.quantile(column[known], np.linspace(0, 1, points + 1)))
    index = np.clip(np.searchsorted(edges, column[known], side="right") - 1, 0, max(len(edges) - 2, 0))
    count = np.bincount(index)
    x = np.bincount(index, weights=column[known]) / np.maximum(count, 1)
    y = np.bincount(index, weights=part[known]) / np.maximum(count, 1)
    return [[round(float(a), 4), round(float(b), 4)] for a, b, n in zip(x, y, count, strict=True) if n]


def render(card: dict[str, Any]) -> str:
    """The card as one HTML page without any outside file; Spanish first, then English."""
    page = cards.Page("Riesgo de incumplimiento", "Default risk", str(card["trained_as_of"]))
    page.facts(
        [
            ("Tipo de modelo", "Kind of model", card["kind"]),
            ("Entrenado con datos hasta", "Trained on data up to", card["trained_as_of"]),
            ("Variables", "Features", card["feature_count"]),
            ("Atributos protegidos usados", "Protected attributes used", "ninguno / none"),
        ]
    )
    page.note(
        "Los créditos que ya alcanzaron el umbral tienen probabilidad 1; de ellos no se aprende.",
        card["past_threshold"],
    )
    for name, entry in card["targets"].items():
        es, en = TITLES[name]
        page.heading(es, en)
        page.facts(
            [
                ("Definición", "Definition", f"{entry['threshold_days']} días / {entry['horizon_days']} días"),
                ("Filas, créditos", "Rows, loans", f"{entry['row_count']:,}, {entry['loan_count']:,}"),
                ("Créditos con el evento", "Loans with the event", f"{entry['event_loan_count']:,}"),
                ("Fechas", "Dates", f"{entry['first_date']} – {entry['last_date']} ({entry['date_count']})"),
                ("Modelo", "Model", entry["kind"]),
            ]
        )
        if "reason" in entry:
            page.note(
                "No hay datos suficientes para un modelo de árboles.", f"Not enough data for trees: {entry['reason']}."
            )
        _render_evaluation(page, entry)
    return page.html()


def _render_evaluation(page: cards.Page, entry: dict[str, Any]) -> None:
    found = entry.get("evaluation")
    if not found:
        return
    if found["split"] is None:
        page.note("Muy pocos eventos para medir la calidad.", f"Quality was not measured: {found['reason']}.")
        return
    page.note(found["split_es"], found["split_en"])
    names = {
        "puntual": "Puntual",
        "scorecard": "Scorecard (logit)",
        "past_due_days": "Solo días de mora / past-due days",
    }
    page.table(
        ["Modelo / Model", "AUC", "Brier", "ECE", "Log loss"],
        [
            [names[model], *(cards.interval(values[m]) for m in ("auc", "brier", "ece", "log_loss"))]
            for model, values in found["metrics"].items()
        ],
    )
    page.picture(
        "Calibración: esperado y observado",
        "Calibration: expected and seen",
        cards.line_chart([(row["mean_probability"], row["event_rate"]) for row in found["calibration"]], diagonal=True),
    )
    page.table(
        ["Segmento / Segment", "Valor / Value", "Filas / Rows", "Esperados / Expected", "Observados / Seen"],
        [
            [r["segment"], r["value"], f"{r['row_count']:,}", f"{r['expected_count']:.1f}", f"{r['event_count']:.0f}"]
            for r in found["segments"]
        ],
    )
    moved = sorted(found["stability"].items(), key=lambda item: -item[1])[:8]
    page.table(["Estabilidad (PSI) / Stability", "PSI"], [[name, f"{value:.3f}"] for name, value in moved])
    strongest = [(f["name"], f["mean_size"]) for f in entry["features"][:15]]
    page.picture("Lo que más mueve la nota", "What moves the score most", cards.bar_chart(strongest))
    for feature in entry["features"][:6]:
        if feature.get("shape"):
            page.picture(feature["name"], feature["name"], cards.line_chart([tuple(p) for p in feature["shape"]]))
