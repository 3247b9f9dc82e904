"""Servers for tests from Debian's packages."""

import os
import shutil
import subprocess

INSTALL_S = 300
# A package asks nothing.
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def install(package: str) -> None:
    """Install a package where that is allowed and possible."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    options = {"capture_output": True, "timeout": INSTALL_S, "env": os.environ | QUIET}
    try:
        subprocess.run(["apt-get", "update"], **options)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", package], **options)
    except subprocess.TimeoutExpired:
        return
