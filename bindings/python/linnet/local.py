"""A client like openai's that runs a model in this process, without a server.

    client = linnet.local.OpenAI(linnet.Model.open("model.pth"))
    reply = client.chat.completions.create(messages=[{"role": "user", "content": "Hello!"}])
    print(reply.choices[0].message.content)
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, overload

from linnet import _linnet
from linnet.errors import InputError

__all__ = [
    "ChatCompletion",
    "ChatCompletionChunk",
    "Choice",
    "ChunkChoice",
    "Completion",
    "Delta",
    "Message",
    "OpenAI",
    "TextChoice",
    "TokenLogprob",
    "Usage",
]


class _Dumped:
    def model_dump(self) -> dict[str, Any]:
        """The object as dictionaries and lists."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@dataclass
class Usage(_Dumped):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


@dataclass
class TokenLogprob(_Dumped):
    """A token with the log of its probability; top holds the likeliest tokens the same way."""

    token: str
    bytes: list[int]
    logprob: float
    top_logprobs: list[TokenLogprob] = field(default_factory=list)


@dataclass
class Message(_Dumped):
    content: str = ""
    role: str = "assistant"


@dataclass
class Logprobs(_Dumped):
    content: list[TokenLogprob] = field(default_factory=list)


@dataclass
class Choice(_Dumped):
    message: Message
    finish_reason: str = "stop"
    index: int = 0
    logprobs: Logprobs | None = None


@dataclass
class ChatCompletion(_Dumped):
    choices: list[Choice]
    usage: Usage
    model: str
    id: str
    created: int
    object: str = "chat.completion"


@dataclass
class Delta(_Dumped):
    content: str | None = None
    role: str | None = None


@dataclass
class ChunkChoice(_Dumped):
    delta: Delta
    finish_reason: str | None = None
    index: int = 0
    logprobs: Logprobs | None = None


@dataclass
class ChatCompletionChunk(_Dumped):
    choices: list[ChunkChoice]
    model: str
    id: str
    created: int
    usage: Usage | None = None
    object: str = "chat.completion.chunk"


@dataclass
class TextChoice(_Dumped):
    text: str
    finish_reason: str = "stop"
    index: int = 0


@dataclass
class Completion(_Dumped):
    choices: list[TextChoice]
    usage: Usage
    model: str
    id: str
    created: int
    object: str = "text_completion"


