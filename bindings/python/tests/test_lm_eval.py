"""The model class for lm-evaluation-harness, with requests as the harness makes them."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest

import linnet
from linnet.lm_eval import LinnetLM


def requests(*arguments: Any) -> list[Any]:
    return [types.SimpleNamespace(args=args) for args in arguments]


@pytest.fixture(scope="module")
def lm(model: linnet.Model) -> LinnetLM:
    return LinnetLM(model, batch_size=2)


def test_loglikelihood(model: linnet.Model, lm: LinnetLM) -> None:
    pairs = [
        ("The fox ran into the", " wood"),
        ("The fox ran into the", " little house by the river"),
        ("Once upon a", " time"),
        ("Once upon a ", "time"),
        ("", "The fox"),
    ]
    scores = lm.loglikelihood(requests(*pairs))
    for (context, continuation), (log_p, greedy) in zip(pairs, scores):
        a = [0, *model.tokenizer.encode(context.rstrip())]
        b = model.tokenizer.encode(context[len(context.rstrip()) :] + continuation)
        rows = model.forward(a + b[:-1], all_logits=True)[len(a) - 1 :].astype(np.float64)
        table = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
        assert log_p == pytest.approx(table[np.arange(len(b)), b].sum(), abs=1e-4)
        assert greedy == bool((rows.argmax(axis=1) == b).all())
    assert scores[2] == scores[3]


def test_rolling_and_generation(model: linnet.Model, lm: LinnetLM) -> None:
    text = "The little fox ran into the wood."
    score = model.perplexity(text)
    (log_p,) = lm.loglikelihood_rolling(requests((text,)))
    assert log_p == pytest.approx(-score["nats_per_token"] * score["tokens"])
    settings = {"until": ["."], "max_gen_toks": 20, "do_sample": False}
    (out,) = lm.generate_until(requests(("Once upon a time", settings)))
    assert out and "." not in out
    assert lm.generate_until(requests(("Once upon a time", settings))) == [out]


def test_made_from_arguments() -> None:
    lm = LinnetLM.create_from_arg_string(
        "pretrained=builtin,batch_size=4,max_gen_toks=7", {"device": None, "batch_size": None}
    )
    assert (lm.batch_size, lm.max_gen_toks) == (4, 7)
