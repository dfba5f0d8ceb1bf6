"""Makes the machine ready for the tests: the browser that the page tests drive, where it can be had."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


def main() -> None:
    """Install Chromium by the system's package manager when it is absent and we may; say so when we may not."""
    if any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        sys.stdout.write("Installing Chromium for the page tests\n")
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
        done = subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=False, **quiet)
        if done.returncode == 0:
            return
    sys.stdout.write(
        "Chromium is not installed: the tests that drive a browser will be skipped. Install the package chromium.\n"
    )


if __name__ == "__main__":
    main()
