"""The numbers of the measures, from the DAX and the relationships that ship, beside those of the long table of KPIs.

The files are read back; nothing of how they were made is known here. Each measure is evaluated over the published
tables for every member of a grain at once, in the filter context that a Power BI visual would have: one period of the
calendar, one column on its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from puntual.powerbi.checks import split_reference
from puntual.powerbi.dax import (
    Binary,
    Block,
    Call,
    ColumnRef,
    Dax,
    DaxError,
    Literal,
    MeasureRef,
    Name,
    TableRef,
    parse,
)
from puntual.powerbi.model import SemanticModel

Member = tuple[Any, ...]
Result = dict[Member, Any]
"""Value by member of the grain; a member that is not there is blank."""

UNKNOWN = "(sin dato)"
DATE_TABLE, DATE_COLUMN = "dim_dates", "date"

GRAINS: dict[str, tuple[tuple[str, str], ...]] = {
    "total": (),
    "branch": (("dim_branches", "branch_id"),),
    "product": (("dim_products", "product_code"),),
    "segment": (("dim_segments", "segment_code"),),
    "bucket": (("dim_buckets", "bucket_code"),),
    "collector": (("dim_collectors", "collector_id"),),
    "agency": (("dim_collectors", "agency"),),
    "channel": (("dim_channels", "channel_code"),),
    "campaign": (("dim_campaigns", "campaign_id"),),
    "province": (("dim_branches", "province"),),
    "branch_product": (("dim_branches", "branch_id"), ("dim_products", "product_code")),
}
"""The columns of the dimensions that break a figure down, as the long table names the grain."""


@dataclass(frozen=True)
class Context:
    """What is chosen: a range of days, the columns on the rows, and equalities that ``CALCULATE`` adds."""

    first: date
    last: date
    rows: tuple[tuple[str, str], ...] = ()
    equal: tuple[tuple[tuple[str, str], Any], ...] = ()

    def where(self, column: tuple[str, str], value: Any) -> Context:
        """The context with ``column`` equal to ``value``, whatever was asked of it before."""
        others = tuple((name, wanted) for name, wanted in self.equal if name != column)
        return replace(self, equal=(*others, (column, value)))


@dataclass(frozen=True)
class Difference:
    """A figure that a measure gives otherwise than the long table."""

    kpi_code: str
    grain_code: str
    period_code: str
    as_of_date: date
    member: Member
    measure: float | None
    expected: float | None

    def __str__(self) -> str:
        where = f"{self.period_code} to {self.as_of_date}, {self.grain_code} {self.member or ''}"
        return f"{self.kpi_code}, {where}: the measure gives {self.measure}, the long table {self.expected}"


@dataclass(frozen=True)
class Evaluator:
    """The measures of a model over a connection in which every table of the star is a table or a view of its name.

    Attributes:
        query: rows of a SQL text of DuckDB's or PostgreSQL's common dialect.
    """

    model: SemanticModel
    query: Callable[[str], list[tuple[Any, ...]]]
    _parsed: dict[str, Dax] = field(default_factory=dict)

    @cached_property
    def _keys(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Columns that join a fact to a dimension, by (fact, dimension): the active relationships."""
        found = {}
        for node in self.model.relationships:
            if node.get("isActive") is None:
                fact, from_column = split_reference(str(node.get("fromColumn")))
                dimension, to_column = split_reference(str(node.get("toColumn")))
                found[fact, dimension] = (from_column, to_column)
        return found

    def measure(self, name: str, context: Context) -> Result:
        """The values of a measure in a context.

        Raises:
            DaxError: the measure is not of the part of DAX that we write.
        """
        return self._frame(self._evaluate(self._expression(name), context, {}))

    def _expression(self, name: str) -> Dax:
        if name not in self._parsed:
            try:
                self._parsed[name] = parse(self.model.measures[name])
            except KeyError as error:
                raise DaxError(f"there is no measure [{name}]") from error
        return self._parsed[name]

    @staticmethod
    def _frame(value: Any) -> Result:
        return value if isinstance(value, dict) else {(): value}

    def _evaluate(self, expression: Dax, context: Context, variables: Mapping[str, Any]) -> Any:
        """A scalar, or a value per member when it differs between them."""
        if isinstance(expression, Literal):
            return expression.value
        if isinstance(expression, Name):
            return variables[expression.name]
        if isinstance(expression, MeasureRef):
            return self._evaluate(self._expression(expression.name), context, {})
        if isinstance(expression, Block):
            known = dict(variables)
            for name, value in expression.variables:
                known[name] = self._evaluate(value, context, known)
            return self._evaluate(expression.result, context, known)
        if isinstance(expression, Binary):
            return self._binary(expression, context, variables)
        if isinstance(expression, Call):
            return self._call(expression, context, variables)
        raise DaxError(f"{expression} has no value of its own")

    def _binary(self, expression: Binary, context: Context, variables: Mapping[str, Any]) -> Any:
        left = self._evaluate(expression.left, context, variables)
        right = self._evaluate(expression.right, context, variables)
        if expression.operator == "&&":
            return left and right
        if expression.operator == "||":
            return left or right
        if expression.operator == "+" and not isinstance(right, dict):
            # Blank plus a number is the number, for every member whoever they are.
            return _Filled(
                {member: float(value) + right for member, value in self._frame(left).items() if value is not None},
                right,
            )
        if expression.operator == "=":
            return (
                {member: value == right for member, value in left.items()} if isinstance(left, dict) else left == right
            )
        raise DaxError(f"{expression.operator} is not used in measures")

    def _call(self, call: Call, context: Context, variables: Mapping[str, Any]) -> Any:
        arguments = call.arguments
        if call.function == "TRUE":
            return True
        if call.function == "ISFILTERED" and isinstance(arguments[0], TableRef):
            return any(table == arguments[0].table for table, _ in context.rows)
        if call.function in {"SUM", "MAX", "COUNTROWS"}:
            return self._aggregate(call.function, arguments[0], context)
        if call.function == "SWITCH":
            return self._switch(arguments, context, variables)
        if call.function == "IF":
            held = self._frame(self._evaluate(arguments[0], context, variables))
            value = self._frame(self._evaluate(arguments[1], context, variables))
            return {member: value.get(member) for member, is_so in held.items() if is_so}
        if call.function == "DIVIDE":
            return self._divide(*(self._frame(self._evaluate(part, context, variables)) for part in arguments))
        if call.function == "CALCULATE":
            inner = context
            for condition in arguments[1:]:
                if not isinstance(condition, Binary) or not isinstance(condition.left, ColumnRef):
                    raise DaxError(f"{condition} is no filter that we write")
                column = (condition.left.table, condition.left.column)
                inner = inner.where(column, self._evaluate(condition.right, context, variables))
            return self._evaluate(arguments[0], inner, variables)
        raise DaxError(f"{call.function} is not used in measures")

    def _switch(self, arguments: tuple[Dax, ...], context: Context, variables: Mapping[str, Any]) -> Any:
        wanted = self._evaluate(arguments[0], context, variables)
        for at in range(1, len(arguments) - 1, 2):
            if self._evaluate(arguments[at], context, variables) == wanted:
                return self._evaluate(arguments[at + 1], context, variables)
        return self._evaluate(arguments[-1], context, variables) if len(arguments) % 2 == 0 else None

    @staticmethod
    def _divide(numerator: Result, denominator: Result) -> Result:
        found = {}
        for member in numerator.keys() | denominator.keys():
            above, below = numerator.get(member, _blank_of(numerator)), denominator.get(member, _blank_of(denominator))
            # Blank over something is blank; over nothing, or over 0, it is blank too.
            found[member] = float(above) / float(below) if above is not None and below else None
        return found

    def _aggregate(self, function: str, argument: Dax, context: Context) -> Any:
        """One SQL statement: the table, joined to what is chosen by the model's relationships, by the rows' columns."""
        if isinstance(argument, ColumnRef):
            table, what = argument.table, f"{function.lower()}(facts.{argument.column})"
        elif isinstance(argument, TableRef) and function == "COUNTROWS":
            table, what = argument.table, "count(*)"
        else:
            raise DaxError(f"{function} of {argument} is not used in measures")
        rows = context.rows if table != DATE_TABLE else ()
        joins, conditions = {}, []
        for dimension in dict.fromkeys([dimension for dimension, _ in rows]):
            if (table, dimension) in self._keys:
                joins[dimension] = self._keys[table, dimension]
        rows = tuple((dimension, column) for dimension, column in rows if dimension in {*joins, table})
        equal = dict(context.equal)
        exact = equal.pop((DATE_TABLE, DATE_COLUMN), _NOTHING)
        if exact is _NOTHING:
            days = f"between date '{context.first}' and date '{context.last}'"
        else:
            days = f"= date '{exact}'" if exact is not None else "is null"
        if table == DATE_TABLE:
            conditions.append(f"facts.{DATE_COLUMN} {days}")
        elif (table, DATE_TABLE) in self._keys:
            joins[DATE_TABLE] = self._keys[table, DATE_TABLE]
            conditions.append(f"{DATE_TABLE}.{DATE_COLUMN} {days}")
        for (owner, column), value in equal.items():
            if owner == table:
                conditions.append(f"facts.{column} = {_sql(value)}")
            elif owner in joins:
                conditions.append(f"{owner}.{column} = {_sql(value)}")
        names = [f"{'facts' if dimension == table else dimension}.{column}" for dimension, column in rows]
        sql = f"select {', '.join([*names, what])} from {table} as facts"
        for dimension, (from_column, to_column) in joins.items():
            sql += f" inner join {dimension} on facts.{from_column} = {dimension}.{to_column}"
        sql += f" where {' and '.join(conditions) or 'true'}"
        if names:
            sql += f" group by {', '.join(names)}"
        found = self.query(sql)
        if table == DATE_TABLE:
            return found[0][0]
        return {
            tuple(row[:-1]): row[-1]
            for row in found
            if not (row[-1] is None or (function == "COUNTROWS" and not row[-1]))
        }


