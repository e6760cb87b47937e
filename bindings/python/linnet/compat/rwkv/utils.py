"""PIPELINE and PIPELINE_ARGS as in `rwkv.utils`: text in and out of an RWKV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from linnet import _linnet
from linnet.compat.rwkv.model import RWKV
from linnet.errors import InputError

__all__ = ["PIPELINE", "PIPELINE_ARGS"]

_MAX_SEED = 2**31


class PIPELINE_ARGS:
    """Settings of PIPELINE.generate, with the reference's names and defaults."""

    def __init__(
        self,
        temperature: float = 1.0,
        top_p: float = 0.85,
        top_k: int = 0,
        alpha_frequency: float = 0.2,
        alpha_presence: float = 0.2,
        alpha_decay: float = 0.996,
        token_ban: Sequence[int] = (),
        token_stop: Sequence[int] = (),
        chunk_len: int = 256,
    ) -> None:
        self.temperature = temperature
        self.top_p = top_p
        self.top_k = top_k
        self.alpha_frequency = alpha_frequency
        self.alpha_presence = alpha_presence
        self.alpha_decay = alpha_decay
        self.token_ban = token_ban
        self.token_stop = token_stop
        self.chunk_len = chunk_len


def _sampler(
    tokenizer: _linnet.Tokenizer | None, temperature: float, top_p: float, top_k: int, **more: Any
) -> _linnet.Sampler:
    # In the reference a top_p of 0 means the most likely token; in linnet it is off.
    if top_p == 0:
        temperature = 0.0
    seed = int(np.random.randint(_MAX_SEED))  # so that numpy's seed decides, as in the reference
    return _linnet.Sampler(
        tokenizer, temperature=temperature, top_p=top_p, top_k=int(top_k), seed=seed, **more
    )


class PIPELINE:
    """Encodes, samples and decodes for a model, with the reference's interface.

    WORD_NAME: "rwkv_vocab_v20230424", or a vocabulary file such as 20B_tokenizer.json.
    """

    def __init__(self, model: RWKV | None, WORD_NAME: str) -> None:
        self.model = model
        name = "world" if WORD_NAME == "rwkv_vocab_v20230424" else WORD_NAME
        self.tokenizer = _linnet.Tokenizer.load(name)

    def refine_context(self, context: str) -> str:
        """The text with a line break before it, without empty lines and blanks around lines."""
        lines = [line.strip().strip("\u3000").strip("\r") for line in context.strip().split("\n")]
        return "\n" + "\n".join(line for line in lines if line).strip()

    def encode(self, x: str) -> list[int]:
        return self.tokenizer.encode(x)

    def decode(self, x: Sequence[int]) -> str:
        return self.tokenizer.decode(x)

    def sample_logits(
        self, logits: Any, temperature: float = 1.0, top_p: float = 0.85, top_k: int = 0
    ) -> int:
        """The next token. Random numbers come from numpy's global generator."""
        sampler = _sampler(
            None, temperature, top_p, top_k, presence_penalty=0, frequency_penalty=0
        )
        return sampler.sample(logits)

    def generate(
        self,
        ctx: str,
        token_count: int = 100,
        args: PIPELINE_ARGS | None = None,
        callback: Callable[[str], object] | None = None,
        state: list[Any] | None = None,
    ) -> str:
        """The text after ctx, of at most token_count tokens. callback gets each part of it.

        A state of RWKV.forward is moved in place; the last token is not read.
        """
        assert self.model is not None
        args = args or PIPELINE_ARGS()
        sampler = _sampler(
            self.tokenizer,
            args.temperature,
            args.top_p,
            args.top_k,
            presence_penalty=args.alpha_presence,
            frequency_penalty=args.alpha_frequency,
            penalty_decay=args.alpha_decay,
            logit_bias={token: -float("inf") for token in args.token_ban} or None,
        )
        tokens = self.encode(ctx)
        if not tokens:
            raise InputError("ctx holds no token, expected text")
        logits: Any = None
        waiting: list[int] = []  # of a character that is not complete
        text = ""
        for _ in range(token_count):
            for begin in range(0, len(tokens), args.chunk_len):
                logits, state = self.model.forward(tokens[begin : begin + args.chunk_len], state)
            token = sampler.sample(logits)
            if token in args.token_stop:
                break
            tokens = [token]
            waiting.append(token)
            part = self.decode(waiting)
            if "\ufffd" not in part:
                if callback is not None:
                    callback(part)
                text += part
                waiting = []
        return text
