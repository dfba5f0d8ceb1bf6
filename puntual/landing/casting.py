"""SQL expressions (DuckDB) that turn what was delivered into the contract's types.

Each gives NULL both for a missing value and for one that is not of the type; :func:`source` gives NULL only for a
missing one, so the difference of the two is what could not be read.
"""

from __future__ import annotations

from puntual.contracts.render import SQL_TYPES
from puntual.contracts.schema import ColumnType

_TEXT_DATES = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y%m%d")
_TEXT_TIMES = ("", " %H:%M:%S", " %H:%M", " %H:%M:%S.%f", "T%H:%M:%S", "T%H:%M")
_FORMATS = ", ".join(f"'{day}{time}'" for day in _TEXT_DATES for time in _TEXT_TIMES)

# A zone after a time of day: Z, UTC, -05, -05:00, -0500.
_ZONED = r"\d{2}:\d{2}.*?\s*(Z|z|UTC|[+-]\d{2}(:?\d{2})?)$"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_TRUE = "'true', 't', '1', 'yes', 'y', 'si', 'sí', 's', 'verdadero'"
_FALSE = "'false', 'f', '0', 'no', 'n', 'falso'"

_WHOLE_TYPES = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT"}
_FLOAT_TYPES = {"FLOAT", "DOUBLE"}
_WALL_CLOCK_TYPES = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
_ZONED_TYPES = {"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"}


def literal(text: str) -> str:
    """A SQL text literal."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A SQL identifier, whatever characters a delivered header has."""
    return '"' + name.replace('"', '""') + '"'


def source(column: str, delivered: str) -> str:
    r"""The delivered value with every way of saying "nothing" turned into NULL: blanks, NaN, NULL, ``\N``."""
    if delivered == '"NULL"':
        return "cast(null as varchar)"
    if delivered in _FLOAT_TYPES:
        return f"case when isnan({column}) then null else {column} end"
    if delivered == "VARCHAR" or delivered.startswith("ENUM"):
        text = f"trim(cast({column} as varchar), {literal(' ' + chr(9) + chr(160) + chr(13) + chr(10))})"
        return f"case when {text} in ('', 'NULL', '\\N') then null else {text} end"
    return column


def _is_text(delivered: str) -> bool:
    return delivered == "VARCHAR" or delivered.startswith("ENUM") or delivered == '"NULL"'


def typed(value: str, delivered: str, target: ColumnType, *, timezone: str, decimal_comma: bool) -> str:
    """``value`` (an expression made by :func:`source`) as the contract's type, NULL where that cannot be.

    Args:
        value: SQL expression.
        delivered: its DuckDB type.
        target: the contract's type.
        timezone: zone of timestamps that carry none. A time that a clock change left out is moved forward by the
            change; of one that it repeats the later is meant.
        decimal_comma: numbers in text have a decimal comma (and dots between thousands).
    """
    if delivered == '"NULL"':
        return f"cast(null as {SQL_TYPES[target]})"
    if target == "text":
        return _text(value, delivered)
    if target in ("date", "timestamp"):
        return _time(value, delivered, target, timezone)
    if target == "boolean":
        return _boolean(value, delivered)
    return _number(value, delivered, target, decimal_comma)


def can_fail(delivered: str, target: ColumnType) -> bool:
    """Whether a delivered value of that type can fail to be of the target type; if not, no check is needed."""
    if delivered == '"NULL"' or target == "text":
        return False
    if delivered == "DATE" and target == "date":
        return False
    return not (delivered == "BOOLEAN" and target == "boolean")


def _text(value: str, delivered: str) -> str:
    if _is_text(delivered):
        return value
    if delivered in _FLOAT_TYPES or delivered.startswith("DECIMAL"):
        # A key that a data frame turned into 123.0 is the key 123.
        whole = f"cast(cast({value} as hugeint) as varchar)"
        return (
            f"case when {value} = trunc({value}) and abs({value}) < 1e18 then {whole} else cast({value} as varchar) end"
        )
    if delivered == "BLOB":
        return f"try(decode({value}))"
    return f"cast({value} as varchar)"


