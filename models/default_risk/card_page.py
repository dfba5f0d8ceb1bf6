"""The page of a default-risk card: Spanish first, then English, with its pictures inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import yaml
from pydantic import TypeAdapter

from models import cards
from models.charts import COLOURS, GREY, LINE, RED, Plot, bar_chart, interval_chart, line_chart
from models.features import LOAN_FEATURES
from models.limits import SHIPPED
from models.willingness.card import WILLINGNESS_CAVEAT
from puntual.strict import Words

TITLES = {
    "default": ("Incumplimiento", "Default"),
    "early_warning": ("Alerta temprana", "Early warning"),
}
MODELS = {
    "puntual": "Puntual",
    "scorecard": "Scorecard (logit, WoE)",
    "default_lightgbm": "LightGBM / defaults",
    "past_due_days": "Solo días de mora / past-due days",
}
MEASURES = (("auc", "AUC"), ("brier", "Brier"), ("ece", "ECE"), ("log_loss", "Log loss"))
STANDINGS = {"ahead": "mejor / ahead", "level": "parejo / level", "behind": "peor / behind"}
VERDICTS = {
    "ok": "bien / ok",
    "few": "pocos / few",
    "low": "se queda corta / too low",
    "high": "se pasa / too high",
    "stable": "estable / stable",
    "watch": "vigilar / watch",
    "moved": "se movió / moved",
}
SEGMENTS = {
    "past_due_days": ("Por segmento de mora", "By past-due segment"),
    "product_code": ("Por producto", "By product"),
    "branch_id": ("Por agencia", "By branch"),
}
ATTRIBUTES = {
    "gender": ("Género", "Gender"),
    "age_group": ("Edad", "Age"),
    "marital_state": ("Estado civil", "Marital state"),
}
EVIDENCE_MEASURES = (("log_loss", "Log loss"), ("auc", "AUC"), ("ece", "ECE"))
NOT_RECORDED = "sin registro / not recorded"


@cache
def feature_names() -> dict[str, Words]:
    """How people read the columns that are learnt from, by name: ``data/models/feature_names.yaml``."""
    content = yaml.safe_load((SHIPPED / "feature_names.yaml").read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, Words]).validate_python(content)


def _named(name: str) -> Words:
    """The column's name in both languages; one that the file does not know keeps its own."""
    return feature_names().get(name) or Words(es=name, en=name)


def render(card: Mapping[str, Any]) -> str:
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
    if card.get("promotion"):
        decision = card["promotion"]
        page.heading("Decisión de ponerlo en uso", "Decision to put it to use")
        page.note(decision["reason_es"], decision["reason_en"])
        _evidence(page, decision.get("evidence"))
    for name, entry in card["targets"].items():
        es, en = TITLES[name]
        page.heading(es, en)
        page.facts(
            [
                ("Definición", "Definition", f"{entry['threshold_days']} días / {entry['horizon_days']} días"),
                (
                    "Filas, créditos",
                    "Rows, loans",
                    f"{cards.number(entry['row_count'])}, {cards.number(entry['loan_count'])}",
                ),
                ("Créditos con el evento", "Loans with the event", cards.number(entry["event_loan_count"])),
                ("Fechas", "Dates", f"{entry['first_date']} – {entry['last_date']} ({entry['date_count']})"),
                ("Modelo", "Model", entry["kind"]),
            ]
        )
        if "reason" in entry:
            page.note(
                "No hay datos suficientes para un modelo de árboles.", f"Not enough data for trees: {entry['reason']}."
            )
        found = entry.get("evaluation")
        if found and found["split"] is None:
            page.note("Muy pocos eventos para medir la calidad.", f"Quality was not measured: {found['reason']}.")
        elif found:
            _climate(page, entry.get("climate"), card.get("climate") or [])
            _quality(page, found)
            _calibration(page, found)
            _backtest(page, entry.get("backtest") or [])
            _segments(page, found["segments"])
            _stability(page, found["stability"])
            _features(page, entry["features"])
            _disparity(page, found["disparity"])
    return page.html()


