"""The starter report in PBIR: four pages, every visual bound to a column or a measure that the model has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from puntual.powerbi.captions import column_caption
from puntual.powerbi.measures import Measure
from puntual.powerbi.model import MEASURES

_HOST = "https://developer.microsoft.com/json-schemas/fabric"
_DEFINITION = f"{_HOST}/item/report/definition"
# Older than the newest on purpose: Power BI Desktop opens older versions and refuses newer ones than its own.
SCHEMAS = {
    "report": f"{_DEFINITION}/report/3.0.0/schema.json",
    "pages": f"{_DEFINITION}/pagesMetadata/1.0.0/schema.json",
    "page": f"{_DEFINITION}/page/2.0.0/schema.json",
    "visual": f"{_DEFINITION}/visualContainer/2.0.0/schema.json",
    "version": f"{_DEFINITION}/versionMetadata/1.0.0/schema.json",
}
THEME = "Puntual"
_WIDTH, _HEIGHT, _MARGIN = 1280, 720, 16
_TITLE_HEIGHT, _SLICER_HEIGHT, _CARD_HEIGHT = 44, 68, 96


@dataclass(frozen=True)
class Field:
    """A column, or a measure when ``table`` is that of the measures."""

    table: str
    name: str

    @property
    def json(self) -> dict[str, Any]:
        """As the semantic query names it."""
        kind = "Measure" if self.table == MEASURES else "Column"
        return {kind: {"Expression": {"SourceRef": {"Entity": self.table}}, "Property": self.name}}


@dataclass(frozen=True)
class Visual:
    """A visual of a page: what it shows, by the roles of its type, and where it stands."""

    kind: str
    title: str
    roles: Mapping[str, Sequence[Field]]
    box: tuple[int, int, int, int]
    sort: tuple[Field, str] | None = None


@dataclass(frozen=True)
class Page:
    """A page of the report."""

    name: str
    title: str
    visuals: tuple[Visual, ...]


YEAR_MONTH = Field("dim_dates", "year_month")
MONTHS_AGO = Field("dim_dates", "months_ago")
BRANCH = Field("dim_branches", "branch_name")
PROVINCE = Field("dim_branches", "province")
PRODUCT = Field("dim_products", "label_es")
BUCKET = Field("dim_buckets", "label_es")
SEGMENT = Field("dim_segments", "label_es")
CHANNEL = Field("dim_channels", "label_es")
COLLECTOR = Field("dim_collectors", "collector_id")
TEAM = Field("dim_collectors", "team")


def build_pages(measures: Iterable[Measure]) -> list[Page]:
    """The four pages. A visual keeps the KPIs that are on; one that has none left is not drawn."""
    names = {measure.name.split()[0]: measure.name for measure in measures if not measure.is_base}

    def kpis(*codes: str) -> list[Field]:
        return [Field(MEASURES, names[code]) for code in codes if code in names]

    slicers = [YEAR_MONTH, BRANCH, PRODUCT]
    portfolio = _page(
        "cartera",
        "Cartera",
        slicers,
        kpis("K01", "K05", "K08_30", "K10", "K22", "K24"),
        [
            ("lineChart", "Cartera bruta por mes", {"Category": [YEAR_MONTH], "Y": kpis("K01")}),
            ("lineChart", "Morosidad y PAR 30 por mes", {"Category": [YEAR_MONTH], "Y": kpis("K05", "K08_30")}),
            ("clusteredBarChart", "Cartera bruta por agencia", {"Category": [BRANCH], "Y": kpis("K01")}),
            (
                "pivotTable",
                "Calidad por producto y agencia",
                {"Rows": [PRODUCT, BRANCH], "Values": kpis("K01", "K04", "K05", "K08_30", "K10")},
            ),
        ],
    )
    roll_from, roll_to = Field("fct_kpi", "detail_from"), Field("fct_kpi", "detail_to")
    arrears = _page(
        "mora",
        "Mora y transición",
        [*slicers, SEGMENT],
        kpis("K09_AMOUNT", "K08_1", "K08_30", "K08_90", "K14_STRICT", "K16"),
        [
            ("clusteredColumnChart", "Saldo por tramo de mora", {"Category": [BUCKET], "Y": kpis("K01")}),
            (
                "pivotTable",
                "Matriz de transición: de qué tramo a qué tramo",
                {"Rows": [roll_from], "Columns": [roll_to], "Values": kpis("K12")},
            ),
            ("lineChart", "Cura y recaída por mes", {"Category": [YEAR_MONTH], "Y": kpis("K14_STRICT", "K15", "K16")}),
            (
                "pivotTable",
                "PAR por agencia",
                {"Rows": [BRANCH], "Values": kpis("K08_1", "K08_30", "K08_60", "K08_90")},
            ),
        ],
    )
    management = _page(
        "gerencia",
        "Gerencia",
        slicers,
        kpis("K26", "K28", "K29", "K33", "K31", "K20"),
        [
            ("clusteredColumnChart", "Recuperación por mes", {"Category": [YEAR_MONTH], "Y": kpis("K26")}),
            ("lineChart", "Eficiencia por mes", {"Category": [YEAR_MONTH], "Y": kpis("K28", "K29")}),
            ("clusteredBarChart", "Contactos por canal", {"Category": [CHANNEL], "Y": kpis("K42", "K43")}),
            (
                "pivotTable",
                "Resultados por provincia y agencia",
                {"Rows": [PROVINCE, BRANCH], "Values": kpis("K26", "K28", "K05", "K46", "K47")},
            ),
        ],
    )
    collectors = _page(
        "gestores",
        "Gestores",
        [YEAR_MONTH, BRANCH, TEAM, CHANNEL],
        kpis("K54", "K42", "K43", "K45", "K46", "K47"),
        [
            ("clusteredBarChart", "Recuperado por gestor", {"Category": [COLLECTOR], "Y": kpis("K26")}),
            ("clusteredColumnChart", "Contacto por canal", {"Category": [CHANNEL], "Y": kpis("K42", "K43", "K45")}),
            ("lineChart", "Compromisos cumplidos por mes", {"Category": [YEAR_MONTH], "Y": kpis("K46", "K47")}),
            (
                "pivotTable",
                "Gestores: contacto, compromisos y dinero",
                {"Rows": [TEAM, COLLECTOR], "Values": kpis("K54", "K42", "K43", "K45", "K46", "K47", "K26", "K61")},
            ),
        ],
    )
    return [portfolio, arrears, management, collectors]


def _page(
    name: str,
    title: str,
    slicers: Sequence[Field],
    cards: Sequence[Field],
    charts: Sequence[tuple[str, str, dict[str, list[Field]]]],
) -> Page:
    """A row of slicers, a row of cards, and charts two by two below them; nothing overlaps or leaves the page."""
    visuals: list[Visual] = []
    inner = _WIDTH - 2 * _MARGIN
    top = _MARGIN + _TITLE_HEIGHT
    for at, field in enumerate(slicers):
        width = (inner - _MARGIN * (len(slicers) - 1)) // len(slicers)
        left = _MARGIN + at * (width + _MARGIN)
        visuals.append(
            Visual("slicer", column_caption(field.name).es, {"Values": [field]}, (left, top, width, _SLICER_HEIGHT))
        )
    top += _SLICER_HEIGHT + _MARGIN
    for at, field in enumerate(cards):
        width = (inner - _MARGIN * (len(cards) - 1)) // len(cards)
        left = _MARGIN + at * (width + _MARGIN)
        visuals.append(Visual("card", "", {"Values": [field]}, (left, top, width, _CARD_HEIGHT)))
    if cards:
        top += _CARD_HEIGHT + _MARGIN
    drawn = [(kind, text, roles) for kind, text, roles in charts if roles.get("Y", roles.get("Values"))]
    rows = (len(drawn) + 1) // 2
    height = (_HEIGHT - _MARGIN - top - _MARGIN * max(rows - 1, 0)) // max(rows, 1)
    for at, (kind, text, roles) in enumerate(drawn):
        alone = at == len(drawn) - 1 and at % 2 == 0
        width = inner if alone else (inner - _MARGIN) // 2
        left = _MARGIN + (at % 2) * (width + _MARGIN)
        box = (left, top + (at // 2) * (height + _MARGIN), width, height)
        visuals.append(Visual(kind, text, roles, box, _sort(roles)))
    return Page(name, title, tuple(visuals))


def _sort(roles: Mapping[str, Sequence[Field]]) -> tuple[Field, str] | None:
    category = roles.get("Category")
    if not category:
        return None
    by_size = category[0] in {BRANCH, COLLECTOR}
    return (roles["Y"][0], "Descending") if by_size else (category[0], "Ascending")


def report_files(pages: Sequence[Page], measures: Iterable[Measure], title: str) -> dict[str, dict[str, Any]]:
    """Path below the report's folder to JSON content.

    Args:
        pages: in the order of the report.
        measures: gives the Spanish captions that visuals show.
        title: name of the institution, at the head of each page.
    """
    captions = {measure.name: _short(measure.caption_es) for measure in measures}
    files: dict[str, dict[str, Any]] = {
        "definition/version.json": {"$schema": SCHEMAS["version"], "version": "2.0.0"},
        "definition/report.json": _report(),
        "definition/pages/pages.json": {
            "$schema": SCHEMAS["pages"],
            "pageOrder": [page.name for page in pages],
            "activePageName": pages[0].name,
        },
        f"StaticResources/RegisteredResources/{THEME}.json": _theme(),
    }
    for page in pages:
        folder = f"definition/pages/{page.name}"
        files[f"{folder}/page.json"] = {
            "$schema": SCHEMAS["page"],
            "name": page.name,
            "displayName": page.title,
            "displayOption": "FitToPage",
            "height": _HEIGHT,
            "width": _WIDTH,
            "visualInteractions": _interactions(page),
        }
        heading = _heading(f"{title} · {page.title}")
        files[f"{folder}/visuals/{page.name}_00/visual.json"] = _container(f"{page.name}_00", _TITLE_BOX, 0, heading)
        for at, visual in enumerate(page.visuals, start=1):
            name = f"{page.name}_{at:02d}"
            container = _container(name, visual.box, at, _visual(visual, captions))
            if visual.kind == "card":
                container["filterConfig"] = {"filters": [_this_month(name)]}
            files[f"{folder}/visuals/{name}/visual.json"] = container
    return files


def _interactions(page: Page) -> list[dict[str, Any]]:
    """Cards tell of the running month: the slicer of months leaves them alone."""
    names = {f"{page.name}_{at:02d}": visual for at, visual in enumerate(page.visuals, start=1)}
    months = [name for name, visual in names.items() if visual.roles.get("Values") == [YEAR_MONTH]]
    cards = [name for name, visual in names.items() if visual.kind == "card"]
    return [{"source": month, "target": card, "type": "NoFilter"} for month in months for card in cards]


def _this_month(visual: str) -> dict[str, Any]:
    column = {"Expression": {"SourceRef": {"Source": "d"}}, "Property": MONTHS_AGO.name}
    condition = {"In": {"Expressions": [{"Column": column}], "Values": [[{"Literal": {"Value": "0L"}}]]}}
    return {
        "name": f"{visual}_month",
        "field": MONTHS_AGO.json,
        "type": "Categorical",
        "filter": {
            "Version": 2,
            "From": [{"Name": "d", "Entity": MONTHS_AGO.table, "Type": 0}],
            "Where": [{"Condition": condition}],
        },
        "howCreated": "User",
    }


def _short(caption: str) -> str:
    """The caption without the code, which nobody reads on a card."""
    return caption.partition(" ")[2] or caption


_TITLE_BOX = (_MARGIN, _MARGIN, _WIDTH - 2 * _MARGIN, _TITLE_HEIGHT - _MARGIN // 2)


def _container(name: str, box: tuple[int, int, int, int], order: int, visual: dict[str, Any]) -> dict[str, Any]:
    left, top, width, height = box
    position = {"x": left, "y": top, "z": order * 1000, "height": height, "width": width, "tabOrder": order * 1000}
    return {"$schema": SCHEMAS["visual"], "name": name, "position": position, "visual": visual}


def _visual(visual: Visual, captions: Mapping[str, str]) -> dict[str, Any]:
    state = {
        role: {"projections": [_projection(field, captions, is_first=at == 0) for at, field in enumerate(fields)]}
        for role, fields in visual.roles.items()
    }
    query: dict[str, Any] = {"queryState": state}
    if visual.sort is not None:
        field, direction = visual.sort
        query["sortDefinition"] = {"sort": [{"field": field.json, "direction": direction}], "isDefaultSort": False}
    content: dict[str, Any] = {"visualType": visual.kind, "query": query, "drillFilterOtherVisuals": True}
    if visual.kind == "slicer":
        content["objects"] = {"data": [_properties(mode=_text("Dropdown"))], "header": [_properties(show=_bool(False))]}
    if visual.title:
        content["visualContainerObjects"] = {"title": [_properties(show=_bool(True), text=_text(visual.title))]}
    return content


def _projection(field: Field, captions: Mapping[str, str], *, is_first: bool) -> dict[str, Any]:
    shown = captions[field.name] if field.table == MEASURES else column_caption(field.name).es
    projection: dict[str, Any] = {
        "field": field.json,
        "queryRef": f"{field.table}.{field.name}",
        "nativeQueryRef": field.name,
        "displayName": shown,
    }
    if field.table != MEASURES and is_first:
        projection["active"] = True
    return projection


def _heading(text: str) -> dict[str, Any]:
    style = {"fontWeight": "bold", "fontSize": "18pt"}
    paragraphs = [{"textRuns": [{"value": text, "textStyle": style}]}]
    return {
        "visualType": "textbox",
        "objects": {"general": [{"properties": {"paragraphs": paragraphs}}]},
        "drillFilterOtherVisuals": True,
    }


def _report() -> dict[str, Any]:
    versions = {"visual": "2.0.0", "report": "3.0.0", "page": "2.0.0"}
    return {
        "$schema": SCHEMAS["report"],
        # No base theme: it would name a file of Power BI's own that we do not ship, and Desktop falls back to its own.
        "themeCollection": {
            "customTheme": {"name": f"{THEME}.json", "reportVersionAtImport": versions, "type": "RegisteredResources"},
        },
        "resourcePackages": [
            {
                "name": "RegisteredResources",
                "type": "RegisteredResources",
                "items": [{"name": f"{THEME}.json", "path": f"{THEME}.json", "type": "CustomTheme"}],
            }
        ],
        "settings": {
            "useStylableVisualContainerHeader": True,
            "exportDataMode": "AllowSummarized",
            "defaultDrillFilterOtherVisuals": True,
            "useEnhancedTooltips": True,
        },
    }


def _theme() -> dict[str, Any]:
    return {
        "name": THEME,
        "dataColors": ["#1F5F8B", "#E07A1F", "#2E8B57", "#B23A48", "#7A5BA6", "#5C6B73", "#C9A227", "#3AA6A0"],
        "background": "#FFFFFF",
        "foreground": "#1B2A33",
        "tableAccent": "#1F5F8B",
        "good": "#2E8B57",
        "neutral": "#C9A227",
        "bad": "#B23A48",
        "textClasses": {
            "title": {"fontFace": "Segoe UI Semibold", "fontSize": 12, "color": "#1B2A33"},
            "label": {"fontFace": "Segoe UI", "fontSize": 10, "color": "#3C4B54"},
            "callout": {"fontFace": "Segoe UI Semibold", "fontSize": 22, "color": "#1F5F8B"},
        },
        "visualStyles": {
            "*": {"*": {"border": [{"show": True, "color": {"solid": {"color": "#DCE3E8"}}, "radius": 6}]}},
        },
    }


def _properties(**values: dict[str, Any]) -> dict[str, Any]:
    return {"properties": values}


def _bool(value: bool) -> dict[str, Any]:
    return {"expr": {"Literal": {"Value": str(value).lower()}}}


def _text(value: str) -> dict[str, Any]:
    return {"expr": {"Literal": {"Value": "'" + value.replace("'", "''") + "'"}}}
