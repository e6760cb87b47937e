"""Models that the tests share. All are built in, made here, or read from ../shared/data."""

from __future__ import annotations

import pathlib
import signal

import pytest

import linnet

ROOT = pathlib.Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data"

# What runs in the background of a shell ignores it, and Python then knows no KeyboardInterrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def model() -> linnet.Model:
    return linnet.Model.open()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The built-in model as a file in bf16."""
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    linnet.convert("builtin", path, type="bf16")
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A model of bytes with random weights."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    linnet.new_model(path, layers=2, width=64, vocab=256, head_size=32, seed=3)
    return path


@pytest.fixture(scope="session")
def data() -> pathlib.Path:
    if not DATA.is_dir():
        pytest.skip("no ../shared/data")
    return DATA
