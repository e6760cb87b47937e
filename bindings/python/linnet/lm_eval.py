"""A model class for lm-evaluation-harness, tested with its version 0.4.13.

    python -m linnet.lm_eval --model linnet --model_args pretrained=PATH --tasks ...

is the command `lm_eval` with this class in it. In a program, import this module before the harness
looks the name up, or give it the object: lm_eval.simple_evaluate(LinnetLM(model), tasks=...). The
class also works without the harness.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet import _linnet

_Base: Any = object
_register: Any = lambda *names: lambda cls: cls
try:
    _Base = importlib.import_module("lm_eval.api.model").LM
    _register = importlib.import_module("lm_eval.api.registry").register_model
except ImportError:
    pass

__all__ = ["LinnetLM"]

_END_OF_TEXT = 0  # every text begins after it


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def _value(value: Any) -> Any:
    """A number or a truth value that came as text: threads=2, exact=True."""
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    return int(value) if value.isdecimal() else value


@_register("linnet")
class LinnetLM(_Base):  # type: ignore[misc]
    """loglikelihood, loglikelihood_rolling and generate_until on a linnet.Model.

    pretrained: a path for Model.open, or a Model. batch_size: texts that run together. A context
    that several requests share, as in multiple choice, is read once.
    """

    def __init__(
        self,
        pretrained: str | _linnet.Model = "builtin",
        batch_size: int | str = 16,
        max_gen_toks: int | str = 256,
        **options: Any,
    ) -> None:
        super().__init__()
        self.model = (
            _linnet.Model.open(pretrained, **options)
            if isinstance(pretrained, str)
            else pretrained
        )
        self.tokenizer = self.model.tokenizer
        self.batch_size = 16 if batch_size == "auto" else int(batch_size)
        self.max_gen_toks = int(max_gen_toks)

    @classmethod
    def create_from_arg_string(
        cls, arg_string: str, additional_config: dict[str, Any] | None = None
    ) -> LinnetLM:
        arguments = dict(part.split("=", 1) for part in arg_string.split(",") if part)
        return cls.create_from_arg_obj(arguments, additional_config)

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> LinnetLM:
        more = {k: v for k, v in (additional_config or {}).items() if v is not None}
        for unknown in ("device", "max_batch_size"):
            more.pop(unknown, None)
        return cls(**{k: _value(v) for k, v in {**arg_dict, **more}.items()})

    def _split(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Ids of both; blanks at the end of the context belong to the continuation."""
        stripped = context.rstrip()
        continuation = context[len(stripped) :] + continuation
        return [_END_OF_TEXT, *self.tokenizer.encode(stripped)], self.tokenizer.encode(continuation)

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """(log probability of the continuation, whether it is the most likely one) per request."""
        pairs = [self._split(*request.args) for request in requests]
        order: dict[tuple[int, ...], list[int]] = {}
        for i, (context, _) in enumerate(pairs):
            order.setdefault(tuple(context), []).append(i)
        results: list[tuple[float, bool]] = [(0.0, True)] * len(pairs)
        contexts = list(order)
        for begin in range(0, len(contexts), self.batch_size):
            batch = contexts[begin : begin + self.batch_size]
            states = [self.model.new_state() for _ in batch]
            first = self.model.forward([list(context) for context in batch], states)
            todo = [
                (i, states[row].clone(), first[row])
                for row, context in enumerate(batch)
                for i in order[context]
            ]
            for at in range(0, len(todo), self.batch_size):
                part = todo[at : at + self.batch_size]
                for (i, _, _), score in zip(part, self._score(part, pairs)):
                    results[i] = score
        return results

    def _score(
        self,
        part: list[tuple[int, _linnet.State, NDArray[np.float32]]],
        pairs: list[tuple[list[int], list[int]]],
    ) -> Iterable[tuple[float, bool]]:
        longer = [(i, state) for i, state, _ in part if len(pairs[i][1]) > 1]
        rows = (
            self.model.forward(
                [pairs[i][1][:-1] for i, _ in longer], [s for _, s in longer], all_logits=True
            )
            if longer
            else np.empty((0, self.model.vocab), np.float32)
        )
        at = 0
        for i, _, first in part:
            ids = pairs[i][1]
            if not ids:
                yield 0.0, True
                continue
            count = len(ids) - 1
            logits = np.concatenate([first[None], rows[at : at + count]])
            at += count
            log_p = _log_softmax(logits)[np.arange(len(ids)), ids]
            yield float(log_p.sum()), bool((logits.argmax(axis=-1) == ids).all())

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """The log probability of each whole text after token 0, with the state carried over."""
        results = []
        for request in requests:
            (text,) = request.args
            score = self.model.perplexity(text) if text else None
            results.append(-score["nats_per_token"] * score["tokens"] if score else 0.0)
        return results

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """The text after each context, up to one of the strings in "until"."""
        results = []
        for request in requests:
            context, settings = request.args
            until = settings.get("until") or []
            sampled = bool(settings.get("do_sample", False))
            text = self.model.generate(
                [_END_OF_TEXT, *self.tokenizer.encode(context)],
                max_tokens=int(settings.get("max_gen_toks", self.max_gen_toks)),
                stop=[until] if isinstance(until, str) else list(until),
                temperature=float(settings.get("temperature", 1.0)) if sampled else 0.0,
                top_p=float(settings.get("top_p", 1.0)),
                presence_penalty=0.0,
                frequency_penalty=0.0,
            )
            results.append(text.finish())
        return results


if __name__ == "__main__":
    importlib.import_module("lm_eval.__main__").cli_evaluate()