def _evidence(page: cards.Page, evidence: Mapping[str, Any] | None) -> None:
    """Champion and twin side by side, both targets; nothing when neither was compared."""
    both = {"default": evidence, "early_warning": evidence.get("early_warning")} if evidence else {}
    compared = {name: one for name, one in both.items() if one and one["difference"]}
    if not compared:
        return
    page.table(
        ["", "Fechas / Dates", "Filas, eventos / Rows, events", "", *(name for _, name in EVIDENCE_MEASURES)],
        [
            [
                " / ".join(TITLES[target]),
                ", ".join(str(day) for day in one["dates"]),
                f"{cards.number(one['row_count'])}, {cards.number(one['event_count'])}",
                label,
                *(cards.interval(one[who][code], 4) for code, _ in EVIDENCE_MEASURES),
            ]
            for target, one in compared.items()
            for who, label in (
                ("champion", "actual / present"),
                ("challenger", "nuevo / new"),
                ("difference", "nuevo – actual / new – present"),
            )
        ],
    )


def _climate(page: cards.Page, found: Mapping[str, Any] | None, weeks: Sequence[Mapping[str, Any]]) -> None:
    """How readily everybody pays of late, and what that makes of the odds; nothing where it is not known."""
    if not found or not weeks:
        return
    page.subheading("Clima de pago", "Payment climate")
    en, usual_en = f"{found['odds_factor']:.2f}", f"{found['usual']:.2f}"
    es, usual_es = (cards.number(found[name], 2) for name in ("odds_factor", "usual"))
    now_es, now_en = cards.number(found["expected"], 2), f"{found['expected']:.2f}"
    page.text(
        "Con qué facilidad pagan todos, semana a semana, sin contar quiénes son, cuánto deben ni el mes del año. Las "
        "etiquetas maduran meses después; el clima se ve cada semana, y la probabilidad se ajusta al que se espera "
        f"ahora ({now_es}; la línea gris, {usual_es}, es el de las fechas de las que se aprendió): las posibilidades "
        f"(odds) se multiplican por {es}.",
        "How readily everybody pays, week by week, apart from who they are, what they owe and the month of the year. "
        "Labels mature months later; the climate shows every week, and the probability is put at the one expected now "
        f"({now_en}; the grey line, {usual_en}, is that of the dates learnt from): the odds are multiplied by {en}.",
    )
    ends = [str(row["week_end_date"])[:10] for row in weeks]
    levels = [row["climate_level"] for row in weeks]
    pad = max(0.1, 0.1 * (max(levels) - min(levels)))
    label = "log-odds"
    frame = (min([*levels, found["usual"]]) - pad, max([*levels, found["usual"]]) + pad)
    names = [day[:7] for day in ends]
    plot = Plot((0, max(len(weeks) - 1, 1)), frame, "", label, width=450, height=230, x_names=names)
    plot.line([(0, found["usual"]), (len(weeks) - 1, found["usual"])], colour=GREY, dashed=True)
    plot.line(list(enumerate(levels)))
    page.picture(
        "Clima de pago por semana",
        "Payment climate by week",
        plot.svg(),
        f"De {cards.number(levels[0], 2)} en {names[0]} a {cards.number(levels[-1], 2)} en {names[-1]}; se espera "
        f"{now_es} ± {cards.number(found['spread'], 2)}.",
        f"From {levels[0]:.2f} in {names[0]} to {levels[-1]:.2f} in {names[-1]}; expected is {now_en} "
        f"± {found['spread']:.2f}.",
    )


