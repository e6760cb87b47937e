"""The console command is the whole program."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import linnet
from run_linnet import run
from safetensors_file import load


def test_version_and_help() -> None:
    assert run("--version").stdout == f"linnet {linnet.__version__}\n"
    assert "generate" in run("--help").stdout
    module = subprocess.run(
        [sys.executable, "-m", "linnet", "--version"], capture_output=True, text=True, check=True
    )
    assert module.stdout == f"linnet {linnet.__version__}\n"


def test_exit_codes(tmp_path: pathlib.Path) -> None:
    for arguments, code in [(["inspect", str(tmp_path / "none")], 1), (["generate", "--bad"], 2)]:
        with pytest.raises(subprocess.CalledProcessError) as error:
            run(*arguments)
        assert error.value.returncode == code
        assert error.value.stderr.startswith("linnet: ")


@pytest.mark.parametrize("exact", [False, True])
def test_logits_are_those_of_forward(exact: bool, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.safetensors"
    how = [] if exact else ["--fast"]  # the command is exact unless it is told otherwise
    run("logits", "builtin", "--tokens", "1,2,3,4", *how, "--out", str(path))
    logits = linnet.Model.open(exact=exact).forward([1, 2, 3, 4], all_logits=True)
    assert np.array_equal(logits, load(path)["logits"])


def test_chat_reads_lines_from_a_pipe() -> None:
    assert run("chat", "--seed", "1", "--max-tokens", "20", input="Hello!\n").stdout.strip()
