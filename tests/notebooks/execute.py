"""Runs the notebooks on a home from top to bottom, by this very Python, and keeps no output.

python -m tests.notebooks.execute HOME [NOTEBOOK ...]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
_KERNEL = "puntual"
_CELL_SECONDS = 600


def executed(notebook: Path, home: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs, in memory; the file stays as it is.

    Args:
        notebook: file to run.
        home: what ``PUNTUAL_HOME`` says to it.
        folder: where the notebook works.

    Raises:
        CellExecutionError: a cell failed; the text has the cell and its traceback.
    """
    content = nbformat.read(notebook, as_version=4)
    # The kernel, its settings and its history live here, not in the user's folders; sockets want a short path.
    with tempfile.TemporaryDirectory(prefix="puntual-nb-") as temporary:
        workspace = Path(temporary)
        manager = AsyncKernelManager(
            kernel_name=_KERNEL,
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(_kernels(workspace))]),
            connection_file=str(workspace / "connection.json"),
            transport="ipc",
            ip=str(workspace / "socket"),
        )
        client = NotebookClient(content, km=manager, timeout=_CELL_SECONDS, kernel_name=_KERNEL)
        client.execute(cwd=str(folder), env=_environment(workspace, home), cleanup_kc=True)
    return content


def _kernels(workspace: Path) -> Path:
    """A folder with one kernel: this interpreter, whatever kernels the user has."""
    folder = workspace / "kernels"
    (folder / _KERNEL).mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Puntual", "language": "python"}
    (folder / _KERNEL / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return folder


def _environment(workspace: Path, home: Path) -> dict[str, str]:
    own = {
        name: str(workspace / name.lower())
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    }
    # PYTHONPATH: the checkout beside the notebooks, should another one be installed.
    return {**os.environ, **own, "PUNTUAL_HOME": str(home.resolve()), "PYTHONPATH": str(ROOT)}


def main(home: str, *names: str) -> int:
    """Run all notebooks, or those named, and say how long each took; 1 when one failed."""
    chosen = [file for file in NOTEBOOKS if not names or any(file.name.startswith(Path(name).name) for name in names)]
    failed = 0
    for file in chosen:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="puntual-notebook-") as folder:
            try:
                executed(file, Path(home), Path(folder))
                outcome = "ok"
            except CellExecutionError as error:
                failed += 1
                outcome = f"FAILED\n{error}"
        sys.stdout.write(f"{file.name}  {time.monotonic() - start:.0f} s  {outcome}\n")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m tests.notebooks.execute HOME [NOTEBOOK ...]")
    sys.exit(main(*sys.argv[1:]))