def _quality(page: cards.Page, found: Mapping[str, Any]) -> None:
    page.subheading("Calidad en fechas cuyas etiquetas no aprendió", "Quality on dates whose labels were not learnt")
    page.note(found["split_es"], found["split_en"])
    page.text(*WILLINGNESS_CAVEAT)
    page.table(
        ["Modelo / Model", *(name for _, name in MEASURES)],
        [
            [MODELS[model], *(cards.interval(values[code]) for code, _ in MEASURES)]
            for model, values in found["metrics"].items()
        ],
    )
    page.text(
        "Entre paréntesis, el intervalo del 95 %. Abajo, Puntual menos cada otro modelo, en las mismas filas y "
        "los mismos "
        "sorteos de socios: AUC, más es mejor; lo demás, menos es mejor.",
        "In brackets, the 95 % interval. Below, Puntual less each other model, on the same rows and the same draws of "
        "members: for AUC more is better, for the others less.",
    )
    page.table(
        ["Puntual –", *(name for _, name in MEASURES)],
        [
            [
                MODELS[model],
                *(
                    f"{cards.interval(values[code], 4)}\n{STANDINGS[found['ahead'][model][code]]}"
                    for code, _ in MEASURES
                ),
            ]
            for model, values in found["differences"].items()
        ],
    )
    plot = Plot((0, 1), (0, 1), "Créditos revisados / Loans reviewed", "Eventos hallados / Events found")
    plot.line([(0, 0), (1, 1)], colour=GREY, dashed=True)
    for (model, points), colour in zip(found["lift"].items(), COLOURS, strict=False):
        plot.line([(a, b) for a, b in points], colour=colour, name=MODELS[model].split(" / ")[0])
    top = next((b for a, b in found["lift"]["puntual"] if a >= 0.1), 0.0)
    page.picture(
        "Eventos hallados al revisar de la nota más alta a la más baja",
        "Events found from the highest score to the lowest",
        plot.svg(),
        f"El 10 % de los créditos con la nota más alta reúne el {top:.0%} de los eventos.",
        f"The 10 % of loans with the highest scores hold {top:.0%} of the events.",
    )


def _calibration(page: cards.Page, found: Mapping[str, Any]) -> None:
    rows = found["calibration"]
    ends = [
        value
        for row in rows
        for value in (row["mean_probability"], row["event_rate"], row["high"], row["low"])
        if value is not None and value > 0
    ]
    low, high = max(min(ends, default=0.001) * 0.8, 1e-4), min(max(ends, default=1.0) * 1.2, 1.0)
    plot = Plot((low, high), (low, high), "Esperado / Expected", "Observado / Seen", log=True)
    plot.line([(low, low), (high, high)], colour=LINE)
    plot.dots([(row["mean_probability"], row["event_rate"], row["low"], row["high"]) for row in rows])
    quality = found["quality"]
    page.picture(
        "Calibración: esperado y observado por décimos",
        "Calibration: expected and seen by tenths",
        plot.svg(),
        f"Error de calibración {cards.number(quality['ece'], 4)}; los puntos sobre la línea están calibrados.",
        f"Calibration error {quality['ece']:.4f}; dots on the line are calibrated.",
    )


def _backtest(page: cards.Page, rows: Sequence[Mapping[str, Any]]) -> None:
    page.subheading("Repetido en fechas pasadas", "Repeated at past dates")
    if not rows:
        page.text("Aún no hay historia para repetirlo.", "There is no history yet to repeat it.")
        return
    page.text(
        "El mismo procedimiento, entrenado solo con lo que se sabía entonces y con muestras más pequeñas, medido "
        "mes a mes.",
        "The same procedure, trained only on what was known then and on smaller samples, measured month by month.",
    )
    names = [str(row["as_of_date"])[:7] for row in rows]
    last = max(len(rows) - 1, 1)
    for code, label in (("auc", "AUC"), ("ece", "ECE")):
        lows = [row[code]["low"] for row in rows if row[code]["low"] is not None]
        highs = [row[code]["high"] for row in rows if row[code]["high"] is not None]
        pad = 0.08 * (max(highs) - min(lows))
        bottom = 0.0 if code == "ece" else min(lows) - pad
        plot = Plot((0, last), (bottom, max(highs) + pad), "", label, width=450, height=230, x_names=names)
        plot.line([(number, row[code]["value"]) for number, row in enumerate(rows)])
        plot.dots([(n, row[code]["value"], row[code]["low"], row[code]["high"]) for n, row in enumerate(rows)])
        first, newest = (cards.number(rows[place][code]["value"], 3) for place in (0, -1))
        page.picture(
            f"{label} por mes juzgado",
            f"{label} by judged month",
            plot.svg(),
            f"De {first} en {names[0]} a {newest} en {names[-1]}.",
            f"From {rows[0][code]['value']:.3f} in {names[0]} to {rows[-1][code]['value']:.3f} in {names[-1]}.",
        )
    page.table(
        ["Fecha / Date", "Aprendió hasta / Learnt to", "Filas / Rows", "Eventos / Events", "AUC", "Brier", "ECE"],
        [
            [
                row["as_of_date"],
                row["learnt_to"],
                cards.number(row["row_count"]),
                cards.number(row["event_count"]),
                *(cards.interval(row[code]) for code in ("auc", "brier", "ece")),
            ]
            for row in rows
        ],
    )


