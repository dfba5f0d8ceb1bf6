"""Which definition of the label and which code a trained model comes from, for its manifest."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from models.artifacts import file_digest, json_bytes
from puntual.errors import ModelError
from puntual.paths import DBT_PROJECT, PROJECT_ROOT

LABELS = {
    "default_risk": "label_loan__default",
    "contact_channel": "label_customer__contact_response",
    "kept_promise": "label_promise__kept",
    "recovery": "label_customer__recovery",
    "willingness": "panel_customer__week",
}
"""Per model: the dbt model of what it learns to predict."""
_OWED = ("allocation_order", "timezone", "tolerance_amount")
BENEATH = {
    "default_risk": (*_OWED, "due_day_is_past_due"),
    "contact_channel": (*_OWED, "due_day_is_past_due"),
    "kept_promise": (*_OWED, "due_day_is_past_due", "promise_grace_days", "promise_tolerance_share"),
    # whom it learns from: what falls due within the response window is near arrears
    "recovery": (*_OWED, "due_day_is_past_due", "response_window_days"),
    "willingness": _OWED,
}
"""Per model: the variables that the tables and macros beneath its label read, and that decide what the label says."""
_VARIABLE = re.compile(r"""var\(\s*['"]([a-z_]+)['"]""")


def label_definition(name: str, variables: Mapping[str, Any], project: Path = DBT_PROJECT) -> dict[str, Any]:
    """What the model's label means: its table, the digest of its SQL, the settings behind it, and a digest of both.

    The settings are those that its SQL reads and those that decide beneath it (``BENEATH``).

    ``sha256`` is the same for two models exactly when they learnt from the same SQL of the label under the same
    settings; ``project_sha256`` is of all SQL of the project, and says whether anything beneath the label changed.

    Args:
        name: name of the model, one of ``LABELS``.
        variables: the variables of the dbt project for the institution.
        project: folder of the dbt project.

    Raises:
        ModelError: the model has no label here, its SQL is not there, or a variable behind it is not given.
    """
    if name not in LABELS:
        raise ModelError(f"{name!r} has no label; known are {sorted(LABELS)}.")
    file = project / "models" / "features" / f"{LABELS[name]}.sql"
    if not file.is_file():
        raise ModelError(f"{name}: the SQL of its label is not at {file}; install the product again.")
    content = file.read_bytes()
    read = sorted({*_VARIABLE.findall(content.decode()), *BENEATH[name]})
    missing = [variable for variable in read if variable not in variables]
    if missing:
        raise ModelError(
            f"{name}: {file.name}, or what is beneath it, reads the variables {missing}, which are not given."
        )
    meaning = {"sql_sha256": file_digest(content), "settings": {variable: variables[variable] for variable in read}}
    return meaning | {
        "table": f"features.{LABELS[name]}",
        "sha256": file_digest(json_bytes(meaning)),
        "project_sha256": _digest_of(project),
    }


@cache
def git_commit(root: Path = PROJECT_ROOT) -> str | None:
    """The commit of the checkout at ``root``, with ``-dirty`` where tracked files differ; None where there is none.

    An installed product is no checkout, and a machine may have no git: neither is an error.
    """
    if not (root / ".git").exists():
        return None
    command = ["git", "--no-optional-locks", f"--git-dir={root / '.git'}", f"--work-tree={root}"]
    command += ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _digest_of(project: Path) -> str:
    files = sorted(file for folder in ("models", "macros") for file in (project / folder).rglob("*.sql"))
    lines = (f"{file.relative_to(project).as_posix()}\0{file_digest(file.read_bytes())}\n" for file in files)
    return file_digest("".join(lines).encode())
