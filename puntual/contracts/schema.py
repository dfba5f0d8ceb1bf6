"""The source contract as frozen values, read from ``tables/*.yml``.

A column is described once, there; the loaders, the validation suites, the dbt sources and the data dictionary are
derived from it (:mod:`puntual.contracts.render`).
"""

from __future__ import annotations

import hashlib
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from puntual.errors import PuntualError
from puntual.strict import Strict

TABLES = Path(__file__).parent / "tables"

ColumnType = Literal["text", "date", "timestamp", "money", "unit_cost", "double", "integer", "boolean"]
TIME_TYPES = ("date", "timestamp")
NUMBER_TYPES = ("money", "unit_cost", "double", "integer")

# No institution of ours has a date outside these years; 0001-01-01 and 9999-12-31 are fillers of some core systems.
EARLIEST_DATE = date(1900, 1, 1)
LATEST_DATE = date(2199, 12, 31)

LINEAGE: dict[str, str] = {
    "_load_id": "Load that brought the version; a later load is a newer version of the same key.",
    "_loaded_at": "When that load ran, UTC.",
    "_source_file": "File that it came from, relative to the landing folder.",
    "_source_row": "Row of that file, counted from 1 without the header; 0 for a deleted version.",
    "_row_digest": "MD5 of the row's values: equal digests, equal rows.",
    "_is_deleted": "True when the source no longer has the key (an instalment that a rewritten schedule left out).",
}

_IDENTIFIER = r"^[a-z][a-z0-9_]*$"


class ContractError(PuntualError):
    """A file of the contract contradicts itself; the product was built wrongly."""


class ColumnContract(Strict):
    """One column: what it holds and which values it may take.

    Attributes:
        required: the column must be delivered and none of its values may be missing.
        pii: ``direct`` identifies a person by itself, ``indirect`` together with other columns.
        references: table whose single-column key it holds.
        minimum, maximum: inclusive bounds; ``above`` is an exclusive lower one.
        not_future: may not lie more than a day after the reception of the file.
    """

    name: str = Field(pattern=_IDENTIFIER)
    type: ColumnType
    description: str = Field(min_length=1)
    required: bool = False
    pii: Literal["none", "indirect", "direct"] = "none"
    values: tuple[str, ...] = ()
    references: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    not_future: bool = False

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> ColumnContract:
        if self.values and self.type != "text":
            raise ValueError(f"{self.name}: only text has a list of values")
        if self.not_future and self.type not in TIME_TYPES:
            raise ValueError(f"{self.name}: only a date or a timestamp can lie in the future")
        if self.has_bounds and self.type not in NUMBER_TYPES:
            raise ValueError(f"{self.name}: only a number has a range")
        if self.minimum is not None and self.above is not None:
            raise ValueError(f"{self.name}: give minimum or above, not both")
        return self

    @property
    def has_bounds(self) -> bool:
        """Whether a range of numbers is given."""
        return any(bound is not None for bound in (self.minimum, self.maximum, self.above))


class RowRule(Strict):
    """``later`` may not be before ``earlier``, compared as local calendar days; nothing is said when one is missing.

    ``earlier`` is a column of the same table or ``<table>.<column>`` of a table that this one references.
    """

    name: str = Field(pattern=_IDENTIFIER)
    later: str = Field(pattern=_IDENTIFIER)
    earlier: str = Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$")
    description: str = Field(min_length=1)

    @property
    def lookup(self) -> tuple[str, str] | None:
        """Table and column of ``earlier`` when it is another table's."""
        if "." not in self.earlier:
            return None
        table, column = self.earlier.split(".")
        return table, column


class TableContract(Strict):
    """One landing table.

    Attributes:
        required: a run cannot do without the table; otherwise ``without_it`` says what is off when it is missing.
        may_be_empty: a required table that may have no row even in the first load.
        key: columns that identify a row.
        replace_by: column that identifies a whole (a loan's schedule): a load that brings a part brings all of it.
    """

    table: str = Field(pattern=_IDENTIFIER)
    description: str = Field(min_length=1)
    grain: str = Field(min_length=1)
    required: bool = False
    may_be_empty: bool = False
    without_it: str | None = None
    key: tuple[str, ...] = Field(min_length=1)
    replace_by: str | None = None
    columns: tuple[ColumnContract, ...] = Field(min_length=1)
    row_rules: tuple[RowRule, ...] = ()

    @model_validator(mode="after")
    def _names_resolve(self) -> TableContract:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.table}: a column is described twice")
        for key in self.key:
            if key not in names or not self.column(key).required:
                raise ValueError(f"{self.table}: key column {key} must be a required column")
        if self.replace_by is not None and self.replace_by not in self.key:
            raise ValueError(f"{self.table}: replace_by must be part of the key")
        for rule in self.row_rules:
            own = [rule.later] if rule.lookup else [rule.later, rule.earlier]
            for name in own:
                if name not in names or self.column(name).type not in TIME_TYPES:
                    raise ValueError(f"{self.table}.{rule.name}: {name} is not a date or timestamp of the table")
            if rule.lookup and all(column.references != rule.lookup[0] for column in self.columns):
                raise ValueError(f"{self.table}.{rule.name}: no column references {rule.lookup[0]}")
        if self.required == (self.without_it is not None):
            raise ValueError(f"{self.table}: an optional table, and only an optional one, says what is off without it")
        return self

    def column(self, name: str) -> ColumnContract:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in the order of the contract, which is the order in raw."""
        return tuple(column.name for column in self.columns)

    @property
    def references(self) -> dict[str, str]:
        """Column to referenced table."""
        return {column.name: column.references for column in self.columns if column.references}

    @property
    def changed_at(self) -> str | None:
        """Column that says when the source last changed the row, if the table has one."""
        return "updated_at" if "updated_at" in self.column_names else None


@cache
def load_contract() -> dict[str, TableContract]:
    """All tables, every referenced table before those that reference it (ties by name).

    Raises:
        ContractError: a file is not valid, or references run in a circle.
    """
    tables: dict[str, TableContract] = {}
    for path in sorted(TABLES.glob("*.yml")):
        try:
            table = TableContract.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (ValidationError, yaml.YAMLError) as error:
            raise ContractError(f"{path}: {error}") from error
        if table.table != path.stem:
            raise ContractError(f"{path}: describes {table.table!r}; file and table must have one name")
        tables[table.table] = table
    return _parents_first(tables)


def _parents_first(tables: dict[str, TableContract]) -> dict[str, TableContract]:
    for table in tables.values():
        for column, parent in table.references.items():
            if parent not in tables or len(tables[parent].key) != 1:
                raise ContractError(f"{table.table}.{column} references {parent!r}, which has no single-column key")
        for rule in table.row_rules:
            if rule.lookup and rule.lookup[1] not in tables[rule.lookup[0]].column_names:
                raise ContractError(f"{table.table}.{rule.name}: there is no column {rule.earlier}")
    ordered: dict[str, TableContract] = {}
    while len(ordered) < len(tables):
        ready = [
            name
            for name, table in tables.items()
            if name not in ordered and all(parent in ordered for parent in table.references.values())
        ]
        if not ready:
            raise ContractError("The references of the contract run in a circle")
        ordered |= {name: tables[name] for name in sorted(ready)}
    return ordered


@cache
def contract_digest() -> str:
    """SHA-256 of what the contract says: rows that another contract accepted are looked at again."""
    text = "\n".join(table.model_dump_json() for table in load_contract().values())
    return hashlib.sha256(text.encode()).hexdigest()
