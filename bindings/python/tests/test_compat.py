"""linnet.compat.rwkv: the reference's numbers and greedy text, from files and from the package."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import os
import pathlib
import sys
from typing import Any

import numpy as np
import pytest

import linnet
from linnet.compat.rwkv.model import RWKV, StateList
from linnet.compat.rwkv.utils import PIPELINE, PIPELINE_ARGS
from safetensors_file import load

GENERATIONS = ["4", "5.0", "5.1", "5.2", "6", "7"]


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("whole", [False, True])
def test_goldens(data: pathlib.Path, generation: str, whole: bool) -> None:
    golden = load(data / "golden" / f"random-v{generation}.golden.safetensors")
    model = RWKV(str(data / "golden" / f"random-v{generation}"), "cpu fp32", verbose=False)
    tokens = golden["tokens"].tolist()
    if whole:
        logits, state = model.forward(tokens, None, full_output=True)
    else:
        state, rows = None, []
        for token in tokens:
            out, state = model.forward([token], state)
            rows.append(np.asarray(out))
        logits = np.stack(rows)
    assert np.abs(np.asarray(logits) - golden["logits"]).max() < 2e-4
    assert state is not None
    for i, tensor in enumerate(state):
        expected = golden[f"state.{i:03}"]
        assert tuple(tensor.shape) == expected.shape
        assert np.abs(np.asarray(tensor) - expected).max() < 2e-4


@pytest.mark.parametrize("generation", ["4", "5.0", "5.2", "6", "7"])
def test_greedy_text_of_trained_models(data: pathlib.Path, generation: str) -> None:
    golden = load(data / "models" / f"tiny-v{generation}.golden.safetensors")
    model = RWKV(str(data / "models" / f"tiny-v{generation}.pth"), "cpu fp32", verbose=False)
    out, state = model.forward(list(b'"in the morning, she said. The '), None)
    for token in golden["greedy"]:
        assert int(np.asarray(out).argmax()) == token
        out, state = model.forward([int(token)], state)


def test_a_state_is_the_references_list(data: pathlib.Path) -> None:
    model = RWKV(str(data / "golden" / "random-v7.pth"), "cpu fp32", verbose=False)
    _, state = model.forward([1, 2, 3], None)
    assert isinstance(state, StateList) and len(state) == 3 * model.n_layer
    expected, _ = model.forward([4], copy.deepcopy(state))
    plain = [copy.deepcopy(tensor) for tensor in state]
    again, _ = model.forward([4], plain)
    assert np.array_equal(np.asarray(again), np.asarray(expected))
    other = copy.copy(state)
    other[1] = other[1] * 0
    changed, moved = model.forward([4], other)
    assert moved is other and not np.array_equal(np.asarray(changed), np.asarray(expected))
    other = copy.copy(state)
    other[1][:] = 0
    in_place, _ = model.forward([4], other)
    assert np.array_equal(np.asarray(in_place), np.asarray(changed))
    out, same = model.forward([4], state)
    assert same is state and np.array_equal(np.asarray(out), np.asarray(expected))


def test_strategies(base: pathlib.Path) -> None:
    def bytes_of(strategy: str) -> int:
        return RWKV(str(base), strategy, verbose=False).model.matrix_bytes

    full = bytes_of("cpu fp32")
    assert bytes_of("cuda fp16") == bytes_of("cpu bf16") == full
    assert bytes_of("cpu fp32i8") < bytes_of("cpu fp32i8 *1 -> cpu fp32") < full
    assert bytes_of("cuda:0 fp16 *2+ -> cpu fp32") == full
    for bad in ["cpu", "cpu fp64", "cpu fp32 *1 -> cpu fp32i8", ""]:
        with pytest.raises(linnet.InputError, match="strategy"):
            bytes_of(bad)


def test_pipeline(base: pathlib.Path, data: pathlib.Path) -> None:
    model = RWKV(str(base), "cpu fp32", verbose=False)
    pipeline = PIPELINE(model, str(base))
    text = "Once upon a time"
    assert pipeline.decode(pipeline.encode(text)) == text
    assert pipeline.refine_context("  a \n\n b ") == "\na\nb"
    parts: list[str] = []
    greedy = PIPELINE_ARGS(top_p=0, alpha_frequency=0, alpha_presence=0, token_stop=[0])
    out = pipeline.generate(text, token_count=20, args=greedy, callback=parts.append)
    expected = model.model.generate(
        text, max_tokens=20, temperature=0, presence_penalty=0, frequency_penalty=0
    ).finish()
    assert out == "".join(parts) and expected.startswith(out)
    np.random.seed(1)
    a = pipeline.generate(text, token_count=10)
    np.random.seed(1)
    assert pipeline.generate(text, token_count=10) == a
    logits, _ = model.forward(pipeline.encode(text), None)
    best = int(np.asarray(logits).argmax())
    assert pipeline.sample_logits(logits, temperature=0) == best
    assert pipeline.sample_logits(logits, top_k=1) == best
    banned = PIPELINE_ARGS(top_p=0, token_ban=[pipeline.encode(out)[0]])
    assert pipeline.generate(text, token_count=1, args=banned) != out[: len(parts[0])]
    world = PIPELINE(None, "rwkv_vocab_v20230424")
    assert world.decode(world.encode("Hello 世界")) == "Hello 世界"


# A script as people write it for the reference, which gets either module.
def script(rwkv: Any, utils: Any, path: str, strategy: str, words: str) -> tuple[list[Any], str]:
    model = rwkv.RWKV(model=path, strategy=strategy)
    pipeline = utils.PIPELINE(model, words)
    out, state = model.forward([187, 60, 5], None)
    outs = [out.detach().cpu().numpy()]
    out, state = model.forward([9, 8], state)
    out, state = model.forward([7], state)
    outs.append(out.detach().cpu().numpy())
    args = utils.PIPELINE_ARGS(
        temperature=1.0, top_p=0, top_k=1, alpha_frequency=0.25, alpha_presence=0.25,
        alpha_decay=0.996, token_ban=[0], token_stop=[], chunk_len=3,
    )  # fmt: skip
    parts: list[str] = []
    ctx = "Elon Musk has"
    assert pipeline.generate(ctx, token_count=30, args=args, callback=parts.append) is not None
    return outs, "".join(parts)


@pytest.mark.parametrize("generation", ["4", "5.2", "6", "7"])
@pytest.mark.skipif(
    not importlib.util.find_spec("torch") or not importlib.util.find_spec("rwkv"),
    reason="the packages rwkv and torch are not installed",
)
def test_the_packages_scripts_on_both(
    tmp_path: pathlib.Path, generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = importlib.import_module("torch")
    path = tmp_path / "model.pth"
    linnet.new_model(path, generation=generation, layers=3, width=128, vocab=65536, seed=5)
    monkeypatch.setitem(os.environ, "RWKV_V7_ON", "1" if generation == "7" else "0")
    monkeypatch.setitem(os.environ, "RWKV_JIT_ON", "0")
    load_file = torch.load

    def load_without_mmap(*args: Any, mmap: bool = False, **more: Any) -> Any:
        return load_file(*args, **more)

    monkeypatch.setattr(torch, "load", load_without_mmap)  # older ones do not have it
    for name in [name for name in sys.modules if name.split(".")[0] == "rwkv"]:
        del sys.modules[name]  # it reads the environment at import
    reference = importlib.import_module("rwkv.model")
    utils = importlib.import_module("rwkv.utils")
    name = str(path)[:-4]
    words = "rwkv_vocab_v20230424"
    expected, text = script(reference, utils, name, "cpu fp32", words)
    ours = "linnet.compat.rwkv"
    mine, my_text = script(
        importlib.import_module(f"{ours}.model"), importlib.import_module(f"{ours}.utils"), name,
        "cpu fp32", words,
    )  # fmt: skip
    for a, b in zip(expected, mine):
        assert np.abs(a - b).max() < 2e-4
    assert my_text == text
