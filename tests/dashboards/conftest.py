"""Homes with a published snapshot, in each state that a page can meet."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from puntual import clock
from tests.dashboards.snapshot_factory import AS_OF, SnapshotFactory

APP = Path(__file__).resolve().parents[2] / "dashboards" / "app.py"


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the ordinary snapshot. Shared: copy it before changing anything."""
    home = tmp_path_factory.mktemp("published_home")
    SnapshotFactory().write(home)
    return home


@pytest.fixture(scope="session")
def folder(shared_home: Path) -> str:
    """The folder of the ordinary snapshot."""
    return str((shared_home / "published" / "current").resolve())


@pytest.fixture
def own_home(shared_home: Path, tmp_path: Path) -> Path:
    """A copy of the ordinary home that a test may damage."""
    home = tmp_path / "home"
    shutil.copytree(shared_home, home, symlinks=True)
    return home


@pytest.fixture
def on_the_day(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many days after the as-of date it is; the morning after, unless a test says otherwise."""

    def days_after(days: int) -> None:
        monkeypatch.setattr(clock, "today", lambda timezone: AS_OF + timedelta(days=days))

    days_after(1)
    return days_after


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, on_the_day: Callable[[int], None]) -> Callable[..., AppTest]:
    """Opens a page of a home, as ``puntual dash`` would."""
    st.cache_data.clear()

    def opened(home: Path | None, page: str = "portfolio", language: str = "es") -> AppTest:
        if home is None:
            monkeypatch.delenv("PUNTUAL_HOME", raising=False)
        else:
            monkeypatch.setitem(os.environ, "PUNTUAL_HOME", str(home))
        app = AppTest.from_file(str(APP), default_timeout=30)
        if language != "es":
            app.query_params["lang"] = language
        app.run()
        return app if page == "portfolio" else app.switch_page(f"views/{page}.py").run()

    return opened


def shown(app: AppTest) -> str:
    """Every sentence on the page."""
    kinds = ("title", "subheader", "caption", "markdown", "info", "error", "warning", "success", "code")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))


@pytest.fixture
def as_of() -> date:
    """Business date of the ordinary snapshot."""
    return AS_OF
