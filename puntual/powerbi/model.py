"""The semantic model as a tree of TMDL objects: tables and keys of the star, measures, roles, captions."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from puntual.powerbi.captions import column_caption, table_caption
from puntual.powerbi.dax import column_text, literal_text, table_text
from puntual.powerbi.measures import DATE_TABLE, Measure, all_measures
from puntual.powerbi.semantics import Semantics
from puntual.powerbi.star import Reference, is_dimension, references
from puntual.powerbi.tmdl import Code, Node, Value, quoted
from puntual.warehouse.catalog import ColumnSpec, TableSpec

COMPATIBILITY = "1600"
MEASURES = "measures"
ACCESS = "branch_access"
CULTURES = ("en-US", "es-EC")
BRANCH_KEY = "branch_key"
_NAMESPACE = uuid.UUID("6f0b1c1e-6d0e-5d5e-9d0a-7f9a52a9c0de")

_TYPES = {
    "bigint": ("int64", "Int64.Type"),
    "text": ("string", "type text"),
    "date": ("dateTime", "type date"),
    "timestamp": ("dateTime", "type datetime"),
    "boolean": ("boolean", "type logical"),
    "numeric": ("decimal", "Currency.Type"),
    "double precision": ("double", "type number"),
}


def _type(column: ColumnSpec) -> tuple[str, str]:
    """Type of the model and of M. An exact number has four decimals in Power BI, which is all that ours have."""
    return _TYPES[column.data_type.split("(")[0]]


# A text or a number of a dimension that reads in the order of another column.
_SORTED_BY = {
    ("dim_dates", "month_name_es"): "month",
    ("dim_dates", "month_name_en"): "month",
    ("dim_dates", "weekday_name_es"): "weekday",
    ("dim_dates", "weekday_name_en"): "weekday",
    ("dim_buckets", "bucket_code"): "bucket_rank",
    ("dim_buckets", "label_es"): "bucket_rank",
    ("dim_buckets", "label_en"): "bucket_rank",
    ("dim_segments", "segment_code"): "segment_rank",
    ("dim_segments", "label_es"): "segment_rank",
    ("dim_segments", "label_en"): "segment_rank",
    ("dim_channels", "label_es"): "rank",
    ("dim_channels", "label_en"): "rank",
}


@dataclass(frozen=True)
class SourceSettings:
    """Where Power BI reads from, as the defaults of the model's parameters.

    Attributes:
        source: ``parquet`` or ``postgres``.
        folder: the snapshot's ``bi`` folder as Power BI Desktop sees it.
        server, database: of PostgreSQL; a port goes behind a colon.
        access: users and their branches, ``user@x=B1|B2;boss@x=*``.
    """

    source: str = "parquet"
    folder: str = "C:\\puntual\\bi"
    server: str = "localhost:5432"
    database: str = "puntual"
    access: str = ""


@dataclass(frozen=True)
class SemanticModel:
    """The model by file: path below ``definition/`` to the objects in it."""

    files: Mapping[str, list[Node]]

    @property
    def tables(self) -> dict[str, Node]:
        """Tables by name."""
        return {node.name or "": node for nodes in self.files.values() for node in nodes if node.kind == "table"}

    @property
    def measures(self) -> dict[str, str]:
        """DAX of every measure by its name."""
        return {
            measure.name or "": measure.expression or ""
            for table in self.tables.values()
            for measure in table.of("measure")
        }

    @property
    def relationships(self) -> list[Node]:
        """Every relationship."""
        return [node for nodes in self.files.values() for node in nodes if node.kind == "relationship"]


def build_model(tables: Mapping[str, TableSpec], semantics: Semantics, source: SourceSettings) -> SemanticModel:
    """The whole model of the star; the same inputs give the same objects in the same order."""
    found = references(tables)
    measures = all_measures(semantics)
    all_tables = {
        **{name: _star_table(table, found) for name, table in tables.items()},
        MEASURES: _measures_table(measures),
        ACCESS: _access_table(),
    }
    files: dict[str, list[Node]] = {
        "database.tmdl": [Node("database", properties=(("compatibilityLevel", COMPATIBILITY),))],
        "model.tmdl": _model_file(all_tables),
        "expressions.tmdl": _expressions(source),
        "relationships.tmdl": [_relationship(reference) for reference in found],
    }
    files |= {f"tables/{name}.tmdl": [table] for name, table in all_tables.items()}
    files |= {f"roles/{role.name}.tmdl": [role] for role in _roles(tables, found)}
    for culture in CULTURES:
        files[f"cultures/{culture}.tmdl"] = [_culture(culture, all_tables, measures)]
    return SemanticModel(files)


def tag(*path: str) -> str:
    """An identifier that is the same for the same object in every project that we write."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(path)))


