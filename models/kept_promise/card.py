"""The card of a model of kept promises: what it learnt from and how good it is on later promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models import cards
from models.estimators import contributions
from models.features import encode
from models.kept_promise.columns import PROMISE_FEATURES
from models.kept_promise.score import KeptPromiseModel, member_rate
from models.metrics import calibration_table, metrics_with_interval

if TYPE_CHECKING:
    from models.kept_promise.train import PromiseRows

LEAST_TEST_ROWS = 100
SHAPE_ROWS = 2_000
NAMES = {
    "puntual": "Puntual",
    "member_rate": "Cumplimiento del socio / Member's kept rate",
    "overall_rate": "Cumplimiento general / Overall rate",
}


def build_card(
    model: KeptPromiseModel, rows: PromiseRows, *, judge: Callable[..., KeptPromiseModel], seed: int
) -> dict[str, Any]:
    """The card as data; :func:`render` makes the page."""
    days = rows.table["as_of_date"]
    promises = rows.table["promise_id"].to_numpy()
    evaluation = evaluate(model, rows, judge=judge, seed=seed)
    found = evaluation.get("metrics", {}).get("puntual", {})
    return {
        "model": model.name,
        "kind": model.kind,
        "trained_as_of": model.trained_as_of,
        "schema_hash": PROMISE_FEATURES.schema_hash(),
        "feature_count": len(PROMISE_FEATURES.features),
        "protected_attributes_used": [],
        "row_count": len(rows.kept),
        "promise_count": len(np.unique(promises)),
        "overall_rate": model.rate,
        "first_week": days.min().date() if len(days) else None,
        "last_week": days.max().date() if len(days) else None,
        "calibration": None if model.calibration is None else model.calibration.kind,
        "rule": (
            f"Trees need {model.settings.least_promises} settled promises and {model.settings.least_of_each} of each "
            "outcome, and a Brier on later promises no worse than the record's; else the member's own record stands."
        ),
        "metrics": {name: round(found[name]["value"], 4) for name in ("auc", "brier", "ece") if name in found},
        "evaluation": evaluation,
        "features": _sizes(model, rows),
    }


def evaluate(
    model: KeptPromiseModel, rows: PromiseRows, *, judge: Callable[..., KeptPromiseModel], seed: int
) -> dict[str, Any]:
    """Quality on the newest rows, of a model that knew only promises settled before the first of them."""
    settings = model.settings
    if len(rows.kept) < LEAST_TEST_ROWS / settings.test_share:
        return {"split": None, "reason": f"{len(rows.kept)} rows are too few to judge by"}
    day = rows.table["as_of_date"].to_numpy()
    first = day[int(len(day) * (1 - settings.test_share))]
    learn, test = np.flatnonzero(rows.settled_on < first), np.flatnonzero(day >= first)
    if not len(learn) or not 0 < rows.kept[test].mean() < 1:
        return {"split": None, "reason": "the newest rows have one outcome alone, or nothing was settled before them"}
    before = judge(rows.take(learn), as_of=pd.Timestamp(first).date(), settings=settings, seed=seed)
    later = rows.take(test)
    members = later.table["customer_id"].to_numpy()
    found = {
        "puntual": before.probability(later.table),
        "member_rate": member_rate(later.table, before.rate, settings.member_weight),
        "overall_rate": np.full(len(test), before.rate),
    }
    made = np.flatnonzero(later.table["days_since_made"].to_numpy(dtype=float) == 0)
    measured, on_made_day = (
        {
            name: metrics_with_interval(
                later.kept[places], values[places], members[places], draws=settings.bootstrap_draws, seed=seed
            )
            for name, values in found.items()
            if len(places)
        }
        for places in (np.arange(len(test)), made)
    )
    return {
        "split": "time_with_gap",
        "kind": before.kind,
        "first_test_date": pd.Timestamp(first).date(),
        "learnt_rows": len(learn),
        "test_rows": len(test),
        "metrics": measured,
        "metrics_on_made_day": on_made_day,
        "calibration": calibration_table(later.kept, found["puntual"]).to_dict("records"),
        "segments": _segments(later, found["puntual"]),
    }


def _segments(rows: PromiseRows, probability: np.ndarray) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = []
    for column in ("channel_code", "product_code", "days_since_made"):
        frame = pd.DataFrame(
            {"value": rows.table[column].astype(object).fillna("–").astype(str), "p": probability, "y": rows.kept}
        )
        for value, part in frame.groupby("value", sort=True):
            table.append(
                {
                    "segment": column,
                    "value": str(value),
                    "row_count": len(part),
                    "expected_count": float(part["p"].sum()),
                    "event_count": float(part["y"].sum()),
                }
            )
    return table


def _sizes(model: KeptPromiseModel, rows: PromiseRows) -> list[dict[str, Any]]:
    if model.booster is None:
        return []
    random = np.random.default_rng(0)
    some = np.sort(random.choice(len(rows.kept), min(SHAPE_ROWS, len(rows.kept)), replace=False))
    matrix = encode(PROMISE_FEATURES, rows.table.iloc[some], model.categories)
    size = np.abs(contributions(model.booster, matrix, n_jobs=model.settings.n_jobs)).mean(axis=0)
    names = PROMISE_FEATURES.feature_names
    return [{"name": names[k], "mean_size": round(float(size[k]), 4)} for k in np.argsort(-size, kind="stable")]


def render(card: dict[str, Any]) -> str:
    """The card as one HTML page without any outside file; Spanish first, then English."""
    page = cards.Page("Promesa cumplida", "Kept promise", str(card["trained_as_of"]))
    page.facts(
        [
            ("Tipo de modelo", "Kind of model", card["kind"]),
            ("Entrenado con datos hasta", "Trained on data up to", card["trained_as_of"]),
            ("Filas, promesas", "Rows, promises", f"{card['row_count']:,}, {card['promise_count']:,}"),
            ("Fechas", "Dates", f"{card['first_week']} – {card['last_week']}"),
            ("Cumplimiento general", "Overall kept rate", f"{card['overall_rate']:.1%}"),
            ("Atributos protegidos usados", "Protected attributes used", "ninguno / none"),
        ]
    )
    page.note(
        "Con pocas promesas se usa el cumplimiento del propio socio, acercado al general.",
        card["rule"],
    )
    found = card["evaluation"]
    page.heading("Calidad en promesas posteriores", "Quality on later promises")
    if found["split"] is None:
        page.note("No hay promesas suficientes para medir la calidad.", f"Not judged: {found['reason']}.")
        return page.html()
    page.note(
        f"Aprendió de lo resuelto antes del {found['first_test_date']}; se juzga en lo que siguió.",
        f"Learnt from what was settled before {found['first_test_date']}; judged on what followed.",
    )
    for es, en, measured in (
        ("Todos los días en que la promesa siguió abierta", "Every day looked at", found["metrics"]),
        ("El día en que se hizo", "The day it was made", found["metrics_on_made_day"]),
    ):
        page.table(
            [f"{es} / {en}", "AUC", "Brier", "ECE", "Log loss"],
            [
                [NAMES[name], *(cards.interval(values[m]) for m in ("auc", "brier", "ece", "log_loss"))]
                for name, values in measured.items()
            ],
        )
    page.picture(
        "Calibración: esperado y observado",
        "Calibration: expected and seen",
        cards.line_chart([(row["mean_probability"], row["event_rate"]) for row in found["calibration"]], diagonal=True),
    )
    page.table(
        ["Segmento / Segment", "Valor / Value", "Filas / Rows", "Esperadas / Expected", "Cumplidas / Kept"],
        [
            [r["segment"], r["value"], f"{r['row_count']:,}", f"{r['expected_count']:.1f}", f"{r['event_count']:.0f}"]
            for r in found["segments"]
        ],
    )
    page.picture(
        "Lo que más mueve la nota",
        "What moves the score most",
        cards.bar_chart([(f["name"], f["mean_size"]) for f in card["features"][:15]]),
    )
    return page.html()
