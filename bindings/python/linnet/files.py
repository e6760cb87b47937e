"""Model files: convert, quantize, inspect, and new ones."""

from __future__ import annotations

import os

from linnet import _linnet

TYPE_CHECKING = False  # without typing, whose import takes longer than that of linnet
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Path = str | os.PathLike[str]
    Progress = Callable[[float], object] | None

__all__ = ["convert", "inspect", "new_adapter", "new_model", "new_states", "quantize"]


def convert(
    model: Path,
    out: Path,
    *,
    type: str | None = None,
    vocab: Path | None = None,
    progress: Progress = None,
) -> dict[str, Any]:
    """Writes a checkpoint with any tensor names under BlinkDL's names.

    model: a checkpoint, a folder, or "builtin". out: .safetensors, .pth, or .gguf for llama.cpp;
    it is replaced if it exists. type: "f32", "f16" or "bf16", for .gguf also "q8_0"; by default
    each tensor keeps its own, and .gguf is f16. vocab: a vocabulary to store. progress: called
    with the fraction done.

    Returns {"path", "tensors", "parameters", "bytes"}. Raises FileError, ModelError, InputError.
    """
    return _linnet._convert(
        os.fspath(model), os.fspath(out), type=type or "", vocab=vocab, progress=progress
    )


def quantize(
    model: Path,
    out: Path,
    type: str,
    *,
    layers: int | None = None,
    keep: str = "",
    head: str | None = None,
    low_rank: str | None = None,
    vocab: Path | None = None,
    threads: int = 0,
    progress: Progress = None,
) -> dict[str, Any]:
    """Writes a model in fewer bits, as a .safetensors file that runs directly from its mapping.

    type: of matrices, "int8", "nf4", "bf16" or "f16". layers: only the first so many. keep: a
    regular expression of tensors that keep their type. head, low_rank: the types of the head and
    of low-rank factors. vocab: a vocabulary to store.

    Returns {"path", "tensors", "parameters", "bytes"}. Raises FileError, ModelError, InputError.
    """
    return _linnet._quantize(
        os.fspath(model),
        os.fspath(out),
        type=type,
        layers=layers,
        keep=keep,
        head=head,
        low_rank=low_rank,
        vocab=vocab,
        threads=threads,
        progress=progress,
    )


def inspect(path: Path) -> dict[str, Any]:
    """What a checkpoint, adapter or state contains; the dictionary of `linnet inspect --json`.

    Raises FileError or ModelError.
    """
    return _linnet._inspect(os.fspath(path))


def new_model(
    path: Path,
    *,
    layers: int,
    width: int,
    generation: str = "7",
    vocab: int = 65536,
    head_size: int = 64,
    ffn: int = 0,
    seed: int = 1,
) -> None:
    """Writes an untrained model, f32, with the initial values of RWKV-LM's trainers.

    path: .pth or .safetensors. ffn: 0 is the generation's default.

    Raises FileError, or InputError naming the size that does not fit.
    """
    _linnet._new_model(
        path,
        generation=generation,
        layers=layers,
        width=width,
        vocab=vocab,
        head_size=head_size,
        ffn=ffn,
        seed=seed,
    )


def new_adapter(
    base: Path,
    path: Path,
    *,
    kind: str = "lora",
    rank: int = 8,
    alpha: float = 32,
    seed: int = 1,
    targets: str | None = None,
    progress: Progress = None,
) -> None:
    """Writes an adapter that does not change the model in `base` yet, for Trainer.open(adapter=).

    kind: "lora", "pissa" or "disha". targets: a regular expression of the matrices to adapt; by
    default r, k, v, o, g of the time mix and k, v of the channel mix.
    """
    _linnet._new_adapter(
        base,
        path,
        kind=kind,
        rank=rank,
        alpha=alpha,
        seed=seed,
        targets=targets,
        progress=progress,
    )


def new_states(base: Path, path: Path) -> None:
    """Writes tuned initial states for the model in `base`, for Trainer.open(adapter=).

    Those in the model's file, else zeros. Not for RWKV-4.
    """
    _linnet._new_states(base, path)
