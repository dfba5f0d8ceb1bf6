"""What must hold of a finished project, whatever Microsoft's schemas say: names that exist, pages that are there.

The checks read the files as they ship, not the objects that they were written from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from puntual.powerbi.dax import ColumnRef, DaxError, MeasureRef, TableRef, parse, parts
from puntual.powerbi.model import SemanticModel
from puntual.powerbi.project import MODEL_FOLDER, NAME, REPORT_FOLDER
from puntual.powerbi.tmdl import Code, TmdlError, read

_VERSIONS = {
    f"{NAME}.pbip": "1.0",
    f"{NAME}.pbids": "0.1",
    f"{MODEL_FOLDER}/definition.pbism": "4.2",
    f"{REPORT_FOLDER}/definition.pbir": "4.0",
    f"{REPORT_FOLDER}/definition/version.json": "2.0.0",
}
_REQUIRED = {
    f"{NAME}.pbip": ("$schema", "version", "artifacts"),
    f"{NAME}.pbids": ("version", "connections"),
    f"{MODEL_FOLDER}/.platform": ("$schema", "metadata", "config"),
    f"{MODEL_FOLDER}/definition.pbism": ("$schema", "version"),
    f"{REPORT_FOLDER}/.platform": ("$schema", "metadata", "config"),
    f"{REPORT_FOLDER}/definition.pbir": ("$schema", "version", "datasetReference"),
    f"{REPORT_FOLDER}/definition/report.json": ("$schema", "themeCollection"),
    f"{REPORT_FOLDER}/definition/version.json": ("$schema", "version"),
    f"{REPORT_FOLDER}/definition/pages/pages.json": ("$schema", "pageOrder"),
}
_PAGES = f"{REPORT_FOLDER}/definition/pages/"
_MODEL = f"{MODEL_FOLDER}/definition/"
_PBIDS_PROTOCOLS = {"postgresql": {"server", "database"}, "folder": {"path"}}


def read_model(files: Mapping[str, str]) -> SemanticModel:
    """The semantic model read back from the project's TMDL.

    Raises:
        TmdlError: a file is not TMDL; its path is in the message.
    """
    found = {}
    for path, text in files.items():
        if path.startswith(_MODEL) and path.endswith(".tmdl"):
            try:
                found[path.removeprefix(_MODEL)] = read(text)
            except TmdlError as error:
                raise TmdlError(f"{path}: {error}") from error
    return SemanticModel(found)


def check_project(files: Mapping[str, str]) -> list[str]:
    """What is wrong with the project, one sentence each with its file; empty when all is well."""
    try:
        model = read_model(files)
    except TmdlError as error:
        return [str(error)]
    contents: dict[str, Any] = {}
    problems = []
    for path, text in files.items():
        if not path.endswith(".tmdl"):
            try:
                contents[path] = json.loads(text)
            except json.JSONDecodeError as error:
                problems.append(f"{path}: is not JSON: {error}")
    if problems:
        return problems
    return [
        *_check_required(contents),
        *_check_shortcuts(contents, files),
        *check_model(model),
        *_check_pages(contents),
        *_check_fields(contents, model),
    ]


def check_model(model: SemanticModel) -> list[str]:
    """Names of the model that lead nowhere, names used twice, and keys of the star that are not what they should be."""
    columns = {name: {column.name for column in table.of("column")} for name, table in model.tables.items()}
    return [
        *_check_model_file(model, set(columns)),
        *_check_names(model),
        *_check_relationships(model, columns),
        *_check_dax(model, columns),
        *_check_sources(model),
        *_check_words(model, columns),
    ]


def _check_required(contents: Mapping[str, Any]) -> Iterator[str]:
    for path, keys in _REQUIRED.items():
        if path not in contents:
            yield f"{path}: is absent"
            continue
        for key in keys:
            if key not in contents[path]:
                yield f"{path}: has no {key!r}"
        wanted = _VERSIONS.get(path)
        if wanted is not None and contents[path].get("version") != wanted:
            yield f"{path}: version is {contents[path].get('version')!r}, not {wanted!r}"


def _check_shortcuts(contents: Mapping[str, Any], files: Mapping[str, str]) -> Iterator[str]:
    for artifact in contents.get(f"{NAME}.pbip", {}).get("artifacts", []):
        path = artifact["report"]["path"]
        if f"{path}/definition.pbir" not in files:
            yield f"{NAME}.pbip: names the report {path!r}, which is not there"
    by_path = contents.get(f"{REPORT_FOLDER}/definition.pbir", {}).get("datasetReference", {}).get("byPath", {})
    if by_path.get("path") != f"../{MODEL_FOLDER}":
        yield f"{REPORT_FOLDER}/definition.pbir: names the model {by_path.get('path')!r}, which is not there"
    for connection in contents.get(f"{NAME}.pbids", {}).get("connections", []):
        details = connection["details"]
        wanted = _PBIDS_PROTOCOLS.get(details["protocol"])
        if wanted is None or set(details["address"]) != wanted:
            yield f"{NAME}.pbids: {details['protocol']!r} with {sorted(details['address'])} is no connection"
    report = contents.get(f"{REPORT_FOLDER}/definition/report.json", {})
    for package in report.get("resourcePackages", []):
        for item in package["items"]:
            path = f"{REPORT_FOLDER}/StaticResources/{package['name']}/{item['path']}"
            if path not in files:
                yield f"{REPORT_FOLDER}/definition/report.json: names {item['path']!r}, which is not there"


def _check_model_file(model: SemanticModel, tables: set[str]) -> Iterator[str]:
    for kind, found in (
        ("table", tables),
        ("role", {path.split("/")[1].removesuffix(".tmdl") for path in model.files if path.startswith("roles/")}),
        (
            "cultureInfo",
            {path.split("/")[1].removesuffix(".tmdl") for path in model.files if path.startswith("cultures/")},
        ),
    ):
        named = [
            node.name or "" for node in model.files.get("model.tmdl", []) if node.is_reference and node.kind == kind
        ]
        for name in sorted(found.symmetric_difference(named), key=str):
            yield f"model.tmdl: {kind} {name!r} is named without a file, or has a file and is not named"
    for path, nodes in model.files.items():
        if path.startswith("tables/") and [node.name for node in nodes] != [path[7:].removesuffix(".tmdl")]:
            yield f"{path}: holds {[node.name for node in nodes]}"


def _check_names(model: SemanticModel) -> Iterator[str]:
    seen: set[str] = set()
    tags: set[str] = set()
    for table in model.tables.values():
        # Measures share one space of names in the whole model, and with the columns of their own table.
        own = [column.name or "" for column in table.of("column")]
        for name in [*own, *[measure.name or "" for measure in table.of("measure")]]:
            if own.count(name) > 1:
                yield f"{table.name}: column {name!r} is there twice"
        for measure in table.of("measure"):
            if (measure.name or "").lower() in seen or (measure.name in own):
                yield f"{table.name}: the name of measure {measure.name!r} is taken"
            seen.add((measure.name or "").lower())
        for node in [table, *table.of("column"), *table.of("measure")]:
            tag = str(node.get("lineageTag"))
            if tag in tags or not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", tag):
                yield f"{table.name}: {node.kind} {node.name!r} has the lineage tag {tag!r}, taken or no GUID"
            tags.add(tag)
        names = {column.name for column in table.of("column")}
        for column in table.of("column"):
            if column.get("sortByColumn") not in {None, *names}:
                yield f"{table.name}: {column.name!r} is sorted by {column.get('sortByColumn')!r}, which is not there"
        for hierarchy in table.of("hierarchy"):
            for level in hierarchy.of("level"):
                if level.get("column") not in names:
                    yield f"{table.name}: level {level.name!r} is of {level.get('column')!r}, which is not there"


def split_reference(text: str) -> tuple[str, str]:
    """Table and column of ``table.column`` as TMDL writes it."""
    match = re.fullmatch(r"('(?:[^']|'')*'|[^.']+)\.('(?:[^']|'')*'|[^.']+)", text)
    if match is None:
        return "", text
    table, column = (part[1:-1].replace("''", "'") if part.startswith("'") else part for part in match.groups())
    return table, column


def _check_relationships(model: SemanticModel, columns: Mapping[str, set[str | None]]) -> Iterator[str]:
    paths: dict[tuple[str, str], int] = {}
    kinds = {
        (name, column.name): column.get("dataType")
        for name, table in model.tables.items()
        for column in table.of("column")
    }
    for node in model.relationships:
        ends = [split_reference(str(node.get(name))) for name in ("fromColumn", "toColumn")]
        missing = [end for end in ends if end[1] not in columns.get(end[0], set())]
        if missing:
            yield f"relationships.tmdl: {node.name} ends at {missing}, which is not there"
            continue
        if kinds[ends[0]] != kinds[ends[1]]:
            yield f"relationships.tmdl: {ends} are of different types"
        if node.get("crossFilteringBehavior") not in {None, "oneDirection"}:
            yield f"relationships.tmdl: {ends} filters in both directions"
        if not ends[1][0].startswith("dim_") or ends[0][0].startswith("dim_"):
            yield f"relationships.tmdl: {ends} is not from a fact to a dimension"
        if node.get("isActive") is None:
            pair = (ends[0][0], ends[1][0])
            paths[pair] = paths.get(pair, 0) + 1
    for (fact, dimension), count in paths.items():
        if count > 1:
            yield f"relationships.tmdl: {count} active paths from {fact} to {dimension}"


def expressions(model: SemanticModel) -> Iterator[tuple[str, str]]:
    """Where a DAX expression stands, and its text: measures and the rows that roles let through."""
    for name, text in model.measures.items():
        yield f"measure {name!r}", text
    for path, nodes in model.files.items():
        for role in nodes:
            for permission in role.of("tablePermission") if role.kind == "role" else []:
                yield f"{path}, {permission.name}", permission.expression or ""


def _check_dax(model: SemanticModel, columns: Mapping[str, set[str | None]]) -> Iterator[str]:
    measures = set(model.measures)
    for place, text in expressions(model):
        try:
            found = parts(parse(text))
        except DaxError as error:
            yield f"{place}: {error}"
            continue
        for part in found:
            if isinstance(part, TableRef) and part.table not in columns:
                yield f"{place}: there is no table {part.table!r}"
            if isinstance(part, ColumnRef) and part.column not in columns.get(part.table, set()):
                yield f"{place}: there is no column {part.table}[{part.column}]"
            if isinstance(part, MeasureRef) and part.name not in measures:
                yield f"{place}: there is no measure [{part.name}]"
    for path, nodes in model.files.items():
        for role in nodes:
            for permission in role.of("tablePermission") if role.kind == "role" else []:
                if permission.name not in columns:
                    yield f"{path}: there is no table {permission.name!r}"


_M_PAIRS = {")": "(", "]": "[", "}": "{"}


def unbalanced(code: str) -> str | None:
    """The first bracket or quote of an M text that does not close; None when all do."""
    open_ones: list[str] = []
    rest = re.sub(r'"(?:[^"]|"")*"', "", code)
    for sign in rest:
        if sign in "([{":
            open_ones.append(sign)
        elif sign in _M_PAIRS and (not open_ones or open_ones.pop() != _M_PAIRS[sign]):
            return sign
    return '"' if '"' in rest else (open_ones[-1] if open_ones else None)


def _check_sources(model: SemanticModel) -> Iterator[str]:
    parameters = {node.name for node in model.files.get("expressions.tmdl", [])}
    for wanted in ("Source", "ParquetFolder", "PostgresServer", "PostgresDatabase", "BranchAccess"):
        if wanted not in parameters:
            yield f"expressions.tmdl: the parameter {wanted!r} is not there"
    for table in model.tables.values():
        partitions = table.of("partition")
        if len(partitions) != 1:
            yield f"{table.name}: has {len(partitions)} partitions"
            continue
        source = partitions[0].get("source")
        code = source.text if isinstance(source, Code) else ""
        sign = unbalanced(code)
        if sign is not None or not code.startswith("let\n"):
            yield f"{table.name}: the source does not read as M (near {sign!r})"
        for column in table.of("column"):
            name = str(column.get("sourceColumn"))
            if f'"{name}"' not in code and f"{name} = text" not in code:
                yield f"{table.name}: the source does not give the column {name!r}"


def _check_words(model: SemanticModel, columns: Mapping[str, set[str | None]]) -> Iterator[str]:
    """Every translation is of something that is there; everything that is seen has a caption in each language."""
    for path, nodes in model.files.items():
        if not path.startswith("cultures/"):
            continue
        translated = nodes[0].of("translations")[0].of("model")[0].of("table")
        said = {table.name: table for table in translated}
        for name in said.keys() - columns.keys():
            yield f"{path}: translates the table {name!r}, which is not there"
        for name, table in model.tables.items():
            if name not in said:
                yield f"{path}: has no words for the table {name!r}"
                continue
            for kind in ("column", "measure"):
                there = {node.name: node for node in table.of(kind)}
                words = {node.name: node for node in said[name].of(kind)}
                for extra in words.keys() - there.keys():
                    yield f"{path}: translates {kind} {name}.{extra}, which is not there"
                for node_name, node in there.items():
                    if node.get("isHidden") is not True and node_name not in words:
                        yield f"{path}: has no words for {kind} {name}.{node_name}"


def _check_pages(contents: Mapping[str, Any]) -> Iterator[str]:
    order = contents.get(f"{_PAGES}pages.json", {}).get("pageOrder", [])
    folders = {path.removeprefix(_PAGES).split("/")[0] for path in contents if path.startswith(_PAGES)} - {"pages.json"}
    if sorted(order) != sorted(folders):
        yield f"{_PAGES}pages.json: orders {sorted(order)}, there are {sorted(folders)}"
    active = contents.get(f"{_PAGES}pages.json", {}).get("activePageName")
    if active not in order:
        yield f"{_PAGES}pages.json: opens {active!r}, which is not a page"
    for folder in sorted(folders):
        page = contents.get(f"{_PAGES}{folder}/page.json")
        if page is None or page["name"] != folder:
            yield f"{_PAGES}{folder}: has no page.json of its own name"
            continue
        prefix = f"{_PAGES}{folder}/visuals/"
        visuals = {
            path.removeprefix(prefix).split("/")[0]: body for path, body in contents.items() if path.startswith(prefix)
        }
        for name, visual in visuals.items():
            if visual["name"] != name:
                yield f"{prefix}{name}: is named {visual['name']!r} inside"
        for interaction in page.get("visualInteractions", []):
            for end in ("source", "target"):
                if interaction[end] not in visuals:
                    yield f"{_PAGES}{folder}/page.json: an interaction names {interaction[end]!r}, which is not there"
        yield from _check_boxes(folder, page, visuals)


def _check_boxes(folder: str, page: Mapping[str, Any], visuals: Mapping[str, Any]) -> Iterator[str]:
    boxes = {}
    for name, visual in visuals.items():
        at = visual["position"]
        boxes[name] = (at["x"], at["y"], at["x"] + at["width"], at["y"] + at["height"])
        left, top, right, bottom = boxes[name]
        if (
            left < 0
            or top < 0
            or right > page["width"]
            or bottom > page["height"]
            or at["width"] <= 0
            or at["height"] <= 0
        ):
            yield f"{folder}: {name} leaves the page"
    names = sorted(boxes)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            a, b = boxes[one], boxes[other]
            if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]:
                yield f"{folder}: {one} and {other} overlap"


def _check_fields(contents: Mapping[str, Any], model: SemanticModel) -> Iterator[str]:
    """Every field that a visual, a sort or a filter names is a column or a measure of the model."""
    columns = {name: {column.name for column in table.of("column")} for name, table in model.tables.items()}
    measures = {name: {measure.name for measure in table.of("measure")} for name, table in model.tables.items()}
    for path, content in contents.items():
        if not path.startswith(_PAGES):
            continue
        for kind, entity, name in bound_fields(content):
            known = (columns if kind == "Column" else measures).get(entity, set())
            if name not in known:
                yield f"{path}: {kind.lower()} {entity}[{name}] is not in the model"


def bound_fields(content: Any, aliases: Mapping[str, str] | None = None) -> Iterator[tuple[str, str, str]]:
    """Kind (Column, Measure), table and name of every field inside a JSON content."""
    if isinstance(content, list):
        for part in content:
            yield from bound_fields(part, aliases)
    if not isinstance(content, dict):
        return
    if "From" in content:
        aliases = {source["Name"]: source["Entity"] for source in content["From"]}
    for key, value in content.items():
        if key in {"Column", "Measure"} and isinstance(value, dict):
            source = value["Expression"]["SourceRef"]
            entity = source.get("Entity") or (aliases or {}).get(source.get("Source", ""), "")
            yield key, entity, value["Property"]
        else:
            yield from bound_fields(value, aliases)
