"""State: views, copies, files, pickles and the reference's list."""

from __future__ import annotations

import copy
import pathlib
import pickle
from collections.abc import Callable

import numpy as np
import pytest

import linnet


@pytest.fixture
def state(model: linnet.Model) -> linnet.State:
    state = model.new_state()
    model.forward([5, 6, 7], state)
    return state


def test_slots_are_views(model: linnet.Model, state: linnet.State) -> None:
    assert state.slots == ["att_shift", "wkv", "ffn_shift"]
    layers, width, n = state.layers, state.width, state.head_size
    assert state["att_shift"].shape == (layers, width)
    assert state["wkv"].shape == (layers, state.heads, n, n)
    total = sum(state[name].size for name in state.slots)
    assert total == state.values.size
    flat = state.values.reshape(layers, -1)
    assert np.array_equal(flat[:, :width], state["att_shift"])
    assert np.array_equal(flat[:, width:-width], state["wkv"].reshape(layers, -1))
    other = state.clone()
    state["wkv"][0, 0, 0, 0] += 1
    assert other.diff(state)["wkv"][0] == pytest.approx(1)
    assert not np.array_equal(model.forward([8], state), model.forward([8], other))
    with pytest.raises(KeyError, match="att_shift"):
        state["nothing"]


def test_a_view_keeps_its_state(model: linnet.Model) -> None:
    view = model.new_state()["ffn_shift"]
    view[:] = 3
    assert view.sum() == 3 * view.size


@pytest.mark.parametrize("copied", ["clone", "fork", "copy", "deepcopy", "pickle"])
def test_copies_go_their_own_way(model: linnet.Model, state: linnet.State, copied: str) -> None:
    ways: dict[str, Callable[[linnet.State], linnet.State]] = {
        "copy": copy.copy,
        "deepcopy": copy.deepcopy,
        "pickle": lambda s: pickle.loads(pickle.dumps(s)),
    }
    other = ways[copied](state) if copied in ways else getattr(state, copied)()
    assert np.array_equal(other.values, state.values)
    assert max(max(rows) for rows in state.diff(other).values()) == 0
    model.forward([9], other)
    assert not np.array_equal(other.values, state.values)


def test_damaged_pickles_are_refused(state: linnet.State) -> None:
    generation, sizes, hash, identity, values, logits = state.__getstate__()
    for bad in [
        ("9", sizes, hash, identity, values, logits),
        (generation, sizes[:2], hash, identity, values, logits),
        (generation, [2**60] * 4, hash, identity, values, logits),
        (generation, [0] * 4, hash, identity, values, logits),
        (generation, sizes, hash, identity, values[:-4], logits),
    ]:
        with pytest.raises(linnet.StateError, match="pickled state"):
            linnet.State.__new__(linnet.State).__setstate__(bad)


@pytest.mark.parametrize("name", ["random-v7b", "random-goldfinch"])
def test_states_with_rows_per_token(data: pathlib.Path, tmp_path: pathlib.Path, name: str) -> None:
    model = linnet.Model.open(data / "relatives" / f"{name}.pth", force=True)
    tokens = [int(id) for id in np.arange(70) * 7 % model.vocab]  # more than a page of rows
    state = model.new_state()
    empty = state.nbytes
    model.forward(tokens, state)
    assert state.tokens == len(tokens) and state.nbytes > empty
    state.save(tmp_path / "a.state")
    with open(tmp_path / "a.pickle", "wb") as file:
        pickle.dump([state, state], file)
    with open(tmp_path / "a.pickle", "rb") as file:
        first, second = pickle.load(file)
    assert first is second
    copies = {
        "clone": state.clone(),
        "copy": copy.copy(state),
        "deepcopy": copy.deepcopy(state),
        "pickle": first,
        "file": linnet.State.load(tmp_path / "a.state", model),
    }
    expected = model.forward([1, 2, 3], state)
    for way, other in copies.items():
        assert (other.tokens, other.model_hash) == (len(tokens), model.hash), way
        assert np.array_equal(model.forward([1, 2, 3], other), expected), way
        assert other.tokens == state.tokens and max(map(max, state.diff(other).values())) == 0
    # Those that went on did not change what they came from.
    again = pickle.loads(pickle.dumps(copies["clone"]))
    assert not np.array_equal(model.forward([4], again), model.forward([5], copies["clone"]))

    saved, rows, limit, logits = state.__getstate__()
    for bad in [
        (saved[:-4], rows, limit, logits),
        (saved[:40], rows, limit, logits),
        (b"", rows, limit, logits),
        (saved, 3, limit, logits),
        (saved, rows, 1, logits),
        (saved, rows, limit, b"abc"),
    ]:
        with pytest.raises(linnet.StateError, match="pickled state"):
            linnet.State.__new__(linnet.State).__setstate__(bad)


def test_files(model: linnet.Model, state: linnet.State, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.state"
    logits = model.forward([8], state)
    state.save(path, logits=logits)
    loaded = linnet.State.load(path, model)
    assert np.array_equal(loaded.values, state.values)
    assert loaded.logits is not None and np.array_equal(loaded.logits, logits)
    assert linnet.State.load(path).model_hash == model.hash
    text = model.generate([], state=loaded, max_tokens=5, temperature=0)
    assert next(iter(text)).token == int(logits.argmax())
    linnet.new_model(tmp_path / "m.pth", layers=1, width=64, vocab=256)
    with pytest.raises(linnet.StateError):
        linnet.State.load(path, linnet.Model.open(tmp_path / "m.pth"))
    with pytest.raises(linnet.FileError):
        linnet.State.load(tmp_path / "none.state")


def test_reference_list(data: pathlib.Path) -> None:
    for generation in ["4", "5.2", "6", "7"]:
        model = linnet.Model.open(data / "golden" / f"random-v{generation}.pth")
        state = model.new_state()
        model.forward([1, 2, 3], state)
        tensors = state.to_reference()
        other = model.new_state()
        other.from_reference(tensors)
        assert np.array_equal(other.values, state.values)
        with pytest.raises(linnet.StateError):
            other.from_reference(tensors[:-1])


def test_reset_and_assign(model: linnet.Model, state: linnet.State) -> None:
    other = model.new_state()
    other.assign(state)
    assert np.array_equal(other.values, state.values)
    state.reset()
    assert np.array_equal(state.values, model.new_state().values)
