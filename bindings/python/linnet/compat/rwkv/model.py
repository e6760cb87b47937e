"""RWKV as `rwkv.model.RWKV`: forward takes and returns the reference's list of a state.

Logits and states are torch tensors if torch is installed, else numpy arrays.
"""

from __future__ import annotations

import importlib
import os
import re
import types
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet import _linnet
from linnet.errors import InputError

try:
    torch: Any = importlib.import_module("torch")
except ImportError:
    torch = None

__all__ = ["RWKV", "StateList"]

_STAGE = re.compile(
    r"(?P<device>[a-z]+(?::\d+)?) (?P<type>fp16|fp32|bf16)(?P<int8>i8)?(?: \*(?P<layers>\d+)\+?)?"
)


def _tensor(array: NDArray[np.float32]) -> Any:
    return array if torch is None else torch.from_numpy(array)


class StateList(list):  # type: ignore[type-arg]
    """A state as the reference's list, whose tensors are views of one `linnet.State`.

    Writing to a tensor changes the state, and so does forward. A tensor that was replaced is
    copied into the state by the next forward. copy.copy and copy.deepcopy copy the values.
    """

    def __init__(self, state: _linnet.State) -> None:
        self.state = state
        super().__init__(_tensor(view) for view in _views(state))
        self._own = list(self)

    def settle(self) -> _linnet.State:
        """The state, after taking over replaced tensors."""
        if len(self) != len(self._own) or any(a is not b for a, b in zip(self, self._own)):
            self.state.from_reference([np.asarray(x, dtype=np.float32) for x in self])
            self[:] = self._own
        return self.state

    def __copy__(self) -> StateList:
        return StateList(self.settle().clone())

    def __deepcopy__(self, memo: dict[int, Any]) -> StateList:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return StateList, (self.settle(),)


def _views(state: _linnet.State) -> list[NDArray[np.float32]]:
    slots = [state[name] for name in state.slots]
    if state.generation.startswith("7"):  # the reference's S is [value][key]
        slots = [s.swapaxes(2, 3) if s.ndim == 4 else s for s in slots]
    return [slot[layer] for layer in range(state.layers) for slot in slots]


def _formats(strategy: str, layers: int | None = None) -> dict[str, Any]:
    """The options of Model.open for a strategy such as "cpu fp32i8 *10 -> cpu fp32"."""
    stages = [_STAGE.fullmatch(stage.strip()) for stage in strategy.split("->")]
    if not all(stages):
        raise InputError(
            f"strategy '{strategy}': expected stages such as 'cpu fp32', 'cpu fp32i8 *10' or "
            "'cpu bf16', joined by ->"
        )
    first = stages[0]
    assert first is not None
    kinds = [stage["int8"] is not None for stage in stages if stage is not None]
    options: dict[str, Any] = {"exact": first["type"] == "fp32"}
    if True in kinds[1:] and not all(kinds):
        raise InputError(
            f"strategy '{strategy}': int8 layers after others, expected them first"
        )
    if kinds[0]:
        options["quant"] = "int8"
        if not all(kinds):
            options["quant_layers"] = int(first["layers"] or 0)
    elif first["type"] != "fp32":
        options["quant"] = {"fp16": "f16", "bf16": "bf16"}[first["type"]]
    return options


class RWKV:
    """A model with the interface of `rwkv.model.RWKV`. Everything runs on the CPU.

    model: a checkpoint, with or without .pth, or anything else that linnet.Model.open takes.
    strategy: the reference's; fp32 keeps the file's weights and computes in f32, i8 is int8 with a
    scale per block, which is more exact than the reference's, and the head is int8 with the layers.
    The device is ignored. Options go to linnet.Model.open.
    """

    def __init__(
        self,
        model: str,
        strategy: str = "cpu fp32",
        verbose: bool = True,
        convert_and_save_and_exit: str | None = None,
        **options: Any,
    ) -> None:
        if convert_and_save_and_exit is not None:
            raise InputError("convert_and_save_and_exit: use linnet.quantize or linnet.convert")
        path = os.fspath(model)
        if path != "builtin" and not os.path.exists(path) and os.path.exists(path + ".pth"):
            path += ".pth"
        self.model = _linnet.Model.open(path, **{**_formats(strategy), **options})
        if verbose:
            print(f"{self.model!r} ({strategy})")
        self.version = float(self.model.generation.rstrip("a"))
        self.n_layer = self.model.layers
        self.n_embd = self.model.width
        self.n_head = self.model.heads
        self.head_size = self.model.head_size
        self.args = types.SimpleNamespace(
            MODEL_NAME=path,
            strategy_string=strategy,
            n_layer=self.n_layer,
            n_embd=self.n_embd,
            vocab_size=self.model.vocab,
            head_size=self.head_size,
        )

    def generate_zero_state(self) -> StateList:
        """The list of a new sequence."""
        return StateList(self.model.new_state())

    def forward(
        self, tokens: Any, state: list[Any] | None, full_output: bool = False
    ) -> tuple[Any, StateList]:
        """The last token's logits [V], or of all with full_output [T, V], and the state after them.

        A state of this class is moved in place and returned, as the reference does; another list
        is copied.
        """
        if state is None:
            held = self.generate_zero_state()
        elif isinstance(state, StateList):
            held = state
        else:
            held = self.generate_zero_state()
            held.state.from_reference([np.asarray(x, dtype=np.float32) for x in state])
        many = full_output and not isinstance(tokens, int) and len(tokens) > 1
        logits = self.model.forward(tokens, held.settle(), all_logits=many)
        return _tensor(logits), held

    __call__ = forward