def _time(value: str, delivered: str, target: ColumnType, timezone: str) -> str:
    zone = literal(timezone)
    if delivered in _ZONED_TYPES:
        instant = f"cast({value} as timestamptz)"
        return f"timezone('UTC', {instant})" if target == "timestamp" else f"cast(timezone({zone}, {instant}) as date)"
    if delivered == "DATE":
        local = value if target == "date" else f"cast({value} as timestamp)"
    elif delivered in _WALL_CLOCK_TYPES:
        local = f"cast({value} as timestamp)"
    else:
        text = f"cast({value} as varchar)"
        local = f"coalesce(try_cast({text} as timestamp), try_strptime({text}, [{_FORMATS}]))"
        zoned = f"regexp_matches({text}, {literal(_ZONED)})"
        if target == "timestamp":
            instant = f"timezone('UTC', try_cast({text} as timestamptz))"
            return f"case when {zoned} then {_finite(instant)} else {_to_utc(_finite(local), zone)} end"
        instant = f"timezone({zone}, try_cast({text} as timestamptz))"
        local = f"case when {zoned} then {instant} else {local} end"
    local = _finite(local)
    return f"cast({local} as date)" if target == "date" else _to_utc(local, zone)


def _finite(value: str) -> str:
    return f"case when isfinite({value}) then {value} end"


def _to_utc(local: str, zone: str) -> str:
    return f"timezone('UTC', timezone({zone}, {local}))"


def _boolean(value: str, delivered: str) -> str:
    if delivered == "BOOLEAN":
        return value
    text = f"lower(cast({value} as varchar))"
    if delivered in _FLOAT_TYPES:
        text = f"cast(try_cast({value} as bigint) as varchar)"
    return f"case when {text} in ({_TRUE}) then true when {text} in ({_FALSE}) then false end"


def _number(value: str, delivered: str, target: ColumnType, decimal_comma: bool) -> str:
    if _is_text(delivered) or delivered == "BLOB":
        plain = _plain_number(f"cast({value} as varchar)", decimal_comma)
        number = f"case when regexp_full_match({plain}, {literal(_NUMBER)}) then {plain} end"
    else:
        number = value
    if target == "integer":
        if delivered in _WHOLE_TYPES:
            return f"try_cast({number} as bigint)"
        real = f"try_cast({number} as double)"
        return f"case when {real} = trunc({real}) then try_cast({real} as bigint) end"
    if target == "double":
        real = f"try_cast({number} as double)"
        return f"case when isfinite({real}) then {real} end"
    return f"try_cast({number} as {SQL_TYPES[target].replace('numeric', 'decimal')})"


def _plain_number(text: str, decimal_comma: bool) -> str:
    """Number text with a decimal point and nothing between thousands; text of another form is left as it is."""
    text = f"replace({text}, ' ', '')"
    thousands, mark = (".", ",") if decimal_comma else (",", ".")
    grouped = rf"[+-]?\d{{1,3}}(\{thousands}\d{{3}})+(\{mark}\d*)?"
    ungrouped = f"replace({text}, {literal(thousands)}, '')"
    cleaned = (
        f"case when not contains({text}, {literal(thousands)}) then {text}"
        f" when regexp_full_match({text}, {literal(grouped)}) then {ungrouped} end"
    )
    return f"replace({cleaned}, ',', '.')" if decimal_comma else cleaned


def decimal_marks(columns: list[str]) -> str:
    """Aggregate over number columns in text: whether commas, then points, were seen where only a decimal mark can be.

    A mark followed by other than three digits, after a leading zero, or after another kind of mark, is a decimal mark.
    ``1,234`` alone decides nothing.
    """

    def seen(mark: str, other: str) -> str:
        forms = (
            rf"\d*\{mark}(\d{{1,2}}|\d{{4,}})",
            rf"0+\{mark}\d+",
            rf"\d{{4,}}\{mark}\d+",
            rf"\d{{1,3}}(\{other}\d{{3}})+\{mark}\d*",
        )
        decimal = f"[+-]?({'|'.join(forms)})"
        tests = " or ".join(
            f"(contains({name}, {literal(mark)}) and regexp_full_match(trim({name}), {literal(decimal)}))"
            for name in columns
        )
        return f"coalesce(bool_or({tests}), false)"

    any_comma = " or ".join(f"contains({name}, ',')" for name in columns)
    return f"{seen(',', '.')}, {seen('.', ',')}, coalesce(bool_or({any_comma}), false)"
