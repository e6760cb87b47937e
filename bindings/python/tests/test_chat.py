"""Conversations: Chat, reply, and the client like openai's."""

from __future__ import annotations

import pytest

import linnet
import linnet.local


def test_turns(model: linnet.Model) -> None:
    chat = model.chat(seed=1, max_tokens=30)
    parts: list[str] = []
    first = chat.ask("A story about a fox", on_text=parts.append)
    assert first and first == "".join(parts)
    assert chat.messages == [("user", "A story about a fox"), ("assistant", first)]
    assert chat.finish_reason in ("stop", "length") and 0 < chat.reply_tokens <= 30
    chat.ask("go on")
    assert len(chat.messages) == 4
    chat.undo()
    assert len(chat.messages) == 2
    assert chat.retry() and len(chat.messages) == 2
    assert chat.tokens > 0 and chat.state.logits is not None
    chat.reset()
    assert chat.messages == []
    same = model.chat(seed=1, max_tokens=30)
    assert same.ask("A story about a fox") == first
    assert "".join(model.chat(seed=1, max_tokens=30).stream("A story about a fox")) == first


def test_stream_ends_with_its_reader(model: linnet.Model) -> None:
    chat = model.chat(seed=1, max_tokens=200)
    stream = chat.stream("A story about a fox")
    part = next(stream)
    stream.close()
    assert chat.messages[1][1].startswith(part)
    assert chat.finish_reason == "interrupted"
    with pytest.raises(RuntimeError, match="mine"):
        for _ in chat.stream("go on"):
            raise RuntimeError("mine")
    assert chat.ask("go on")


def test_an_exception_of_on_text_ends_the_reply(model: linnet.Model) -> None:
    chat = model.chat(seed=1, max_tokens=200)

    def fail(part: str) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        chat.ask("A story about a fox", on_text=fail)
    assert len(chat.messages) == 2


def test_errors(model: linnet.Model) -> None:
    with pytest.raises(linnet.InputError, match="world-classic"):
        model.chat(template="none")
    with pytest.raises(linnet.InputError):
        model.chat(think="deeply")
    chat = model.chat()
    for call in (chat.undo, chat.retry):
        with pytest.raises(linnet.InputError, match="there is no"):
            call()
    assert "world" in linnet.chat_templates()


def test_reply_reads_what_a_chat_reads(model: linnet.Model) -> None:
    chat = model.chat(temperature=0, max_tokens=20)
    first = chat.ask("A story about a fox")
    second = chat.ask("go on")
    messages = [
        {"role": "user", "content": "A story about a fox"},
        {"role": "assistant", "content": first},
        {"role": "user", "content": "go on"},
    ]
    assert model.reply(messages[:1], temperature=0, max_tokens=20).finish() == first
    if model.chat(temperature=0).finish_reason == "none" and first.endswith("."):
        assert model.reply(messages, temperature=0, max_tokens=20).finish().strip() == second.strip()
    for bad in [[], messages[:2], messages[1:], [{"role": "user"}], [{"role": "x", "content": ""}]]:
        with pytest.raises(linnet.InputError, match="message"):
            model.reply(bad)


def test_client_like_openais(model: linnet.Model) -> None:
    client = linnet.local.OpenAI(model)
    messages = [{"role": "user", "content": "A story about a fox"}]
    reply = client.chat.completions.create(
        model="linnet", messages=messages, seed=1, max_tokens=20, logprobs=True, top_logprobs=2
    )
    choice = reply.choices[0]
    assert choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length") and reply.model == "linnet"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert choice.logprobs is not None
    assert len(choice.logprobs.content) == reply.usage.completion_tokens
    assert len(choice.logprobs.content[0].top_logprobs) == 2
    assert reply.model_dump()["choices"][0]["message"]["content"] == choice.message.content

    chunks = list(
        client.chat.completions.create(messages=messages, seed=1, max_tokens=20, stream=True)
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == choice.message.content
    assert chunks[-1].choices[0].finish_reason == choice.finish_reason
    assert chunks[-1].usage == reply.usage

    two = client.chat.completions.create(messages=messages, seed=1, max_tokens=20, n=2)
    assert two.choices[0].message == choice.message and two.choices[1].index == 1
    raw = client.completions.create(prompt="Once upon a time", seed=1, max_tokens=10)
    expected = model.generate("Once upon a time", seed=1, max_tokens=10).finish()
    assert raw.choices[0].text == expected
    with pytest.raises(linnet.InputError, match="messages is empty"):
        client.chat.completions.create(messages=[])