def _settings(
    temperature: float | None,
    top_p: float | None,
    presence_penalty: float | None,
    frequency_penalty: float | None,
    seed: int | None,
    logit_bias: Mapping[Any, float] | None,
) -> dict[str, Any]:
    """Settings that were given, under linnet's names; the others keep the model's defaults."""
    given = {
        "temperature": temperature,
        "top_p": top_p,
        "presence_penalty": presence_penalty,
        "frequency_penalty": frequency_penalty,
        "seed": seed,
        "logit_bias": {int(k): v for k, v in logit_bias.items()} if logit_bias else None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _stops(stop: str | Sequence[str] | None) -> list[str]:
    return [] if stop is None else [stop] if isinstance(stop, str) else list(stop)


def _usage(text: _linnet.Generation) -> Usage:
    return Usage(text.prompt_tokens, text.tokens, text.prompt_tokens + text.tokens)


class _Completions:
    """client.completions."""

    def __init__(self, client: OpenAI) -> None:
        self._client = client

    def create(
        self,
        *,
        prompt: str,
        model: str = "",
        max_tokens: int = 256,
        stop: str | Sequence[str] | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        presence_penalty: float | None = None,
        frequency_penalty: float | None = None,
        seed: int | None = None,
        logit_bias: Mapping[Any, float] | None = None,
        n: int = 1,
    ) -> Completion:
        """Continues a raw prompt. model is only repeated in the answer."""
        settings = _settings(
            temperature, top_p, presence_penalty, frequency_penalty, seed, logit_bias
        )
        choices = []
        usage = Usage()
        for i in range(n):
            if seed is not None:
                settings["seed"] = seed + i
            text = self._client.model.generate(
                prompt, max_tokens=max_tokens, stop=_stops(stop), **settings
            )
            text.finish()
            choices.append(TextChoice(text.text, text.finish_reason or "stop", i))
            _add(usage, _usage(text))
        return Completion(choices, usage, self._client.name(model), _id("cmpl"), int(time.time()))


def _add(total: Usage, one: Usage) -> None:
    total.prompt_tokens = one.prompt_tokens
    total.completion_tokens += one.completion_tokens
    total.total_tokens = total.prompt_tokens + total.completion_tokens


def _id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"


class _ChatCompletions:
    """client.chat.completions."""

    def __init__(self, client: OpenAI) -> None:
        self._client = client

    @overload
    def create(
        self,
        *,
        messages: Sequence[Mapping[str, str]],
        model: str = ...,
        max_tokens: int | None = ...,
        max_completion_tokens: int | None = ...,
        stop: str | Sequence[str] | None = ...,
        temperature: float | None = ...,
        top_p: float | None = ...,
        presence_penalty: float | None = ...,
        frequency_penalty: float | None = ...,
        seed: int | None = ...,
        logit_bias: Mapping[Any, float] | None = ...,
        logprobs: bool | None = ...,
        top_logprobs: int | None = ...,
        n: int = ...,
        stream: Literal[False] = ...,
    ) -> ChatCompletion: ...

    @overload
    def create(
        self,
        *,
        messages: Sequence[Mapping[str, str]],
        stream: Literal[True],
        model: str = ...,
        max_tokens: int | None = ...,
        max_completion_tokens: int | None = ...,
        stop: str | Sequence[str] | None = ...,
        temperature: float | None = ...,
        top_p: float | None = ...,
        presence_penalty: float | None = ...,
        frequency_penalty: float | None = ...,
        seed: int | None = ...,
        logit_bias: Mapping[Any, float] | None = ...,
        logprobs: bool | None = ...,
        top_logprobs: int | None = ...,
        n: int = ...,
    ) -> Iterator[ChatCompletionChunk]: ...

    def create(
        self,
        *,
        messages: Sequence[Mapping[str, str]],
        model: str = "",
        max_tokens: int | None = None,
        max_completion_tokens: int | None = None,
        stop: str | Sequence[str] | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        presence_penalty: float | None = None,
        frequency_penalty: float | None = None,
        seed: int | None = None,
        logit_bias: Mapping[Any, float] | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        n: int = 1,
        stream: bool = False,
    ) -> ChatCompletion | Iterator[ChatCompletionChunk]:
        """The reply to messages of the roles system, user and assistant, the last of the user.

        Settings that are not given keep the defaults of `linnet chat`. model is only repeated in
        the answer. Raises InputError.
        """
        client = self._client
        settings = _settings(
            temperature, top_p, presence_penalty, frequency_penalty, seed, logit_bias
        )
        if stream and n != 1:
            raise InputError("stream: n is more than 1, expected 1")

        def begin(i: int) -> _linnet.Generation:
            if seed is not None:
                settings["seed"] = seed + i
            return client.model.reply(
                [dict(message) for message in messages],
                template=client.template,
                think=client.think,
                max_tokens=max_completion_tokens or max_tokens or client.max_tokens,
                stop=_stops(stop),
                logprobs=(top_logprobs or 0) if logprobs else None,
                **settings,
            )

        name = client.name(model)
        if stream:
            return self._stream(begin(0), name)
        choices = []
        usage = Usage()
        for i in range(n):
            text = begin(i)
            found = [self._logprob(piece) for piece in text]
            choices.append(
                Choice(
                    Message(text.text.strip()),
                    text.finish_reason or "stop",
                    i,
                    Logprobs([x for x in found if x is not None]) if logprobs else None,
                )
            )
            _add(usage, _usage(text))
        return ChatCompletion(choices, usage, name, _id("chatcmpl"), int(time.time()))

    def _stream(self, text: _linnet.Generation, name: str) -> Iterator[ChatCompletionChunk]:
        chunk_id, created = _id("chatcmpl"), int(time.time())

        def chunk(choice: ChunkChoice) -> ChatCompletionChunk:
            return ChatCompletionChunk([choice], name, chunk_id, created)

        yield chunk(ChunkChoice(Delta("", "assistant")))
        begun = False
        for piece in text:
            # The reply begins with the blank after the speaker's name.
            part = piece.text if begun else piece.text.lstrip()
            begun = begun or part != ""
            logprob = self._logprob(piece)
            if part or logprob is not None:
                logprobs = Logprobs([logprob]) if logprob is not None else None
                yield chunk(ChunkChoice(Delta(part), logprobs=logprobs))
        last = chunk(ChunkChoice(Delta(), text.finish_reason or "stop"))
        last.usage = _usage(text)
        yield last

    def _logprob(self, piece: _linnet.Piece) -> TokenLogprob | None:
        if piece.logprob is None:
            return None
        token = self._client.model.tokenizer.token

        def one(id: int, logprob: float) -> TokenLogprob:
            data = token(id)
            return TokenLogprob(data.decode("utf-8", "replace"), list(data), logprob)

        result = one(piece.token, piece.logprob)
        result.top_logprobs = [one(id, logprob) for id, logprob in piece.top_logprobs]
        return result


class _ChatPart:
    def __init__(self, client: OpenAI) -> None:
        self.completions = _ChatCompletions(client)


class OpenAI:
    """chat.completions.create and completions.create on a linnet.Model, in process.

    template, think: as in Model.chat. max_tokens: of a reply, if a call gives none.
    """

    def __init__(
        self,
        model: _linnet.Model | str,
        *,
        template: str = "auto",
        think: str = "auto",
        max_tokens: int = 1024,
    ) -> None:
        self.model = _linnet.Model.open(model) if isinstance(model, str) else model
        self.template = template
        self.think = think
        self.max_tokens = max_tokens
        self.chat = _ChatPart(self)
        self.completions = _Completions(self)

    def name(self, asked: str) -> str:
        """The name of the model in answers."""
        return asked or self.model.path.stem