def _segments(page: cards.Page, rows: Sequence[Mapping[str, Any]]) -> None:
    page.subheading("Calibración por grupo", "Calibration by group")
    page.text(
        "Observado entre esperado: 1 es exacto, más de 1 es que la nota se queda corta. En rojo, lo que queda "
        "fuera aun "
        "con un intervalo ensanchado por el número de grupos.",
        "Seen over expected: 1 is exact, above 1 the score is too low. In red, what lies outside even with an interval "
        "widened for the number of groups.",
    )
    for segment, (es, en) in SEGMENTS.items():
        mine = [row for row in rows if row["segment"] == segment]
        drawn = [_ratio_row(row) for row in mine if row["verdict"] != "few"]
        if drawn:
            outside = sum(row[4] for row in drawn)
            page.picture(
                es,
                en,
                interval_chart(drawn),
                f"{outside} de {len(drawn)} grupos fuera de 1.",
                f"{outside} of {len(drawn)} groups off 1.",
            )
    page.table(
        ["Grupo / Group", "Filas / Rows", "Esperados / Expected", "Observados / Seen", "Razón / Ratio", "ECE", ""],
        [
            [
                f"{SEGMENTS[row['segment']][0]}: {row['value']}",
                cards.number(row["row_count"]),
                cards.number(row["expected_count"], 1),
                cards.number(row["event_count"]),
                cards.interval(row["ratio"], 2),
                cards.interval(row["ece"]),
                VERDICTS[row["verdict"]],
            ]
            for row in rows
        ],
        [row["verdict"] in {"low", "high"} for row in rows],
    )


def _ratio_row(row: Mapping[str, Any]) -> tuple[str, float, float, float, bool]:
    ratio = row["ratio"]
    name = NOT_RECORDED if row["value"] == "not_recorded" else str(row["value"])
    return name, ratio["value"], ratio["low"], ratio["high"], row["verdict"] in {"low", "high"}


def _stability(page: cards.Page, rows: Sequence[Mapping[str, Any]], *, most: int = 12) -> None:
    page.subheading("Estabilidad", "Stability")
    ordered = sorted(rows, key=lambda row: row["name"] != "score")
    shown = ordered[:most] + [row for row in ordered[most:] if row["name"] in LOAN_FEATURES.category_names]
    moved = [_named(row["name"]) for row in rows if row["verdict"] == "moved"]
    page.picture(
        "Índice de estabilidad (PSI): lo aprendido frente a lo juzgado",
        "Stability index (PSI): learnt rows against judged rows",
        bar_chart([(_named(row["name"]).es, row["psi"]["value"]) for row in shown], limits=[(0.1, LINE), (0.25, RED)]),
        f"{len(moved)} variables se movieron: {', '.join(one.es for one in moved) or 'ninguna'}.",
        f"{len(moved)} features moved: {', '.join(one.en for one in moved) or 'none'}.",
    )
    page.text(
        "Hasta 0,1 estable; hasta 0,25, vigilar; más allá, se movió: esas variables ya no se ven como cuando se "
        "aprendió. De un texto, sobre sus valores, los demás valores y los que faltan.",
        "Up to 0.1 stable; up to 0.25, watch; beyond, it moved: these features no longer look as when they were "
        "learnt. Of a text it is over its levels, all other texts and missing ones.",
    )
    page.table(
        ["Variable / Feature", "PSI", ""],
        [
            [
                f"{_named(row['name']).es} / {_named(row['name']).en}",
                cards.interval(row["psi"]),
                VERDICTS[row["verdict"]],
            ]
            for row in shown
        ],
        [row["verdict"] == "moved" for row in shown],
    )


