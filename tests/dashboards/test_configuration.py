"""Streamlit is told to stay on this machine, and its colours are those of the figures."""

import tomllib
from pathlib import Path

from dashboards import charts

CONFIG = tomllib.loads((Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))


def test_pages_listen_on_loopback_and_report_nothing():
    assert CONFIG["server"]["address"] == "127.0.0.1"
    assert CONFIG["server"]["headless"] is True
    assert CONFIG["browser"]["gatherUsageStats"] is False


def test_theme_and_figures_share_their_colours():
    assert CONFIG["theme"]["primaryColor"] == charts.PRIMARY
    assert CONFIG["theme"]["textColor"] == charts.INK
