"""The part of DAX that our measures use: written by :mod:`puntual.powerbi.measures`, read back here to be proved.

Grammar: ``VAR`` … ``RETURN``, ``&&``, ``||``, ``=``, ``IN``, ``+``, calls, ``'table'[column]``, ``[measure]``,
``'table'``, texts, numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from puntual.errors import PuntualError


class DaxError(PuntualError):
    """An expression is not of the part of DAX that we write; says where."""


@dataclass(frozen=True)
class Literal:
    """A text or a number."""

    value: str | float


@dataclass(frozen=True)
class Name:
    """A variable."""

    name: str


@dataclass(frozen=True)
class ColumnRef:
    """``'table'[column]``."""

    table: str
    column: str


@dataclass(frozen=True)
class TableRef:
    """``'table'``."""

    table: str


@dataclass(frozen=True)
class MeasureRef:
    """``[measure]``."""

    name: str


@dataclass(frozen=True)
class Call:
    """``FUNCTION(argument, …)``."""

    function: str
    arguments: tuple[Dax, ...]


@dataclass(frozen=True)
class Binary:
    """``left operator right``; the operator is ``+``, ``=``, ``&&``, ``||`` or ``IN``."""

    operator: str
    left: Dax
    right: Dax


@dataclass(frozen=True)
class Block:
    """``VAR a = … RETURN …``."""

    variables: tuple[tuple[str, Dax], ...]
    result: Dax


Dax = Literal | Name | ColumnRef | TableRef | MeasureRef | Call | Binary | Block

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<column>'(?:[^']|'')*'\[(?:[^\]]|\]\])*\])
      | (?P<table>'(?:[^']|'')*')
      | (?P<measure>\[(?:[^\]]|\]\])*\])
      | (?P<text>"(?:[^"]|"")*")
      | (?P<number>-?\d+(?:\.\d+)?)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>&&|\|\||[(),=+])
    )""",
    re.VERBOSE,
)


def table_text(table: str) -> str:
    """A table as DAX writes it."""
    return "'" + table.replace("'", "''") + "'"


def column_text(table: str, column: str) -> str:
    """A column with its table."""
    return f"{table_text(table)}[{column.replace(']', ']]')}]"


def measure_text(name: str) -> str:
    """A measure."""
    return f"[{name.replace(']', ']]')}]"


def literal_text(value: str) -> str:
    """A text in double quotes."""
    return '"' + value.replace('"', '""') + '"'


def parse(text: str) -> Dax:
    """The expression of a text.

    Raises:
        DaxError: something that we never write, an open bracket or quote, or text after the end.
    """
    return _Parser(text).whole()


def parts(expression: Dax) -> list[Dax]:
    """The expression and everything inside it."""
    inside: list[Dax] = []
    if isinstance(expression, Call):
        inside = list(expression.arguments)
    elif isinstance(expression, Binary):
        inside = [expression.left, expression.right]
    elif isinstance(expression, Block):
        inside = [*(value for _, value in expression.variables), expression.result]
    return [expression, *(part for child in inside for part in parts(child))]


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                raise DaxError(f"{text[at : at + 30]!r} of {text!r} cannot be read")
            assert match.lastgroup is not None
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        self.at = 0

    def whole(self) -> Dax:
        expression = self.block()
        if self.at != len(self.tokens):
            raise DaxError(f"{self.tokens[self.at][1]!r} is left over in {self.text!r}")
        return expression

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, kind: str, value: str | None = None) -> str:
        found = self.peek()
        if found[0] != kind or (value is not None and found[1].upper() != value):
            raise DaxError(f"expected {value or kind}, found {found[1]!r} in {self.text!r}")
        self.at += 1
        return found[1]

    def is_word(self, word: str) -> bool:
        kind, value = self.peek()
        return kind == "word" and value.upper() == word

    def block(self) -> Dax:
        variables: list[tuple[str, Dax]] = []
        while self.is_word("VAR"):
            self.at += 1
            name = self.take("word")
            self.take("sign", "=")
            variables.append((name, self.either()))
        if not variables:
            return self.either()
        self.take("word", "RETURN")
        return Block(tuple(variables), self.either())

    def either(self) -> Dax:
        left = self.both()
        while self.peek() == ("sign", "||"):
            self.at += 1
            left = Binary("||", left, self.both())
        return left

    def both(self) -> Dax:
        left = self.equal()
        while self.peek() == ("sign", "&&"):
            self.at += 1
            left = Binary("&&", left, self.equal())
        return left

    def equal(self) -> Dax:
        left = self.plus()
        if self.peek() == ("sign", "="):
            self.at += 1
            return Binary("=", left, self.plus())
        if self.is_word("IN"):
            self.at += 1
            return Binary("IN", left, self.primary())
        return left

    def plus(self) -> Dax:
        left = self.primary()
        while self.peek() == ("sign", "+"):
            self.at += 1
            left = Binary("+", left, self.primary())
        return left

    def primary(self) -> Dax:
        kind, value = self.peek()
        self.at += 1
        if kind == "text":
            return Literal(value[1:-1].replace('""', '"'))
        if kind == "number":
            return Literal(float(value))
        if kind == "table":
            return TableRef(value[1:-1].replace("''", "'"))
        if kind == "measure":
            return MeasureRef(value[1:-1].replace("]]", "]"))
        if kind == "column":
            table, _, column = value.partition("'[")
            return ColumnRef(table[1:].replace("''", "'"), column[:-1].replace("]]", "]"))
        if (kind, value) == ("sign", "("):
            inside = self.block()
            self.take("sign", ")")
            return inside
        if kind == "word":
            if self.peek() != ("sign", "("):
                return Name(value)
            self.at += 1
            arguments: list[Dax] = []
            while self.peek() != ("sign", ")"):
                if arguments:
                    self.take("sign", ",")
                arguments.append(self.block())
            self.at += 1
            return Call(value.upper(), tuple(arguments))
        raise DaxError(f"{value!r} is out of place in {self.text!r}")
