"""A condition that a person typed, proved to be one condition on the exported columns and nothing more.

DuckDB's own parser reads it, so what is checked is what would run. Three fences stand one behind the other: the text
must be exactly one WHERE expression; the expression may only hold columns, constants, comparisons and a short list of
functions that look at nothing but their arguments; and it runs on a connection that can open no other file.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb

from puntual.errors import UsageError

MOST_CHARACTERS = 4_000
_TARGET = "exported"
_PREFIX = f"SELECT 1 FROM {_TARGET} WHERE "

_CLASSES = {"BETWEEN", "CASE", "CAST", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "OPERATOR"}
# Functions of their arguments alone: no clock, no random number, no file, no setting, none that makes long texts of
# short ones; so the same export of the same snapshot has the same rows.
_OPERATORS = frozenset({"+", "-", "*", "/", "//", "%", "||", "~~", "!~~", "~~*", "!~~*"})
FUNCTIONS = frozenset(
    {
        "abs", "ceil", "ceiling", "coalesce", "concat", "contains", "date_diff", "date_part", "date_trunc",
        "datediff", "day", "dayofweek", "dayofyear", "ends_with", "floor", "greatest", "ifnull", "ilike_escape",
        "isfinite", "isnan", "isodow", "last_day", "least", "left", "length", "like_escape", "list_contains",
        "list_value", "lower", "ltrim", "make_date", "month", "not_ilike_escape", "not_like_escape", "nullif",
        "prefix", "quarter", "regexp_full_match", "regexp_matches", "right", "round", "rtrim", "sign",
        "starts_with", "strip_accents", "substr", "substring", "suffix", "to_days", "to_months", "to_weeks",
        "to_years", "trim", "trunc", "upper", "week", "year",
    }
)  # fmt: skip
_WORDS = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "STAR": "a star",
    "LAMBDA": "an arrow",
    "PARAMETER": "a parameter",
    "POSITIONAL_REFERENCE": "a column by its position",
    "COLLATE": "a collation",
}


def checked_predicate(text: str, columns: Sequence[str], *, option: str = "--where") -> str:
    """The condition as DuckDB writes it back: no comment, no second statement, every column one of ``columns``.

    ``option`` is where the text stands: what an error begins with.

    >>> checked_predicate("past_due_days > 30 and branch_id = 'B1' -- mine", ["past_due_days", "branch_id"])
    "((past_due_days > 30) AND (branch_id = 'B1'))"

    Raises:
        UsageError: it is no condition, names an unknown column, or holds something that a condition may not.
    """
    if len(text) > MOST_CHARACTERS:
        raise UsageError(
            f"{option} has {len(text):,} characters; at most {MOST_CHARACTERS:,} are read. Filter more afterwards."
        )
    with duckdb.connect(":memory:", config={"enable_external_access": "false"}) as parser:
        tree = _parsed(parser, _PREFIX + text, shown=text, option=option)
        neutral = _parsed(parser, f"{_PREFIX}true", shown="true", option=option)
        _check(tree["statements"][0]["node"].get("where_clause"), columns, option)
        if _around(tree) != _around(neutral):
            raise UsageError(
                f"{option} takes one condition, as after WHERE, and nothing behind it (no order, group, limit, union "
                f"or second statement): {text}"
            )
        row = parser.execute("select json_deserialize_sql(?)", [json.dumps(tree)]).fetchone()
    canonical = str(row[0]) if row else ""
    if not canonical.startswith(_PREFIX):
        raise UsageError(f"{option} is not read as a condition: {text}")
    return canonical[len(_PREFIX) :]


def unknown_columns(names: Sequence[str], columns: Sequence[str], *, option: str) -> None:
    """Refuse names that are no column, with what there is. Capitals make no difference, as in SQL.

    Raises:
        UsageError: one of ``names`` is not among ``columns``.
    """
    known = {column.lower(): column for column in columns}
    absent = [name for name in names if name.lower() not in known]
    if not absent:
        return
    near = {known[one] for name in absent for one in difflib.get_close_matches(name.lower(), known, n=2)}
    hint = f" Did you mean {' or '.join(sorted(near))}?" if near else ""
    raise UsageError(
        f"{option}: {', '.join(absent)} is not a column of this export.{hint} It has: {', '.join(columns)}"
    )


def _parsed(parser: duckdb.DuckDBPyConnection, statement: str, *, shown: str, option: str) -> Any:
    try:
        row = parser.execute("select json_serialize_sql(?)", [statement]).fetchone()
        tree = json.loads(row[0]) if row else {"error": True, "error_message": "nothing"}
    except (duckdb.Error, RecursionError) as error:
        raise UsageError(f"{option} cannot be read: {str(error).splitlines()[0]}. It says: {shown}") from error
    if tree.get("error"):
        raise UsageError(
            f"{option} is not a condition ({tree.get('error_message')}). It says: {shown}. "
            "Write it as after WHERE in SQL, texts in single quotes: past_due_days > 30 and branch_id = 'B1'"
        )
    return tree


def _around(tree: Any) -> Any:
    """Everything of the statements except the condition and the places in the text."""
    statements = json.loads(json.dumps(tree["statements"]))
    for statement in statements:
        statement["node"].pop("where_clause", None)
    for part in _parts(statements):
        part.pop("query_location", None)
        part.pop("query_location_length", None)
    return statements


def _check(condition: Any, columns: Sequence[str], option: str) -> None:
    for part in _parts(condition):
        kind = part.get("class")
        if kind is None or kind == "TYPE":
            continue
        if kind not in _CLASSES:
            raise UsageError(
                f"{option} may not hold {_WORDS.get(kind, kind.lower())}: it is a condition on the columns."
            )
        if kind == "COLUMN_REF":
            unknown_columns([".".join(part["column_names"])], columns, option=option)
        if kind == "FUNCTION" and (part.get("schema") or part["function_name"].lower() not in FUNCTIONS | _OPERATORS):
            raise UsageError(
                f"{option} may not use {part['function_name']}(). It may use: {', '.join(sorted(FUNCTIONS))}"
            )


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a parsed tree, without recursion: a hostile text may nest deeply."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
