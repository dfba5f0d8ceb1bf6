"""The dbt project parsed once per session, engine and settings, instead of once per home.

dbt keeps what it parsed in each target folder and forgets it when the profile differs, where the path of the DuckDB
file stands. Nothing of the parsed form depends on that path: only the name of the database does, which dbt keeps apart.
dbt's own checks of what changed since (files, variables, engine, version) stay as they are.
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
    from dbt.parser.manifest import PARTIAL_PARSE_FILE_NAME, ManifestLoader

    if hasattr(ManifestLoader, "shares_parsed_projects") or not _folders:
        return
    (folder,) = _folders
    folder.mkdir(exist_ok=True)
    connection_keys, read, write = (
        DuckDBCredentials._connection_keys,
        ManifestLoader.read_manifest_for_partial_parse,
        ManifestLoader.write_manifest_for_partial_parse,
    )

    def without_path(self: Any) -> tuple[str, ...]:
        return tuple(key for key in connection_keys(self) if key != "path")

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
    ManifestLoader.read_manifest_for_partial_parse = read_shared
    ManifestLoader.write_manifest_for_partial_parse = write_shared
    ManifestLoader.shares_parsed_projects = True
