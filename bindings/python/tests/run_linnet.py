"""Runs the console command that the wheel installed."""

from __future__ import annotations

import pathlib
import subprocess
import sys


def run(*arguments: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
    program = pathlib.Path(sys.executable).parent / "linnet"
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=True, input=input
    )