def reference_text(table: str, column: str) -> str:
    """A column as TMDL names it."""
    return f"{quoted(table)}.{quoted(column)}"


def _model_file(tables: Iterable[str]) -> list[Node]:
    access = Node("dataAccessOptions", properties=(("legacyRedirects", True), ("returnErrorValuesAsNull", True)))
    model = Node(
        "model",
        "Model",
        properties=(
            ("culture", "en-US"),
            ("defaultPowerBIDataSourceVersion", "powerBI_V3"),
            ("discourageImplicitMeasures", True),
            ("sourceQueryCulture", "en-US"),
        ),
        children=(access,),
    )
    notes = [
        Node("annotation", "__PBI_TimeIntelligenceEnabled", "0"),
        Node("annotation", "PBI_ProTooling", '["DevMode"]'),
    ]
    named = [Node("table", name, is_reference=True) for name in tables]
    roles = [Node("role", name, is_reference=True) for name in (DYNAMIC_ROLE, STATIC_ROLE)]
    return [model, *notes, *named, *roles, *[Node("cultureInfo", culture, is_reference=True) for culture in CULTURES]]


def _star_table(table: TableSpec, found: list[Reference]) -> Node:
    keys = {(reference.table, reference.column) for reference in found}
    columns = [_column(table, column, is_key=(table.name, column.name) in keys) for column in table.columns]
    children = [*columns]
    if table.name == DATE_TABLE:
        children.append(_calendar())
    children.append(_partition(table))
    properties: list[tuple[str, Value]] = []
    if table.name.startswith("kpi_"):
        properties.append(("isHidden", True))
    properties.append(("lineageTag", tag(table.name)))
    if table.name == DATE_TABLE:
        properties.append(("dataCategory", "Time"))
    return Node("table", table.name, None, table.description, tuple(properties), tuple(children))


def _column(table: TableSpec, column: ColumnSpec, *, is_key: bool) -> Node:
    kind = _type(column)[0]
    properties: list[tuple[str, Value]] = [("dataType", kind)]
    is_own_key = is_dimension(table.name) and column == table.columns[0]
    if table.name == DATE_TABLE and column.name == "date":
        properties.append(("isKey", True))
    if is_key or is_own_key or column.name.endswith("_key") or table.name.startswith("kpi_"):
        properties.append(("isHidden", True))
    if column.data_type == "date":
        properties.append(("formatString", "yyyy-mm-dd"))
    elif column.data_type == "timestamp":
        properties.append(("formatString", "yyyy-mm-dd hh:nn"))
    elif column.data_type.startswith("numeric"):
        properties.append(("formatString", "#,0.00"))
    elif column.data_type == "bigint":
        properties.append(("formatString", "0"))
    properties.append(("lineageTag", tag(table.name, column.name)))
    if column.name in {"latitude", "longitude"}:
        properties.append(("dataCategory", column.name.capitalize()))
    if column.name == "province":
        properties.append(("dataCategory", "StateOrProvince"))
    # Nothing is added up behind anybody's back: what may be summed is a measure.
    properties += [("summarizeBy", "none"), ("sourceColumn", column.name)]
    if (table.name, column.name) in _SORTED_BY:
        properties.append(("sortByColumn", _SORTED_BY[table.name, column.name]))
    children = [Node("annotation", "SummarizationSetBy", "User")]
    if column.data_type == "date":
        children.append(Node("annotation", "UnderlyingDateTimeDataType", "Date"))
    return Node("column", column.name, None, column.description, tuple(properties), tuple(children))


def _calendar() -> Node:
    levels = [("Year", "year"), ("Quarter", "quarter"), ("Month", "year_month"), ("Day", "date")]
    return Node(
        "hierarchy",
        "Calendar",
        properties=(("lineageTag", tag(DATE_TABLE, "Calendar")),),
        children=tuple(
            Node(
                "level",
                name,
                properties=(("lineageTag", tag(DATE_TABLE, "Calendar", name)), ("column", column)),
            )
            for name, column in levels
        ),
    )


def _partition(table: TableSpec) -> Node:
    types = ",\n".join(f'            {{"{column.name}", {_type(column)[1]}}}' for column in table.columns)
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    # Columns are chosen by name: one that is added to the star does not disturb a report that does not know it.
    source = "\n".join(
        [
            "let",
            '    Data = if Source = "postgres"',
            "        then PostgreSQL.Database(PostgresServer, PostgresDatabase)"
            f'{{[Schema = "bi", Item = "{table.name}"]}}[Data]',
            f'        else Parquet.Document(File.Contents(ParquetFolder & "\\{table.name}.parquet")),',
            f"    Chosen = Table.SelectColumns(Data, {{{names}}}),",
            "    Typed = Table.TransformColumnTypes(",
            "        Chosen,",
            "        {",
            types,
            "        }",
            "    )",
            "in",
            "    Typed",
        ]
    )
    return Node("partition", table.name, "m", properties=(("mode", "import"), ("source", Code(source))))


