"""A client like openai's that runs a model in this process, without a server.

    client = linnet.local.OpenAI(linnet.Model.open("model.pth"))
    reply = client.chat.completions.create(messages=[{"role": "user", "content": "Hello!"}])
    print(reply.choices[0].message.content)
"""

from __future__ import annotations

import json
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
    "FunctionCall",
    "Message",
    "OpenAI",
    "TextChoice",
    "TokenLogprob",
    "ToolCall",
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
class FunctionCall(_Dumped):
    name: str = ""
    arguments: str = ""


@dataclass
class ToolCall(_Dumped):
    """A call that the model wrote. In a chunk, a part of one: arguments are to be joined."""

    function: FunctionCall
    id: str | None = None
    type: str | None = "function"
    index: int = 0


@dataclass
class Message(_Dumped):
    content: str | None = ""
    role: str = "assistant"
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None


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
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None


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


def _usage(text: _linnet.Generation | _linnet._ChatReply) -> Usage:
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
        extra_body: Mapping[str, Any] | None = None,
    ) -> Completion:
        """Continues a raw prompt. model is only repeated in the answer.

        extra_body: further arguments of Model.generate, such as {"regex": "[0-9]+"}.
        """
        settings = _settings(
            temperature, top_p, presence_penalty, frequency_penalty, seed, logit_bias
        )
        settings.update(extra_body or {})
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


# What create takes, as its overloads say.
_FIELDS = {
    "model",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "response_format",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
}


class _ChatCompletions:
    """client.chat.completions."""

    def __init__(self, client: OpenAI) -> None:
        self._client = client

    @overload
    def create(
        self,
        *,
        messages: Sequence[Mapping[str, Any]],
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
        response_format: Mapping[str, Any] | None = ...,
        tools: Sequence[Mapping[str, Any]] | None = ...,
        tool_choice: str | Mapping[str, Any] | None = ...,
        parallel_tool_calls: bool | None = ...,
        reasoning_effort: str | None = ...,
        extra_body: Mapping[str, Any] | None = ...,
        n: int = ...,
        stream: Literal[False] = ...,
    ) -> ChatCompletion: ...

    @overload
    def create(
        self,
        *,
        messages: Sequence[Mapping[str, Any]],
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
        response_format: Mapping[str, Any] | None = ...,
        tools: Sequence[Mapping[str, Any]] | None = ...,
        tool_choice: str | Mapping[str, Any] | None = ...,
        parallel_tool_calls: bool | None = ...,
        reasoning_effort: str | None = ...,
        extra_body: Mapping[str, Any] | None = ...,
        n: int = ...,
    ) -> Iterator[ChatCompletionChunk]: ...

    def create(
        self,
        *,
        messages: Sequence[Mapping[str, Any]],
        n: int = 1,
        stream: bool = False,
        extra_body: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> ChatCompletion | Iterator[ChatCompletionChunk]:
        """The reply to messages, as `linnet serve` would answer the same request.

        The fields are those of OpenAI's chat, with tools and response_format; extra_body takes
        what else the server knows, such as {"regex": "yes|no"} or {"top_k": 40}: see
        docs/http-api.md. Settings that are not given keep the defaults of `linnet chat`. model is
        only repeated in the answer. Raises InputError that names the field.
        """
        unknown = sorted(set(fields) - _FIELDS)
        if unknown:
            raise InputError(
                f"{', '.join(unknown)}: no argument of create; give other fields of a request "
                "with extra_body="
            )
        body = {key: value for key, value in fields.items() if value is not None}
        body.update({"messages": [dict(message) for message in messages], **(extra_body or {})})
        if stream and n != 1:
            raise InputError("stream: n is more than 1, expected 1")
        name = self._client.name(fields.get("model") or "")
        if stream:
            return self._stream(self._begin(body, 0), name)
        logprobs = bool(body.get("logprobs"))
        replies = [self._whole(self._begin(body, i), i, logprobs) for i in range(n)]
        usage = Usage()
        for _, one in replies:
            _add(usage, one)
        choices = [choice for choice, _ in replies]
        return ChatCompletion(choices, usage, name, _id("chatcmpl"), int(time.time()))

    def _begin(self, body: dict[str, Any], number: int) -> _linnet._ChatReply:
        if body.get("seed") is not None:
            body = {**body, "seed": body["seed"] + number}
        try:
            text = json.dumps(body)
        except TypeError as error:
            raise InputError(f"the request is not JSON: {error}") from None
        return self._client.service.begin(text)

    def _whole(
        self, reply: _linnet._ChatReply, index: int, logprobs: bool
    ) -> tuple[Choice, Usage]:
        text, thoughts = "", ""
        calls: list[ToolCall] = []
        tokens: list[TokenLogprob] = []
        while (events := reply.next()) is not None:
            for kind, *event in events:
                if kind == "text":
                    text += event[0]
                    tokens += map(self._logprob, event[1])
                elif kind == "thought":
                    thoughts += event[0]
                elif kind == "call":
                    calls.append(ToolCall(FunctionCall(event[2]), event[1], index=event[0]))
                else:
                    calls[event[0]].function.arguments += event[1]
        message = Message(
            text if text or not calls else None,
            tool_calls=calls or None,
            reasoning_content=thoughts or None,
        )
        choice = Choice(
            message, reply.finish_reason, index, Logprobs(tokens) if logprobs else None
        )
        return choice, _usage(reply)

    def _stream(self, reply: _linnet._ChatReply, name: str) -> Iterator[ChatCompletionChunk]:
        chunk_id, created = _id("chatcmpl"), int(time.time())

        def chunk(choice: ChunkChoice) -> ChatCompletionChunk:
            return ChatCompletionChunk([choice], name, chunk_id, created)

        yield chunk(ChunkChoice(Delta("", "assistant")))
        while (events := reply.next()) is not None:
            for kind, *event in events:
                logprobs = None
                if kind == "text":
                    delta = Delta(event[0])
                    found = [self._logprob(token) for token in event[1]]
                    logprobs = Logprobs(found) if reply.logprobs else None
                elif kind == "thought":
                    delta = Delta(reasoning_content=event[0])
                elif kind == "call":
                    part = ToolCall(FunctionCall(event[2]), event[1], index=event[0])
                    delta = Delta(tool_calls=[part])
                else:
                    part = ToolCall(FunctionCall("", event[1]), None, None, event[0])
                    delta = Delta(tool_calls=[part])
                yield chunk(ChunkChoice(delta, logprobs=logprobs))
        last = chunk(ChunkChoice(Delta(), reply.finish_reason))
        last.usage = _usage(reply)
        yield last

    def _logprob(self, found: tuple[int, float, list[tuple[int, float]]]) -> TokenLogprob:
        token = self._client.model.tokenizer.token

        def one(id: int, logprob: float) -> TokenLogprob:
            data = token(id)
            return TokenLogprob(data.decode("utf-8", "replace"), list(data), logprob)

        id, logprob, top = found
        result = one(id, logprob)
        result.top_logprobs = [one(*pair) for pair in top]
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
        self.service = _linnet._ChatService(
            self.model, template=template, think=think, max_tokens=max_tokens
        )
        self.chat = _ChatPart(self)
        self.completions = _Completions(self)

    def name(self, asked: str) -> str:
        """The name of the model in answers."""
        return asked or self.model.path.stem
