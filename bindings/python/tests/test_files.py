"""convert, quantize, inspect, and new models."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

import linnet
from run_linnet import run


def test_convert_keeps_the_model(data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    source = data / "golden" / "random-v7.fla.safetensors"
    logits = linnet.Model.open(source).forward([1, 2, 3])
    for name in ("a.pth", "a.safetensors", "a.gguf"):
        seen: list[float] = []
        result = linnet.convert(source, tmp_path / name, progress=seen.append)
        assert result["bytes"] == (tmp_path / name).stat().st_size
        assert result["tensors"] > 0 and 0.9 < seen[-1] <= 1
        other = linnet.Model.open(tmp_path / name).forward([1, 2, 3])
        assert np.abs(other - logits).max() < (1e-2 if name == "a.gguf" else 1e-9)
    for out, options in [("a.txt", {}), ("b.pth", {"type": "q8_0"}), ("b.gguf", {"type": "x"})]:
        with pytest.raises(linnet.InputError):
            linnet.convert(source, tmp_path / out, **options)  # type: ignore[arg-type]
    with pytest.raises(linnet.InputError, match="is read"):
        linnet.convert(tmp_path / "a.pth", tmp_path / "a.pth")
    assert not (tmp_path / "b.pth").exists()


def test_quantize_is_the_programs(base: pathlib.Path, tmp_path: pathlib.Path) -> None:
    mine, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    result = linnet.quantize(base, mine, "nf4", head="int8", keep="blocks.0.")
    run("quantize", str(base), str(other), "--type", "nf4", "--head", "int8", "--keep", "blocks.0.")
    assert mine.read_bytes() == other.read_bytes()
    assert result["bytes"] == mine.stat().st_size < base.stat().st_size
    with pytest.raises(linnet.InputError):
        linnet.quantize(base, mine, "f32")
    with pytest.raises(linnet.InputError, match="keep"):
        linnet.quantize(base, mine, "int8", keep="(")


def test_progress_may_end_it(base: pathlib.Path, tmp_path: pathlib.Path) -> None:
    def stop(done: float) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        linnet.convert(base, tmp_path / "a.pth", progress=stop)
    with pytest.raises(RuntimeError, match="enough"):
        linnet.quantize(base, tmp_path / "a.safetensors", "int8", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_inspect_is_the_programs(base: pathlib.Path) -> None:
    assert linnet.inspect(base) == json.loads(run("inspect", str(base), "--json").stdout)
    facts = linnet.inspect("builtin")
    assert facts["kind"] == "model" and facts["generation"] == "7"


def test_new_model(tmp_path: pathlib.Path) -> None:
    for generation in ["4", "5.2", "6", "7"]:
        path = tmp_path / f"{generation}.pth"
        linnet.new_model(path, generation=generation, layers=2, width=64, vocab=300, seed=2)
        model = linnet.Model.open(path)
        assert (model.generation, model.layers, model.vocab) == (generation, 2, 300)
    with pytest.raises(linnet.InputError, match="generation"):
        linnet.new_model(tmp_path / "x.pth", generation="3", layers=1, width=64)
    with pytest.raises(linnet.InputError):
        linnet.new_model(tmp_path / "x.pth", layers=1, width=65)


def test_errors_carry_their_kind(tmp_path: pathlib.Path) -> None:
    for path, kind, also in [
        (tmp_path / "none.pth", linnet.FileError, OSError),
        (tmp_path / "bad.safetensors", linnet.ModelError, ValueError),
    ]:
        (tmp_path / "bad.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
        with pytest.raises(kind) as error:
            linnet.Model.open(path)
        assert isinstance(error.value, linnet.Error) and isinstance(error.value, also)
        assert path.name in str(error.value) and "\n" not in str(error.value)
    assert linnet.FileError("x").kind == "io" and linnet.InputError("x").kind == "bad_input"
    assert issubclass(linnet.OutOfMemoryError, MemoryError)
