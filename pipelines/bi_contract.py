"""What the star promises to reports that others built: tables, columns and types, under the version of the publication.

The promise is committed (``tests/contract/bi_contract.json``). A table or column may be added by writing it again; one
that goes, is renamed or changes its type is refused until ``SCHEMA_VERSION`` and the changelog's table move:

    python -m pipelines.bi_contract
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.steps.publishing import SCHEMA_VERSION
from puntual.errors import PublishError
from puntual.paths import PROJECT_ROOT
from puntual.powerbi.star import star_tables
from puntual.warehouse.catalog import TableSpec

CONTRACT_FILE = PROJECT_ROOT / "tests" / "contract" / "bi_contract.json"
CHANGELOG = PROJECT_ROOT / "CHANGELOG.md"


def contract_of(tables: Mapping[str, TableSpec], version: int) -> dict[str, Any]:
    """The promise that the described tables make."""
    return {
        "schema_version": version,
        "tables": {
            name: {
                "key": list(table.key),
                "columns": {column.name: column.data_type for column in table.columns},
            }
            for name, table in sorted(tables.items())
        },
    }


def broken_promises(committed: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """What a reader of ``committed`` would miss in ``current``; a renamed column is one that is gone."""
    found = []
    for name, table in committed["tables"].items():
        now = current["tables"].get(name)
        if now is None:
            found.append(f"table {name} is gone")
            continue
        for column, kind in table["columns"].items():
            if column not in now["columns"]:
                found.append(f"column {name}.{column} is gone")
            elif now["columns"][column] != kind:
                found.append(f"column {name}.{column} was {kind} and is {now['columns'][column]}")
        if now["key"] != table["key"]:
            found.append(f"the rows of {name} were told apart by {table['key']} and are by {now['key']}")
    return found


def objections(committed: Mapping[str, Any], current: Mapping[str, Any], changelog: str) -> list[str]:
    """Why the committed contract must not simply be replaced by the current one; empty when it may.

    A broken promise needs a higher version and a row of the changelog's table that names that version.
    """
    broken = broken_promises(committed, current)
    if not broken:
        return []
    version = current["schema_version"]
    if version <= committed["schema_version"]:
        return [f"{reason}; raise SCHEMA_VERSION in pipelines/steps/publishing.py" for reason in broken]
    if not re.search(rf"^\|.*\bschema version {version}\b.*\|$", changelog, flags=re.MULTILINE):
        told = f"CHANGELOG.md has no row of its table that names schema version {version}, which breaks: "
        return [told + "; ".join(broken)]
    return []


def write_contract(file: Path = CONTRACT_FILE) -> Path:
    """Write the promise of today's star.

    Raises:
        PublishError: it would break the committed one without a new version.
    """
    current = contract_of(star_tables(), SCHEMA_VERSION)
    if file.exists():
        committed = json.loads(file.read_text(encoding="utf-8"))
        reasons = objections(committed, current, CHANGELOG.read_text(encoding="utf-8"))
        if reasons:
            raise PublishError(
                "The star would break reports that others built:\n" + "\n".join(f"  {reason}" for reason in reasons)
            )
    file.write_text(json.dumps(current, indent=2) + "\n", encoding="utf-8")
    return file


if __name__ == "__main__":
    try:
        write_contract()
    except PublishError as error:
        sys.exit(str(error))
