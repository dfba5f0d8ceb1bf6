"""Writes the files that are generated from the contract into a checkout."""

from __future__ import annotations

from pathlib import Path

from puntual.contracts.render import data_dictionary, dbt_sources
from puntual.contracts.schema import load_contract
from puntual.paths import PROJECT_ROOT

SOURCES = Path("dbt_project/models/staging/_raw__sources.yml")
DICTIONARY = Path("docs/data_dictionary.md")


def generated_files() -> dict[Path, str]:
    """Path in the checkout to text, of every file that is generated from the contract."""
    contract = load_contract()
    return {SOURCES: dbt_sources(contract), DICTIONARY: data_dictionary(contract)}


def write_generated(root: Path = PROJECT_ROOT) -> list[Path]:
    """Write the generated files under ``root`` and return their paths."""
    written = []
    for relative, text in generated_files().items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
