"""kill -9 at any moment of a run leaves yesterday standing and a home that runs again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from puntual.publish import verify
from puntual.snapshot import Snapshot


@pytest.mark.long
@pytest.mark.parametrize("moment", ["transform", pytest.param("ml__channel_scores", marks=pytest.mark.slow)])
def test_a_killed_run_is_followed_by_one_that_completes(demo_home, finished_home, tmp_path, moment):
    home = tmp_path / "home"
    shutil.copytree(demo_home, home)
    program = (
        "import os, signal, sys\n"
        "from datetime import date\n"
        "from pathlib import Path\n"
        "from puntual.settings import quiet_environment\n"
        "quiet_environment()\n"
        "from pipelines.run import run_day\n"
        "from puntual.lock import exclusive\n"
        "from puntual.paths import Home\n"
        "class Witness:\n"
        "    def begin(self, step, title):\n"
        "        print('begin', step, flush=True)\n"
        "    def end(self, step, *, succeeded): pass\n"
        "home = Home(Path(sys.argv[1]))\n"
        "with exclusive(home):\n"
        "    run_day(home, date(2026, 6, 30), progress=Witness())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.strip() == f"begin {moment}":
            time.sleep(0.3)
            os.kill(process.pid, signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    assert not (home / "published" / "current").exists()
    done = subprocess.run(
        [sys.executable, "-m", "puntual.cli", "run", str(home), "--as-of", "2026-06-30"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    snapshot = Snapshot.current(home)
    assert verify(snapshot) == []
    expected = Snapshot.current(finished_home).folder / "decisions.parquet"
    assert (snapshot.folder / "decisions.parquet").read_bytes() == expected.read_bytes()
