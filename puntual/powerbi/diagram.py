"""Pictures of the model for its documentation, drawn from the same objects that ship: a matrix of facts and dimensions,
and one star. SVG by hand: no library, the same bytes every time.

``python -m puntual.powerbi.diagram`` writes them to ``docs/images``.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from puntual.paths import PROJECT_ROOT
from puntual.powerbi.captions import table_caption
from puntual.powerbi.checks import split_reference
from puntual.powerbi.model import SemanticModel, SourceSettings, build_model
from puntual.powerbi.semantics import load_semantics
from puntual.powerbi.star import is_dimension, star_tables
from puntual.powerbi.tmdl import Node

IMAGES = PROJECT_ROOT / "docs" / "images"
_INK, _PALE, _LINE, _FACT, _DIM, _PARTS = "#1B2A33", "#5C6B73", "#C9D3D9", "#E07A1F", "#1F5F8B", "#2E8B57"
_FONT = "font-family='Segoe UI, Helvetica, Arial, sans-serif'"


def images() -> dict[str, str]:
    """File name to SVG text."""
    model = build_model(star_tables(), load_semantics(), SourceSettings())
    return {"powerbi_matrix.svg": matrix(model), "powerbi_star.svg": star(model, "fct_interactions")}


def write_images(folder: Path = IMAGES) -> list[Path]:
    """Write the pictures and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in images().items():
        (folder / name).write_text(text, encoding="utf-8")
        paths.append(folder / name)
    return paths


def matrix(model: SemanticModel) -> str:
    """Facts down, dimensions across; a filled dot is an active relationship, a ring one that is not."""
    dots: dict[tuple[str, str], bool] = {}
    for node in model.relationships:
        fact, _ = split_reference(str(node.get("fromColumn")))
        dimension, _ = split_reference(str(node.get("toColumn")))
        dots[fact, dimension] = dots.get((fact, dimension), False) or node.get("isActive") is None
    rings = {
        (split_reference(str(node.get("fromColumn")))[0], split_reference(str(node.get("toColumn")))[0])
        for node in model.relationships
        if node.get("isActive") is not None
    }
    facts = [name for name in model.tables if any(fact == name for fact, _ in dots)]
    dimensions = [name for name in model.tables if is_dimension(name)]
    left, top, step, row = 300, 150, 66, 34
    width, height = left + step * len(dimensions) + 40, top + row * len(facts) + 56
    parts = [_open(width, height, "Hechos y dimensiones del modelo · Facts and dimensions of the model")]
    for at, dimension in enumerate(dimensions):
        x = left + step * at + step // 2
        caption = table_caption(dimension)
        parts.append(f"<line x1='{x}' y1='{top - 8}' x2='{x}' y2='{top + row * len(facts)}' stroke='{_LINE}'/>")
        parts.append(
            f"<g transform='translate({x + 4},{top - 16}) rotate(-38)'>"
            f"{_text(0, 0, caption.es, _DIM, 13, weight=600)}{_text(0, 14, dimension, _PALE, 10)}</g>"
        )
    for at, fact in enumerate(facts):
        y = top + row * at + row // 2
        color = _PARTS if fact.startswith("kpi_") else _FACT
        if at % 2 == 0:
            parts.append(f"<rect x='16' y='{y - row // 2}' width='{width - 32}' height='{row}' fill='#F4F7F9'/>")
        parts.append(_text(28, y - 1, table_caption(fact).es, color, 13, weight=600))
        parts.append(_text(28, y + 12, fact, _PALE, 10))
        for place, dimension in enumerate(dimensions):
            x = left + step * place + step // 2
            if dots.get((fact, dimension)):
                parts.append(f"<circle cx='{x}' cy='{y}' r='6' fill='{color}'/>")
            if (fact, dimension) in rings:
                parts.append(f"<circle cx='{x}' cy='{y}' r='10' fill='none' stroke='{color}' stroke-width='1.5'/>")
    foot = "● relación activa · active      ○ segunda fecha, inactiva · second date, inactive"
    parts.append(_text(28, height - 20, foot, _PALE, 11))
    return "\n".join([*parts, "</svg>"]) + "\n"


