"""One run at a time in a home. The lock dies with its process: a killed run leaves nothing to clean up."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from puntual.errors import PuntualError
from puntual.paths import Home


@contextmanager
def exclusive(home: Home) -> Iterator[None]:
    """Hold the home for as long as the block lasts.

    Raises:
        PuntualError: another run holds it; names its process.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    with home.lock_file.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise PuntualError(
                f"Another run is working in {home.root} (process {holder}). Wait until it ends; nothing was changed."
            ) from error
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
        stream.truncate(0)
