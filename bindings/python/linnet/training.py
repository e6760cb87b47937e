"""train: a whole training in one call, from the parts that linnet.Trainer is used with."""

from __future__ import annotations

import os

from linnet import _linnet
from linnet.errors import InputError
from linnet.files import new_adapter, new_states

TYPE_CHECKING = False  # without typing, whose import takes longer than that of linnet
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Path = str | os.PathLike[str]
    Document = str | dict[str, Any] | os.PathLike[str]

__all__ = ["train"]

# The usual learning rates of `linnet train`: first and last.
_RATES = {"full": (1e-5, 1e-6), "lora": (1e-4, 1e-5), "state": (1.0, 0.01)}


def train(
    base: Path,
    documents: Iterable[Document] | Path,
    out: Path,
    *,
    tune: str = "lora",
    steps: int | None = None,
    epochs: float = 1,
    ctx: int = 512,
    batch: int = 8,
    rates: tuple[float, float] | None = None,
    warmup: int = 10,
    rank: int = 8,
    alpha: float = 32,
    template: str = "world",
    vocab: Path | None = None,
    seed: int = 1,
    on_step: Callable[[int, _linnet.StepReport], object] | None = None,
    **options: Any,
) -> list[float]:
    """Fine-tunes the model in `base` on documents, writes `out`, and returns the loss of each step.

    documents: an iterable of str, of dict (a line of a .jsonl: "text", "messages", or "prompt" and
    "response", of which only replies are learnt) or of paths of .txt, .md, .jsonl and .json files;
    or the name of tokenized data (NAME.bin and NAME.idx).
    tune: "lora" writes an adapter, "state" tuned initial states, "full" the whole model. ctx:
    tokens of a row. batch: rows of a step. steps: or else so many epochs. rates: the first and the
    last learning rate. on_step(step, report) is called after each step, the first of which is 1.
    options: those of Trainer.open, as precision="f32".

    Ctrl-C ends the training after a step: `out` is written with what was learnt so far, and
    KeyboardInterrupt is raised. Raises what Trainer.open and Trainer.step raise.
    """
    if tune not in _RATES:
        raise InputError(f"tune: '{tune}' is not lora, state or full")
    import tempfile

    base = os.fspath(base)
    with tempfile.TemporaryDirectory() as folder:
        name = _data(documents, folder, base, vocab, template, seed)
        samples = _linnet.Samples(name, ctx, seed=seed)
        count = steps or max(1, round(epochs * samples.rows_per_epoch / batch))
        adapter = _new_adapter(tune, base, folder, rank, alpha, seed)
        trainer = _linnet.Trainer.open(base, adapter=adapter, seed=seed, **options)
        first, last = rates or _RATES[tune]
        schedule = _linnet.Schedule(first, last, warmup=min(warmup, count), steps=count)
        losses: list[float] = []
        try:
            for step in range(count):
                rows = [samples.row(step * batch + i) for i in range(batch)]
                report = trainer.step(rows, schedule.rate(step))
                losses.append(report.loss)
                if on_step is not None:
                    on_step(step + 1, report)
        finally:
            if losses:
                trainer.save_model(out) if tune == "full" else trainer.save_adapter(out)
    return losses


def _data(
    documents: Iterable[Document] | Path,
    folder: str,
    base: str,
    vocab: Path | None,
    template: str,
    seed: int,
) -> Path:
    if isinstance(documents, (str, os.PathLike)):
        return documents
    name = os.path.join(folder, "data")
    tokenizer = _linnet.Model.open(base, vocab=vocab).tokenizer
    _linnet.write_data(name, documents, tokenizer, template=template, seed=seed)
    return name


def _new_adapter(
    tune: str, base: str, folder: str, rank: int, alpha: float, seed: int
) -> str | None:
    path = os.path.join(folder, "start.safetensors")
    if tune == "full":
        return None
    if tune == "lora":
        new_adapter(base, path, rank=rank, alpha=alpha, seed=seed)
    else:
        new_states(base, path)
    return path