def star(model: SemanticModel, fact: str) -> str:
    """One fact in the middle with its keys and figures, its dimensions around it, each with its first columns."""
    ends = []
    for node in model.relationships:
        table, column = split_reference(str(node.get("fromColumn")))
        if table == fact:
            ends.append((column, split_reference(str(node.get("toColumn")))[0]))
    box, gap, middle = 230, 18, 300
    left, right = ends[: (len(ends) + 1) // 2], ends[(len(ends) + 1) // 2 :]
    tall = max(sum(_height(model.tables[table]) + gap for _, table in side) for side in (left, right))
    facts = _rows(model.tables[fact], 40)
    fact_height = 44 + 18 * len(facts)
    height, width = max(tall, fact_height) + 90, 1080
    parts = [_open(width, height, f"{table_caption(fact).es} · {table_caption(fact).en} ({fact})")]
    fact_x, fact_y = (width - middle) // 2, 60 + (height - 90 - fact_height) // 2
    ports = {name: fact_y + 44 + 18 * at + 5 for at, (name, _) in enumerate(facts)}
    boxes: list[str] = []
    for side, is_left in ((left, True), (right, False)):
        y = 60 + (height - 90 - sum(_height(model.tables[table]) + gap for _, table in side)) // 2
        for column, table in side:
            x = 30 if is_left else width - 30 - box
            edge, port = (x + box, fact_x) if is_left else (x, fact_x + middle)
            at, end = y + 22, ports[column]
            bend = (edge + port) // 2
            parts.append(
                f"<path d='M{edge} {at} C{bend} {at} {bend} {end} {port} {end}' fill='none' "
                f"stroke='{_PALE}' stroke-width='1.2'/>"
            )
            away = 10 if is_left else -10
            parts.append(_text(edge + away, at - 5, "1", _PALE, 11, anchor="start" if is_left else "end"))
            parts.append(_text(port - away, end - 5, "*", _PALE, 13, anchor="end" if is_left else "start"))
            boxes.append(_box(x, y, box, table, _rows(model.tables[table], 6), _DIM))
            y += _height(model.tables[table]) + gap
    boxes.append(_box(fact_x, fact_y, middle, fact, facts, _FACT))
    return "\n".join([*parts, *boxes, "</svg>"]) + "\n"


def _rows(table: Node, count: int) -> list[tuple[str, str]]:
    columns = table.of("column")
    shown = [(column.name or "", str(column.get("dataType"))) for column in columns[:count]]
    more = len(columns) - count
    return [*shown, (f"… {more} más · more", "")] if more > 0 else shown


def _height(table: Node) -> int:
    return 44 + 18 * len(_rows(table, 6))


def _box(x: int, y: int, width: int, table: str, rows: list[tuple[str, str]], color: str) -> str:
    height = 44 + 18 * len(rows)
    parts = [
        f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='6' fill='#FFFFFF' stroke='{color}'/>",
        f"<path d='M{x} {y + 34} v-28 a6 6 0 0 1 6 -6 h{width - 12} a6 6 0 0 1 6 6 v28 z' fill='{color}'/>",
        _text(x + 10, y + 22, f"{table_caption(table).es} · {table}", "#FFFFFF", 12, weight=600),
    ]
    for at, (name, kind) in enumerate(rows):
        line = y + 52 + 18 * at
        is_key = name.endswith("_key")
        parts.append(_text(x + 10, line, name, color if is_key else _INK, 11, weight=600 if is_key else 400))
        parts.append(_text(x + width - 10, line, kind, _PALE, 10, anchor="end"))
    return "\n".join(parts)


def _open(width: int, height: int, title: str) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' viewBox='0 0 {width} {height}' "
        f"role='img' aria-label='{escape(title)}' {_FONT}>\n"
        f"<rect width='{width}' height='{height}' fill='#FFFFFF'/>\n{_text(28, 34, title, _INK, 17, weight=600)}"
    )


def _text(x: int, y: int, text: str, color: str, size: int, *, weight: int = 400, anchor: str = "start") -> str:
    return (
        f"<text x='{x}' y='{y}' fill='{color}' font-size='{size}' font-weight='{weight}' text-anchor='{anchor}'>"
        f"{escape(text)}</text>"
    )


if __name__ == "__main__":
    write_images()
