"""Model.open and forward: the same numbers as the reference and as any other way to run them."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

import linnet
from safetensors_file import load

GENERATIONS = ["4", "5.0", "5.1", "5.2", "6", "7"]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_logits_and_state_are_the_references(data: pathlib.Path, generation: str) -> None:
    golden = load(data / "golden" / f"random-v{generation}.golden.safetensors")
    model = linnet.Model.open(data / "golden" / f"random-v{generation}.pth", exact=True)
    state = model.new_state()
    logits = model.forward(golden["tokens"], state, all_logits=True)
    assert model.generation == generation
    assert logits.dtype == np.float32 and logits.shape == (40, model.vocab)
    assert np.abs(logits - golden["logits"]).max() < 2e-4
    for i, tensor in enumerate(state.to_reference()):
        assert np.abs(tensor - golden[f"state.{i:03}"]).max() < 2e-4


def test_one_by_one_equals_all_at_once(model: linnet.Model) -> None:
    tokens = model.tokenizer.encode("Once upon a time there was a fox.")
    a, b = model.new_state(), model.new_state()
    rows = model.forward(tokens, a, all_logits=True)
    steps = [model.forward(token, b) for token in tokens]
    assert np.array_equal(rows, np.stack(steps))
    assert np.array_equal(a.values, b.values)
    assert np.array_equal(model.forward(tokens), rows[-1])


def test_tokens_may_be_any_integers(model: linnet.Model) -> None:
    expected = model.forward([1, 2, 3])
    same: list[Any] = [
        (1, 2, 3),
        range(1, 4),
        np.array([1, 2, 3], np.int32),
        np.array([1, 2, 3]),
        np.array([1, 2, 3], np.uint16),
        np.array([1, 9, 2, 9, 3, 9], np.int32)[::2],
        [np.int64(1), np.int32(2), 3],
    ]
    for tokens in same:
        assert np.array_equal(model.forward(tokens), expected)
    assert np.array_equal(model.forward(np.int64(5)), model.forward([5]))


def test_batch_equals_members_alone(model: linnet.Model) -> None:
    texts: list[Any] = [[1, 2, 3], [4], np.array([5, 6])]
    states = [model.new_state() for _ in texts]
    logits = model.forward(texts, states)
    assert logits.shape == (3, model.vocab)
    rows = model.forward(texts, all_logits=True)
    assert rows.shape == (6, model.vocab)
    for i, text in enumerate(texts):
        alone = model.new_state()
        assert np.array_equal(model.forward(text, alone), logits[i])
        assert np.array_equal(alone.values, states[i].values)
    assert np.array_equal(rows[[2, 3, 5]], logits)
    assert np.array_equal(model.forward([np.array([1, 2, 3])], [model.new_state()])[0], logits[0])


def test_out_is_written_in_place(model: linnet.Model) -> None:
    out = np.zeros(model.vocab, np.float32)
    assert model.forward([1, 2], out=out) is out
    assert np.array_equal(out, model.forward([1, 2]))
    with pytest.raises(linnet.InputError, match="expected"):
        model.forward([1, 2], out=np.zeros(3, np.float32))
    with pytest.raises(linnet.InputError, match="float32"):
        model.forward([1, 2], out=np.zeros(model.vocab, np.float64))
    out.flags.writeable = False
    with pytest.raises(linnet.InputError, match="writable"):
        model.forward([1, 2], out=out)


def test_long_text_equals_short_calls(model: linnet.Model) -> None:
    tokens = np.arange(2500, dtype=np.int32) % model.vocab
    a, b = model.new_state(), model.new_state()
    rows = model.forward(tokens, a, all_logits=True)
    parts = [model.forward(tokens[begin : begin + 250], b) for begin in range(0, 2500, 250)]
    assert np.array_equal(rows[-1], parts[-1]) and np.array_equal(a.values, b.values)


def test_bad_input_changes_nothing(model: linnet.Model) -> None:
    state = model.new_state()
    model.forward([1, 2], state)
    before = state.values.copy()
    bad: list[Any] = [[], [model.vocab], [1] * 2000 + [model.vocab], [-1], [2**40], ["a"], "abc"]
    bad.append([1.5])
    for tokens in bad:
        with pytest.raises(linnet.InputError):
            model.forward(tokens, state)
    with pytest.raises(linnet.InputError, match="one for each"):
        model.forward([[1], [2]], [state])
    with pytest.raises(linnet.InputError, match="in use"):
        model.forward([[1], [2]], [state, state])
    assert np.array_equal(state.values, before)


def test_quantized_and_its_options(base: pathlib.Path) -> None:
    plain = linnet.Model.open(base)
    int8 = linnet.Model.open(base, quant="int8", threads=1)
    assert int8.matrix_bytes < plain.matrix_bytes
    assert int8.threads == 1
    error = np.abs(int8.forward([1, 2, 3]) - plain.forward([1, 2, 3])).max()
    assert 0 < error < 1
    assert linnet.Model.open(base, quant="int8", quant_layers=1).matrix_bytes > int8.matrix_bytes
    with pytest.raises(linnet.InputError, match="q9"):
        linnet.Model.open(base, quant="q9")


def test_perplexity_is_the_mean_of_forward(model: linnet.Model) -> None:
    text = "The little fox ran into the wood."
    score = model.perplexity(text)
    tokens = model.tokenizer.encode(text)
    rows = model.forward([0, *tokens[:-1]], all_logits=True).astype(np.float64)
    log_p = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    nats = -log_p[np.arange(len(tokens)), tokens].mean()
    assert score["tokens"] == len(tokens) and score["bytes"] == len(text)
    assert score["nats_per_token"] == pytest.approx(nats, abs=1e-4)
    assert score["perplexity"] == pytest.approx(np.exp(nats), rel=1e-3)


def test_progress_may_end_the_loading(base: pathlib.Path) -> None:
    seen: list[float] = []
    linnet.Model.open(base, progress=seen.append)
    assert seen and seen == sorted(seen) and seen[-1] <= 1

    def stop(done: float) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        linnet.Model.open(base, progress=stop)


def test_facts(model: linnet.Model) -> None:
    assert model.generation == "7" and model.layers > 0 and model.heads * model.head_size == model.width
    assert len(model.hash) == 16 and "RWKV-7" in repr(model)
    assert len(model.identity()) == 64
