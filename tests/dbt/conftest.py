"""One book, built once per engine and session."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.dbt.book import Book, full_book
from tests.dbt.warehouses import MODELS_ONLY, Built, build_on_duckdb, build_on_postgres, create_database


@pytest.fixture(scope="session")
def book() -> Book:
    return full_book()


@pytest.fixture(scope="session")
def dbt_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt keeps its parsed project; one path for all builds, so that it is parsed once."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="session")
def on_duckdb(book: Book, dbt_folder: Path) -> Built:
    """The book with every data test and unit test of the project passed."""
    return build_on_duckdb(book, dbt_folder, "build")


@pytest.fixture(scope="session")
def rebuild(dbt_folder: Path, on_duckdb: Built) -> Callable[..., Built]:
    """Another book, or other settings, on DuckDB. Asks for the first one, so that nobody reads its file meanwhile.

    Named models are built with what they are made of and nothing else; the whole project without a name.
    """

    def build(other: Book, settings: dict[str, Any] | None = None, *, models: Sequence[str] = ()) -> Built:
        selection = ["--select", *(f"+{model}" for model in models)] if models else []
        return build_on_duckdb(other, dbt_folder, *MODELS_ONLY, *selection, "--vars", json.dumps(settings or {}))

    return build


@pytest.fixture(scope="session")
def on_postgres(book: Book, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Built:
    database = create_database(postgres_url, "dbt_book")
    return build_on_postgres(book, database, tmp_path_factory.mktemp("dbt_postgres"), "build")