_NOTHING = object()


class _Filled(dict[Member, Any]):
    """Values of which a member that is not there has ``blank`` rather than nothing."""

    def __init__(self, values: Result, blank: float) -> None:
        super().__init__(values)
        self.blank = blank


def _blank_of(result: Result) -> float | None:
    return result.blank if isinstance(result, _Filled) else None


def _sql(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "null" if value is None else str(value)


def published(folder: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    """Queries over the Parquet files of a published day's ``bi`` folder; the tables of parts are read once."""
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": 2})
    for file in sorted(folder.glob("*.parquet")):
        relation = connection.read_parquet(str(file))
        if file.stem.startswith(("dim_", "kpi_", "fct_kpi")):
            relation.create(file.stem)
        else:
            relation.create_view(file.stem)
    return lambda sql: connection.execute(sql).fetchall()


def period_of(period_code: str, last: date) -> tuple[date, date]:
    """The first and last day of the period that ends (or stands) at ``last``; weeks begin on Monday."""
    if period_code == "day":
        return last, last
    if period_code == "week":
        return last - timedelta(days=last.isoweekday() - 1), last
    return last.replace(day=1), last


def differences(
    evaluator: Evaluator,
    codes: Mapping[str, str],
    grains: Mapping[str, Iterable[str]],
    *,
    periods: Iterable[str] = ("day", "week", "month"),
    ends_kept: int = 2,
) -> list[Difference]:
    """Where the measures and the long table disagree, for the last ends of each period.

    Args:
        evaluator: the model and the tables.
        codes: KPI code to the name of its measure.
        grains: KPI code to the grains at which the catalogue publishes it.
        periods: which periods are compared.
        ends_kept: how many ends of each.
    """
    found: list[Difference] = []
    for period in periods:
        ends = evaluator.query(
            f"select distinct as_of_date from fct_kpi where period_code = '{period}'"
            f" order by as_of_date desc limit {ends_kept}"
        )
        for (last,) in ends:
            first, last = period_of(period, last)
            for code, measure in codes.items():
                for grain in grains[code]:
                    found += _compare(evaluator, code, measure, grain, period, first, last)
    return found


def _compare(
    evaluator: Evaluator, code: str, measure: str, grain: str, period: str, first: date, last: date
) -> list[Difference]:
    # What a KPI itself is broken down by stands on the rows too, as in a matrix of rolls.
    has_detail = "'fct_kpi'[kpi_code]" in evaluator.model.measures[measure]
    on_rows = (*GRAINS[grain], ("fct_kpi", "detail_code")) if has_detail else GRAINS[grain]
    keys = [column for _, column in on_rows]
    rows = evaluator.query(
        f"select {', '.join([*keys, 'value'])} from fct_kpi where kpi_code = '{code}' and grain_code = '{grain}'"
        f" and period_code = '{period}' and as_of_date = date '{last}'"
    )
    expected = {tuple(UNKNOWN if part is None else part for part in row[:-1]): row[-1] for row in rows}
    given = evaluator.measure(measure, Context(first, last, on_rows))
    given = {tuple(UNKNOWN if part is None else part for part in member): value for member, value in given.items()}
    return [
        Difference(code, grain, period, last, member, given.get(member), expected.get(member))
        for member in sorted(given.keys() | expected.keys())
        if not _is_equal(given.get(member), expected.get(member))
    ]


def _is_equal(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is None and other is None
    return abs(float(one) - float(other)) <= 1e-9 * max(1.0, abs(float(one)), abs(float(other)))
