"""One run at a time in a home. The lock dies with its process: a killed run leaves nothing to clean up."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from puntual.errors import HomeBusyError
from puntual.paths import Home

_held: dict[Path, int] = {}
_guard = threading.Lock()


@contextmanager
def exclusive(home: Home) -> Iterator[None]:
    """Hold the home for as long as the block lasts; blocks inside one another in the same process share the hold.

    Raises:
        HomeBusyError: another process holds it; names it.
    """
    root = home.root.resolve()
    with _guard:
        is_ours = root in _held
        _held[root] = _held.get(root, 0) + 1
    try:
        if is_ours:
            yield
        else:
            with _file_lock(home):
                yield
    finally:
        with _guard:
            _held[root] -= 1
            if not _held[root]:
                del _held[root]


@contextmanager
def _file_lock(home: Home) -> Iterator[None]:
    home.root.mkdir(parents=True, exist_ok=True)
    with home.lock_file.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HomeBusyError(
                f"Another run is working in {home.root} (process {holder(home)}). "
                "Wait until it ends; nothing was changed."
            ) from error
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)


def holder(home: Home) -> str | None:
    """The process that works in the home now; None when nobody does."""
    if not home.lock_file.exists():
        return None
    with home.lock_file.open("r", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return stream.read().strip() or "unknown"
    return None
