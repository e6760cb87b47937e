"""Tensors of torch are taken wherever arrays are, if torch is installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
import pytest

import linnet

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("torch"), reason="torch is not installed"
)


def test_tensors(model: linnet.Model) -> None:
    torch = importlib.import_module("torch")
    logits = model.forward([1, 2, 3])
    for dtype in (torch.int64, torch.int32):
        assert np.array_equal(model.forward(torch.tensor([1, 2, 3], dtype=dtype)), logits)
    out: Any = torch.zeros(model.vocab)
    assert model.forward([1, 2, 3], out=out) is out
    assert np.array_equal(np.asarray(out), logits)
    assert linnet.Sampler(temperature=0).sample(out) == int(logits.argmax())
    batch = model.forward([torch.tensor([1, 2, 3]), torch.tensor([4])])
    assert np.array_equal(batch[0], logits)
    state, other = model.new_state(), model.new_state()
    model.forward(torch.tensor([1, 2, 3]), state)
    other.from_reference([torch.tensor(x) for x in state.to_reference()])
    assert np.array_equal(other.values, state.values)
    with pytest.raises(linnet.InputError, match="another type"):
        model.forward(torch.tensor([1.0]))
