"""The dbt project parsed once per session and engine, instead of once per home and setting.

dbt keeps what it parsed in each target folder and forgets it when the profile differs, where the path of the DuckDB
file stands, or a variable does. Nothing of the parsed form depends on that path: only the name of the database does,
which dbt keeps apart. Nothing depends on the variables either: models read them when they are compiled, no
configuration and no reference hangs on one (``test_what_is_parsed_does_not_depend_on_settings``).
dbt's own checks of what changed since (files, engine, version) stay as they are.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

_written: dict[Path, str] = {}
_folders: list[Path] = []


def keep_parsed_projects_in(folder: Path) -> None:
    """Say where the processes of this session share what dbt parsed."""
    _folders[:] = [folder]


def share_parsed_projects() -> None:
    """From now on dbt in this process begins with what was parsed before for the same project and settings."""
    from dbt.adapters.duckdb.credentials import DuckDBCredentials
    from dbt.contracts.files import FileHash
    from dbt.parser.manifest import PARTIAL_PARSE_FILE_NAME, ManifestLoader

    if hasattr(ManifestLoader, "shares_parsed_projects") or not _folders:
        return
    (folder,) = _folders
    folder.mkdir(exist_ok=True)
    connection_keys, state, read, write = (
        DuckDBCredentials._connection_keys,
        ManifestLoader.build_manifest_state_check,
        ManifestLoader.read_manifest_for_partial_parse,
        ManifestLoader.write_manifest_for_partial_parse,
    )

    def without_path(self: Any) -> tuple[str, ...]:
        return tuple(key for key in connection_keys(self) if key != "path")

    def without_variables(self: Any) -> Any:
        found = state(self)
        found.vars_hash = FileHash.from_contents("any")
        return found

    def own_and_shared(loader: Any) -> tuple[Path, Path, str]:
        project = loader.root_project
        parts = [project.project_root, project.credentials.type, str(loader.manifest.state_check.to_dict())]
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return Path(project.project_target_path) / PARTIAL_PARSE_FILE_NAME, folder / f"{key}.msgpack", key

    def read_shared(self: Any) -> Any:
        own, shared, key = own_and_shared(self)
        # What this process wrote there last is left alone, whatever has become of it since.
        if _written.get(own) != key and shared.exists():
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(shared, own)
            _written[own] = key
        return read(self)

    def write_shared(self: Any) -> None:
        write(self)
        own, shared, key = own_and_shared(self)
        _written[own] = key
        if not shared.exists():
            new = shared.with_suffix(f".{os.getpid()}")
            shutil.copyfile(own, new)
            new.replace(shared)

    DuckDBCredentials._connection_keys = without_path
    ManifestLoader.build_manifest_state_check = without_variables
    ManifestLoader.read_manifest_for_partial_parse = read_shared
    ManifestLoader.write_manifest_for_partial_parse = write_shared
    ManifestLoader.shares_parsed_projects = True
