"""One visit in a real browser: today's list with a collector's Excel, then KPIs and audit with an export."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def address(shared_home: Path, tmp_path: Path) -> Iterator[str]:
    """The address of the pages, served as ``puntual dash`` serves them; stopped by its own process id."""
    port = free_port()
    log = tmp_path / "streamlit.log"
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(ROOT / "dashboards" / "app.py"),
        "--server.port",
        str(port),
    ]
    with log.open("wb") as stream:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PUNTUAL_HOME": str(shared_home), "HOME": str(tmp_path)},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/_stcore/health", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until_healthy(url: str, server: subprocess.Popen, log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"The pages did not start within {START_SECONDS} s:\n{log.read_text(errors='replace')}")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_collector_list_is_downloaded_as_published_and_nothing_leaves_the_machine(address, shared_home, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    outside: list[str] = []
    errors: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
            page.on(
                "request", lambda request: outside.append(request.url) if is_outside(request.url, address) else None
            )
            page.on("websocket", lambda socket: outside.append(socket.url) if is_outside(socket.url, address) else None)
            page.on("console", lambda message: errors.append(message.text) if is_error(message, address) else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.set_default_timeout(60_000)

            page.goto(address)
            page.get_by_role("heading", name="Cartera y mora").wait_for()
            page.locator(".js-plotly-plot").first.wait_for()
            page.get_by_role("link", name="Lista de hoy").click()
            page.get_by_role("heading", name="Lista de hoy").wait_for()

            page.get_by_role("combobox", name="Gestor").click()
            page.get_by_role("option", name="José Núñez").click()
            with page.expect_download() as download:
                page.get_by_role("button", name="Excel de José Núñez").click()
            saved = tmp_path / "list.xlsx"
            download.value.save_as(saved)
            assert download.value.suggested_filename == "2026-06-30_C02.xlsx"

            page.set_viewport_size({"width": 390, "height": 844})
            page.wait_for_timeout(500)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            for path, heading in (("kpis", "Indicadores"), ("audit", "Auditoría")):
                for width in (390, 1280):
                    page.set_viewport_size({"width": width, "height": 900})
                    page.goto(f"{address}/{path}")
                    page.get_by_role("heading", name=heading).first.wait_for()
                    page.locator(".js-plotly-plot").first.wait_for()
                    assert page.evaluate("document.documentElement.scrollWidth") <= width
            with page.expect_download() as export:
                page.get_by_role("button", name="Exportar XLSX").click()
            assert export.value.suggested_filename == "2026-06-30_movement.xlsx"
        finally:
            browser.close()
    assert saved.read_bytes() == (shared_home / "published" / "current" / "worklists" / "C02.xlsx").read_bytes()
    assert outside == []
    assert errors == []


def is_outside(url: str, address: str) -> bool:
    """Whether a request leaves this machine."""
    host = address.removeprefix("http://")
    return not url.startswith((f"http://{host}/", f"ws://{host}/", "data:", "blob:"))


def is_error(message, address: str) -> bool:
    """Whether the page complained; a page opened by its address asks below that path first and is answered 404."""
    below_a_page = message.location.get("url", "").startswith((f"{address}/kpis/", f"{address}/audit/"))
    return message.type == "error" and not below_a_page
