"""generate: the text of the program, piece by piece."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest

import linnet
from run_linnet import run

PROMPT = "Once upon a time"


def test_text_is_the_programs(model: linnet.Model) -> None:
    program = json.loads(
        run("generate", "--prompt", PROMPT, "--seed", "7", "--max-tokens", "40", "--json").stdout
    )
    text = model.generate(PROMPT, seed=7, max_tokens=40)
    pieces = list(text)
    assert text.text == program["text"] == "".join(map(str, pieces))
    assert text.tokens == program["tokens"]
    assert text.prompt_tokens == program["prompt_tokens"]
    assert text.finish_reason == program["finish_reason"]
    assert all(piece.logprob is None for piece in pieces)
    assert text.timings["decode_s"] > 0
    assert model.generate(PROMPT, seed=7, max_tokens=40).finish() == text.text


def test_tokens_are_the_most_likely(model: linnet.Model) -> None:
    text = model.generate(PROMPT, max_tokens=12, temperature=0, presence_penalty=0,
                          frequency_penalty=0, logprobs=3)  # fmt: skip
    state = model.new_state()
    logits = model.forward(model.tokenizer.encode(PROMPT), state)
    for piece in text:
        assert piece.token == int(logits.argmax())
        log_p = logits.astype(np.float64) - np.log(np.exp(logits.astype(np.float64)).sum())
        assert piece.logprob == pytest.approx(log_p[piece.token], abs=1e-5)
        assert [id for id, _ in piece.top_logprobs] == list(np.argsort(-logits, kind="stable")[:3])
        assert piece.top_logprobs[0][1] == pytest.approx(piece.logprob)
        logits = model.forward(piece.token, state)
    assert text.finish_reason == "length"
    assert np.array_equal(text.state.values, state.values)


def test_goes_on_from_its_state(model: linnet.Model) -> None:
    greedy: Any = {"temperature": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
    whole = model.generate(PROMPT, max_tokens=20, **greedy).finish()
    first = model.generate(PROMPT, max_tokens=8, **greedy)
    first.finish()
    start = first.state
    values = start.values.copy()
    rest = model.generate("", state=start, max_tokens=12, **greedy)
    assert first.text + rest.finish() == whole
    assert np.array_equal(start.values, values)


def test_stop_strings_end_the_text_exactly(model: linnet.Model) -> None:
    whole = model.generate(PROMPT, seed=3, max_tokens=60).finish()
    stop = whole[20:26]
    text = model.generate(PROMPT, seed=3, max_tokens=60, stop=[stop])
    assert text.finish() == whole[: whole.index(stop)]
    assert text.finish_reason == "stop"
    expected = model.new_state()
    tokens = model.tokenizer.encode(PROMPT)
    model.forward(tokens, expected)
    assert text.state.values.shape == expected.values.shape
    first = next(model.generate(PROMPT, seed=3))
    assert model.generate(PROMPT, seed=3, stop_ids=[first.token]).finish() == ""


def test_settings_and_samplers(model: linnet.Model) -> None:
    sampler = linnet.Sampler(model.tokenizer, temperature=0.7, top_k=5, seed=11, min_p=0.01,
                             logit_bias={3: -1.5, 4: -float("inf")})  # fmt: skip
    assert sampler.seed == 11 and "top-k=5" in repr(sampler)
    a = model.generate(PROMPT, sampler=sampler, max_tokens=10).finish()
    assert model.generate(PROMPT, sampler=sampler, max_tokens=10).finish() == a
    logits = model.forward([1, 2])
    other = sampler.clone()
    assert [sampler.sample(logits) for _ in range(5)] == [other.sample(logits) for _ in range(5)]
    assert linnet.Sampler(temperature=0).sample(logits) == int(logits.argmax())
    sampler.accept(3)
    sampler.reset()
    with pytest.raises(linnet.InputError, match="not both"):
        model.generate(PROMPT, sampler=sampler, top_p=0.5)
    bad: list[dict[str, Any]] = [
        {"temperatur": 1}, {"top_p": -1}, {"top_k": "x"}, {"logit_bias": {10**6: 1}},
    ]  # fmt: skip
    for settings in bad:
        with pytest.raises(linnet.InputError):
            model.generate(PROMPT, **settings)
    with pytest.raises(linnet.InputError):
        linnet.Sampler().sample(np.full(5, np.nan, np.float32))
    with pytest.raises(linnet.InputError, match="one dimension"):
        linnet.Sampler().sample(np.zeros((2, 2), np.float32))


def test_asynchronous(model: linnet.Model) -> None:
    async def one(seed: int) -> str:
        return "".join([piece.text async for piece in model.generate(PROMPT, seed=seed, max_tokens=15)])

    async def both() -> list[str]:
        return list(await asyncio.gather(one(1), one(2)))

    expected = [model.generate(PROMPT, seed=s, max_tokens=15).finish() for s in (1, 2)]
    assert asyncio.run(both()) == expected


def test_ended_early(model: linnet.Model) -> None:
    text = model.generate(PROMPT, seed=5)
    for _ in range(3):
        assert text.next() is not None
    text.stop()
    assert text.finish_reason == "interrupted" and text.next() is None
    assert list(text) == [] and text.tokens == 3
    assert model.generate(PROMPT, max_tokens=0).finish() == ""
