"""Reads safetensors into numpy, so that the tests need no other package."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32}


def load(path: pathlib.Path) -> dict[str, NDArray[Any]]:
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, info in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__" or info["dtype"] not in _TYPES:
            continue
        begin, end = info["data_offsets"]
        values = np.frombuffer(data[8 + size + begin : 8 + size + end], _TYPES[info["dtype"]])
        tensors[name] = values.reshape(info["shape"])
    return tensors
