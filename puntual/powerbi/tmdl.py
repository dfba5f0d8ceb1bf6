"""TMDL, the text form of a tabular model: a tree of named objects written by indentation, and read back.

The reader knows the grammar and nothing of the model: what it reads is compared with what was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from puntual.errors import PuntualError

_PLAIN_NAME = re.compile(r"[^\s.=:']+\Z")
# Objects whose expression is part of their first line.
_WITH_EXPRESSION = {"measure", "expression", "tablePermission", "annotation", "partition", "calculationItem"}


class TmdlError(PuntualError):
    """A text is not TMDL; says the file's line and what was expected."""


@dataclass(frozen=True)
class Code:
    """DAX or M as the value of a property."""

    text: str


Value = str | bool | Code


@dataclass(frozen=True)
class Node:
    """An object of the model.

    Attributes:
        kind: ``table``, ``column``, ``measure``…
        name: None for objects that have none (``database`` of a project, ``translations``).
        expression: what stands behind ``=``; one line or several, without the indentation of the file.
        properties: in the order written; ``True`` is a flag that is only named.
        is_reference: ``ref table x``: the object is described elsewhere.
    """

    kind: str
    name: str | None = None
    expression: str | None = None
    description: str | None = None
    properties: tuple[tuple[str, Value], ...] = ()
    children: tuple[Node, ...] = ()
    is_reference: bool = False

    def of(self, kind: str) -> list[Node]:
        """The children of a kind."""
        return [child for child in self.children if child.kind == kind]

    def get(self, name: str) -> Value | None:
        """A property's value; None when it is not there."""
        return dict(self.properties).get(name)


def quoted(name: str) -> str:
    """A name as TMDL writes it: in single quotes when it has white space or one of ``. = : '``."""
    return name if _PLAIN_NAME.match(name) else "'" + name.replace("'", "''") + "'"


def write(nodes: list[Node]) -> str:
    """The text of a file with these objects at its top, tabs for indentation, one line feed at its end."""
    return "\n\n".join("\n".join(_lines(node, 0)) for node in nodes) + "\n"


def _lines(node: Node, depth: int) -> Iterator[str]:
    tab = "\t" * depth
    if node.description:
        for line in node.description.splitlines():
            yield f"{tab}/// {line}"
    head = f"{'ref ' if node.is_reference else ''}{node.kind}"
    if node.name is not None:
        head += f" {quoted(node.name)}"
    if node.expression is None:
        yield tab + head
    else:
        yield from _with_code(tab + head, node.expression, depth)
    for name, value in node.properties:
        if value is True:
            yield f"{tab}\t{name}"
        elif isinstance(value, Code):
            yield from _with_code(f"{tab}\t{name}", value.text, depth + 1)
        elif value is not False:
            yield f"{tab}\t{name}: {_text(str(value))}"
    for child in node.children:
        yield ""
        yield from _lines(child, depth + 1)


def _with_code(head: str, code: str, depth: int) -> Iterator[str]:
    if "\n" not in code:
        yield f"{head} = {code}"
        return
    yield f"{head} ="
    for line in code.splitlines():
        # Two deeper than the object: one deeper would read as its property.
        yield "\t" * (depth + 2) + line if line.strip() else ""


def _text(value: str) -> str:
    """A text value; in double quotes where TMDL would otherwise cut or misread it."""
    if value != value.strip() or value.startswith('"') or value == "":
        return '"' + value.replace('"', '""') + '"'
    return value


@dataclass
class _Open:
    depth: int
    node: Node
    children: list[_Open] = field(default_factory=list)
    properties: list[tuple[str, Value]] = field(default_factory=list)

    def closed(self) -> Node:
        return replace(
            self.node,
            properties=tuple(self.properties),
            children=tuple(child.closed() for child in self.children),
        )


_HEAD = re.compile(
    r"(?P<ref>ref )?(?P<kind>[A-Za-z]+)(?: (?P<name>'(?:[^']|'')*'|[^\s.=:']+))?(?P<equals> =(?: (?P<code>.*))?)?\Z"
)
_PROPERTY = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9]*): (?P<value>.*)\Z")
_FLAGS = {
    "isKey", "isHidden", "discourageImplicitMeasures", "legacyRedirects", "returnErrorValuesAsNull",
}  # fmt: skip
_NAMELESS = {"database", "translations", "dataAccessOptions"}
_CODE_PROPERTIES = {"source"}


def read(text: str) -> list[Node]:
    """The objects of a TMDL text.

    Raises:
        TmdlError: indentation that no object explains, a name with an open quote, or a line that is none of the forms.
    """
    top: list[_Open] = []
    stack: list[_Open] = []
    described: list[str] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip("\t"))
        content = line[depth:]
        if content != content.strip():
            raise TmdlError(f"line {at}: {content!r} begins or ends with a space; only tabs indent")
        if content.startswith("///"):
            described.append(content[3:].removeprefix(" "))
            continue
        while stack and stack[-1].depth >= depth:
            stack.pop()
        if depth > (stack[-1].depth + 1 if stack else 0):
            raise TmdlError(f"line {at}: {content!r} is indented deeper than any object before it")
        if stack and (content in _FLAGS or (_PROPERTY.match(content) and not _HEAD.match(content))):
            _read_property(stack[-1], content, described, at)
            continue
        head = _HEAD.match(content)
        if head is None:
            raise TmdlError(f"line {at}: {content!r} is neither an object nor a property")
        code: str | None = None
        if head["equals"]:
            code = head["code"]
            if code is None:
                code, at = _read_code(lines, at, depth)
        if stack and head["name"] is None and head["kind"] in _CODE_PROPERTIES and code is not None:
            stack[-1].properties.append((head["kind"], Code(code)))
            continue
        if head["name"] is None and head["kind"] not in _NAMELESS:
            raise TmdlError(f"line {at}: an object of kind {head['kind']!r} has no name")
        if code is not None and head["kind"] not in _WITH_EXPRESSION:
            raise TmdlError(f"line {at}: {head['kind']!r} cannot have an expression")
        name = head["name"]
        if name is not None and name.startswith("'"):
            name = name[1:-1].replace("''", "'")
        node = Node(head["kind"], name, code, "\n".join(described) or None, is_reference=bool(head["ref"]))
        described = []
        opened = _Open(depth, node)
        (stack[-1].children if stack else top).append(opened)
        stack.append(opened)
    if described:
        raise TmdlError(f"line {at}: a description stands before nothing")
    return [opened.closed() for opened in top]


def _read_property(owner: _Open, content: str, described: list[str], at: int) -> None:
    if described:
        raise TmdlError(f"line {at}: a description stands before the property {content!r}")
    if content in _FLAGS:
        owner.properties.append((content, True))
        return
    match = _PROPERTY.match(content)
    assert match is not None
    value = match["value"]
    if value.startswith('"'):
        if len(value) < 2 or not value.endswith('"') or value[1:-1].replace('""', "").count('"'):
            raise TmdlError(f"line {at}: the quotes of {value!r} are not closed")
        value = value[1:-1].replace('""', '"')
    owner.properties.append((match["name"], value))


def _read_code(lines: list[str], at: int, depth: int) -> tuple[str, int]:
    """The lines of an expression: all that stand deeper than the properties of its object."""
    indent = "\t" * (depth + 2)
    code: list[str] = []
    while at < len(lines) and (not lines[at].strip() or lines[at].startswith(indent)):
        code.append(lines[at].removeprefix(indent))
        at += 1
    while code and not code[-1].strip():
        code.pop()
    if not code:
        raise TmdlError(f"line {at}: an expression is announced and not there")
    return "\n".join(code), at