def _features(page: cards.Page, features: Sequence[Mapping[str, Any]]) -> None:
    page.subheading("Lo que más mueve la nota", "What moves the score most")
    strongest = [(_named(feature["name"]), feature["mean_size"]) for feature in features[:15]]
    page.picture(
        "Parte media en la nota, en log de las posibilidades",
        "Mean part in the score, in log odds",
        bar_chart([(name.es, size) for name, size in strongest]),
        f"Las tres más fuertes: {', '.join(name.es for name, _ in strongest[:3])}.",
        f"The three strongest: {', '.join(name.en for name, _ in strongest[:3])}.",
    )
    for feature in features[:6]:
        shape = [(a, b) for a, b in feature.get("shape") or []]
        if shape:
            name, way = _named(feature["name"]), ("sube", "rises") if shape[-1][1] >= shape[0][1] else ("baja", "falls")
            page.picture(
                name.es,
                name.en,
                line_chart(shape),
                f"{name.es}: su parte en la nota {way[0]} de {cards.number(shape[0][1], 2)} a "
                f"{cards.number(shape[-1][1], 2)}.",
                f"{name.en}: its part in the score {way[1]} from {shape[0][1]:.2f} to {shape[-1][1]:.2f}.",
            )


def _disparity(page: cards.Page, report: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    page.subheading("Disparidad entre grupos protegidos", "Disparity between protected groups")
    if not report:
        page.text("No se entregaron atributos de las personas.", "No attributes of people were given.")
        return
    page.text(
        "Estos atributos no son variables del modelo; solo se leen para esta tabla. Si un grupo tiene observado entre "
        "esperado mayor que 1, la nota lo trata mejor de lo que paga; menor que 1, peor. La selección es la parte del "
        "grupo en el 10 % de notas más altas, y su razón la compara con el grupo más numeroso: difiere también cuando "
        "los grupos pagan distinto, así que léala junto a la tasa observada. Falsos negativos: eventos fuera de "
        "ese 10 %; "
        "falsos positivos: quienes pagan y están dentro.",
        "These attributes are no features of the model; they are read for this table alone. Where seen over "
        "expected is "
        "above 1, the score treats the group better than it pays; below 1, worse. Selection is the group's share among "
        "the 10 % highest scores, and its ratio compares it with the largest group: it differs too when groups pay "
        "differently, so read it beside the seen rate. False negatives: events outside that 10 %; false "
        "positives: those "
        "who pay and are inside.",
    )
    for attribute, rows in report.items():
        es, en = ATTRIBUTES[attribute]
        drawn = [_ratio_row(row) for row in rows if row["verdict"] != "few"]
        if drawn:
            page.picture(
                f"{es}: observado entre esperado",
                f"{en}: seen over expected",
                interval_chart(drawn),
                f"{sum(row[4] for row in drawn)} de {len(drawn)} grupos fuera de 1.",
                f"{sum(row[4] for row in drawn)} of {len(drawn)} groups off 1.",
            )
        page.table(
            [
                f"{es} / {en}",
                "Filas / Rows",
                "Nota media / Mean score",
                "Observado / Seen",
                "Razón / Ratio",
                "AUC",
                "ECE",
                "Selección / Selection",
                "Razón sel. / Sel. ratio",
                "Falsos neg. / False neg.",
                "Falsos pos. / False pos.",
            ],
            [
                [
                    NOT_RECORDED if row["value"] == "not_recorded" else row["value"],
                    cards.number(row["row_count"]),
                    _stacked(row["mean_probability"]),
                    _stacked(row["event_rate"]),
                    _stacked(row["ratio"], 2),
                    _stacked(row["auc"]),
                    _stacked(row["ece"]),
                    _stacked(row["selected_rate"]),
                    "referencia / reference" if row["is_reference"] else _stacked(row["selected_ratio"], 2),
                    _stacked(row["false_negative_rate"]),
                    _stacked(row["false_positive_rate"]),
                ]
                for row in rows
            ],
            [row["verdict"] in {"low", "high"} for row in rows],
        )


def _stacked(measure: Mapping[str, Any], digits: int = 3) -> str:
    """A value with its interval below it, for tables with many columns."""
    return cards.interval(dict(measure), digits).replace(" (", "\n(")