def _measures_table(measures: list[Measure]) -> Node:
    children = [
        Node(
            "measure",
            measure.name,
            measure.expression,
            " ".join(measure.description_en.split()) or None,
            (
                ("formatString", measure.format),
                ("displayFolder", measure.folder_en),
                ("lineageTag", tag(MEASURES, "measure", measure.name.split()[0])),
            ),
        )
        for measure in measures
    ]
    empty = Node(
        "column",
        "none",
        properties=(
            ("dataType", "string"),
            ("isHidden", True),
            ("lineageTag", tag(MEASURES, "none")),
            ("summarizeBy", "none"),
            ("sourceColumn", "none"),
        ),
    )
    partition = Node(
        "partition",
        MEASURES,
        "m",
        properties=(
            ("mode", "import"),
            ("source", Code("let\n    Empty = #table(type table [none = text], {})\nin\n    Empty")),
        ),
    )
    return Node(
        "table",
        MEASURES,
        None,
        "Every measure, by family of KPIs. It has no rows.",
        (("lineageTag", tag(MEASURES)),),
        (*children, empty, partition),
    )


def _access_table() -> Node:
    source = "\n".join(
        [
            "let",
            '    Users = List.Select(Text.Split(BranchAccess, ";"), each Text.Contains(_, "=")),',
            "    Rows = List.Combine(List.Transform(Users, (user) => List.Transform(",
            '        Text.Split(Text.AfterDelimiter(user, "="), "|"),',
            '        (branch) => {Text.Lower(Text.Trim(Text.BeforeDelimiter(user, "="))), Text.Trim(branch)}',
            "    ))),",
            "    Access = #table(type table [user_principal_name = text, branch_id = text], Rows)",
            "in",
            "    Access",
        ]
    )
    columns = [
        Node(
            "column",
            name,
            None,
            description,
            (
                ("dataType", "string"),
                ("lineageTag", tag(ACCESS, name)),
                ("summarizeBy", "none"),
                ("sourceColumn", name),
            ),
        )
        for name, description in (
            ("user_principal_name", "Account of the user, in lower case."),
            ("branch_id", "Branch that the user may see; * is every branch."),
        )
    ]
    partition = Node("partition", ACCESS, "m", properties=(("mode", "import"), ("source", Code(source))))
    return Node(
        "table",
        ACCESS,
        None,
        "Who may see which branch, from the parameter BranchAccess. One row per user and branch.",
        (("isHidden", True), ("lineageTag", tag(ACCESS))),
        (*columns, partition),
    )


def _expressions(source: SourceSettings) -> list[Node]:
    def text(value: str) -> str:
        return '"' + value.replace('"', '""') + '"'

    parameters = [
        ("Source", source.source, "Where the data comes from: parquet or postgres.", ', List={"parquet", "postgres"}'),
        (
            "ParquetFolder",
            source.folder,
            "Folder with the Parquet files of the published day (bi), without a final \\.",
            "",
        ),
        ("PostgresServer", source.server, "Server of PostgreSQL; a port goes behind a colon.", ""),
        ("PostgresDatabase", source.database, "Database of PostgreSQL; the schema is bi.", ""),
        ("BranchAccess", source.access, "Who sees which branch: user@x=B1|B2;boss@x=* (used by the dynamic role).", ""),
    ]
    return [
        Node(
            "expression",
            name,
            f'{text(value)} meta [IsParameterQuery=true, Type="Text"{choices}, '
            f"IsParameterQueryRequired={str(bool(value)).lower()}]",
            about,
            (("lineageTag", tag("expression", name)),),
            (Node("annotation", "PBI_ResultType", "Text"),),
        )
        for name, value, about, choices in parameters
    ]


def _relationship(reference: Reference) -> Node:
    name = tag("relationship", reference.table, reference.column)
    properties: list[tuple[str, Value]] = []
    if not reference.is_active:
        properties.append(("isActive", "false"))
    properties += [
        ("fromColumn", reference_text(reference.table, reference.column)),
        ("toColumn", reference_text(reference.dimension, reference.dimension_column)),
    ]
    return Node("relationship", name, properties=tuple(properties))


DYNAMIC_ROLE = "branch_by_user"
STATIC_ROLE = "branch_template"
TEMPLATE_BRANCH = "BRANCH-CODE"


def _roles(tables: Mapping[str, TableSpec], found: list[Reference]) -> list[Node]:
    users = column_text(ACCESS, "user_principal_name")
    branches = column_text(ACCESS, "branch_id")
    mine = f"FILTER({table_text(ACCESS)}, {users} = LOWER(USERPRINCIPALNAME()))"
    allowed = f'SELECTCOLUMNS({mine}, "branch", {branches})'
    everything = f'"*" IN {allowed}'
    own_row = f"{users} = LOWER(USERPRINCIPALNAME())"
    dynamic = _role(
        DYNAMIC_ROLE,
        "Each user sees the branches that the parameter BranchAccess gives them, and nothing without one.",
        tables,
        found,
        lambda column: f"{everything} || {column} IN {allowed}",
        own_row,
        everything,
    )
    static = _role(
        STATIC_ROLE,
        f"Template of a role of one branch: copy it and put the branch's code in place of {TEMPLATE_BRANCH}.",
        tables,
        found,
        lambda column: f"{column} = {literal_text(TEMPLATE_BRANCH)}",
        "FALSE()",
        "FALSE()",
    )
    return [dynamic, static]


def _role(
    name: str,
    description: str,
    tables: Mapping[str, TableSpec],
    found: list[Reference],
    allows: Callable[[str], str],
    access_row: str,
    no_branch: str,
) -> Node:
    """A role that lets only rows of some branches through.

    Facts follow from ``dim_branches`` by their key; one without a branch is closed to whoever sees only some. Loans are
    seen with their branch; members with theirs, or with a loan in it.
    """
    loan_branch, loan_key = column_text("dim_loans", "branch_id"), column_text("dim_loans", "loan_key")
    loan_customer = column_text("dim_loans", "customer_key")
    customer_key = column_text("dim_customers", "customer_key")
    permissions = {
        "dim_branches": allows(column_text("dim_branches", "branch_id")),
        "dim_loans": f"{loan_key} = -1 || {allows(loan_branch)}",
        "dim_customers": "\n".join(
            [
                f"{customer_key} = -1",
                f"    || {allows(column_text('dim_customers', 'branch_id'))}",
                f"    || {customer_key} IN SELECTCOLUMNS(",
                f'        FILTER({table_text("dim_loans")}, {allows(loan_branch)}), "customer", {loan_customer}',
                "    )",
            ]
        ),
        ACCESS: access_row,
    }
    with_branch = {reference.table for reference in found if reference.column == BRANCH_KEY}
    for table in tables:
        if not is_dimension(table) and table not in with_branch:
            permissions[table] = no_branch
    return Node(
        "role",
        name,
        None,
        description,
        (("modelPermission", "read"),),
        tuple(Node("tablePermission", table, dax) for table, dax in permissions.items()),
    )


def _culture(culture: str, tables: Mapping[str, Node], measures: list[Measure]) -> Node:
    is_spanish = culture.startswith("es")
    by_name = {measure.name: measure for measure in measures}
    translated = []
    for name, table in tables.items():
        caption = table_caption(name)
        properties: list[tuple[str, Value]] = [("caption", caption.es if is_spanish else caption.en)]
        about = caption.about_es if is_spanish else table.description
        if about:
            properties.append(("description", about))
        children = [
            Node("column", column.name, properties=(("caption", _word(column.name or "", is_spanish)),))
            for column in table.of("column")
            if column.get("isHidden") is not True
        ]
        children += [_calendar_words(child, is_spanish) for child in table.of("hierarchy")]
        for child in table.of("measure"):
            measure = by_name[child.name or ""]
            words: list[tuple[str, Value]] = [("caption", measure.caption_es if is_spanish else measure.caption_en)]
            about = " ".join((measure.description_es if is_spanish else measure.description_en).split())
            if about:
                words.append(("description", about))
            words.append(("displayFolder", measure.folder_es if is_spanish else measure.folder_en))
            children.append(Node("measure", measure.name, properties=tuple(words)))
        translated.append(Node("table", name, properties=tuple(properties), children=tuple(children)))
    model = Node("model", "Model", children=tuple(translated))
    return Node("cultureInfo", culture, children=(Node("translations", children=(model,)),))


def _word(column: str, is_spanish: bool) -> str:
    caption = column_caption(column)
    return caption.es if is_spanish else caption.en


def _calendar_words(hierarchy: Node, is_spanish: bool) -> Node:
    words = {"Calendar": "Calendario", "Year": "Año", "Quarter": "Trimestre", "Month": "Mes", "Day": "Día"}

    def caption(node: Node) -> tuple[tuple[str, Value], ...]:
        return (("caption", words[node.name or ""] if is_spanish else node.name or ""),)

    levels = tuple(Node("level", level.name, properties=caption(level)) for level in hierarchy.of("level"))
    return Node("hierarchy", hierarchy.name, properties=caption(hierarchy), children=levels)
