"""Texts that match a grammar, a JSON schema or a regular expression."""

from __future__ import annotations

import asyncio
import json
import pathlib
import re
from typing import Any

import pytest

import linnet
import linnet.local
from run_linnet import run

DATE = r"\d{4}-\d{2}-\d{2}"
SCHEMA = {
    "type": "object",
    "properties": {"name": {"enum": ["fox", "bird"]}, "age": {"type": "integer", "maximum": 99}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
GBNF = 'root ::= ("yes" | "no") ", " [a-c]{3}'


def check(reply: str) -> None:
    value = json.loads(reply)
    assert set(value) == {"name", "age"} and value["name"] in ("fox", "bird")
    assert isinstance(value["age"], int) and value["age"] <= 99


def test_texts_match(model: linnet.Model) -> None:
    for seed in range(3):
        text = model.generate("The date: ", regex=DATE, seed=seed)
        assert re.fullmatch(DATE, text.finish()) and text.finish_reason == "stop"
        text = model.generate("A fox: ", json_schema=SCHEMA, seed=seed)
        check("".join(map(str, text)))
        answer = model.generate("Did he? ", grammar=GBNF, seed=seed).finish()
        assert re.fullmatch("(yes|no), [a-c]{3}", answer)
        check(model.generate("A fox: ", json_schema=json.dumps(SCHEMA), seed=seed).finish())


def test_text_is_the_programs(model: linnet.Model, tmp_path: pathlib.Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    program = json.loads(
        run("generate", "--prompt", "A fox: ", "--seed", "7", "--json-schema", str(schema), "--json").stdout
    )  # fmt: skip
    text = model.generate("A fox: ", seed=7, json_schema=SCHEMA)
    assert text.finish() == program["text"]
    assert (text.tokens, text.finish_reason) == (program["tokens"], program["finish_reason"])


def test_a_compiled_grammar_gives_the_same_texts(model: linnet.Model) -> None:
    grammars = {
        "regex": (linnet.Grammar.regex(DATE), {"regex": DATE}),
        "schema": (linnet.Grammar.json_schema(SCHEMA), {"json_schema": SCHEMA}),
        "gbnf": (linnet.Grammar.gbnf(GBNF), {"grammar": GBNF}),
    }
    for compiled, given in grammars.values():
        for seed in range(2):
            again: Any = given
            expected = model.generate("Once ", seed=seed, **again).finish()
            assert model.generate("Once ", seed=seed, grammar=compiled).finish() == expected
    json.loads(model.generate("A fox: ", grammar=linnet.Grammar.json(), seed=1).finish())
    kbnf = linnet.Grammar.ai00_bnf('start ::= "yes" | "no";')
    assert model.generate("Did he? ", grammar=kbnf, seed=1).finish() in ("yes", "no")


def test_a_text_that_is_cut_is_the_start_of_a_match(model: linnet.Model) -> None:
    text = model.generate("The letters: ", regex="[a-z]{50}", max_tokens=4, seed=1)
    assert re.fullmatch("[a-z]{1,49}", text.finish()) and text.finish_reason == "length"


def test_stop_strings_and_probabilities(model: linnet.Model) -> None:
    # A stop string ends the text only where it is complete.
    assert model.generate("Yes? ", regex="no, no|no", stop=[","], seed=1).finish() in ("no", "no, no")
    free = model.generate("The date: ", max_tokens=1, temperature=0, presence_penalty=0,
                          frequency_penalty=0, logprobs=1)  # fmt: skip
    limited = model.generate("The date: ", regex=DATE, seed=1, logprobs=1)
    assert next(limited).top_logprobs == next(free).top_logprobs  # of the model, not of the grammar


def test_asynchronous(model: linnet.Model) -> None:
    async def write() -> str:
        pieces = model.generate("The date: ", regex=DATE, seed=1)
        return "".join([piece.text async for piece in pieces])

    assert asyncio.run(write()) == model.generate("The date: ", regex=DATE, seed=1).finish()


def test_replies_of_a_chat(model: linnet.Model) -> None:
    chat = model.chat(json_schema=SCHEMA, seed=1)
    check(chat.ask("Who is it?"))
    check("".join(chat.stream("And who is that?")))
    message = [{"role": "user", "content": "Who is it?"}]
    check(model.reply(message, json_schema=SCHEMA, seed=2).finish())
    # A model that thinks by default closes an empty thought before.
    for think in ("auto", "off"):
        check(model.reply(message, template="g1", think=think, json_schema=SCHEMA, seed=2).finish())
        check(model.chat(template="g1", think=think, json_schema=SCHEMA, seed=2).ask("Who is it?"))


def test_errors(model: linnet.Model) -> None:
    bad: list[tuple[dict[str, Any], str]] = [
        ({"regex": "a(?=b)"}, "1:2"),
        ({"regex": 3}, "regex is of type int"),
        ({"grammar": "root ::= x"}, "grammar:1"),
        ({"grammar": b"root"}, "linnet.Grammar"),
        ({"json_schema": {"type": "object", "propertyNames": {}}}, "propertyNames"),
        ({"json_schema": "{"}, "json_schema"),
        ({"regex": "a", "json_schema": True}, "one of"),
    ]  # fmt: skip
    for arguments, words in bad:
        for call in (lambda **a: model.generate("", **a), model.chat):
            with pytest.raises(linnet.InputError, match=words):
                call(**arguments)
    with pytest.raises(linnet.InputError, match="thoughts"):
        model.chat(template="g1", think="on", regex="a")
    with pytest.raises(linnet.InputError, match="name.gbnf"):
        linnet.Grammar.gbnf("root ::= x", name="name.gbnf")


def test_client_limits_what_it_writes(model: linnet.Model) -> None:
    client = linnet.local.OpenAI(model)
    messages = [{"role": "user", "content": "Who is it?"}]
    wanted = {"type": "json_schema", "json_schema": {"name": "who", "schema": SCHEMA}}
    reply = client.chat.completions.create(messages=messages, seed=1, response_format=wanted)
    content = reply.choices[0].message.content
    assert content is not None
    check(content)
    chunks = client.chat.completions.create(
        messages=messages, seed=1, response_format=wanted, stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == content
    reply = client.chat.completions.create(
        messages=messages, seed=1, response_format={"type": "json_object"}, max_tokens=400
    )
    if reply.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(reply.choices[0].message.content or ""), dict)
    reply = client.chat.completions.create(messages=messages, extra_body={"regex": "yes|no"})
    assert reply.choices[0].message.content in ("yes", "no")
    raw = client.completions.create(prompt="The date: ", seed=1, extra_body={"regex": DATE})
    assert re.fullmatch(DATE, raw.choices[0].text)
    with pytest.raises(linnet.InputError, match="response_format"):
        client.chat.completions.create(messages=messages, response_format={"type": "xml"})
    with pytest.raises(linnet.InputError, match="extra_body"):
        client.chat.completions.create(messages=messages, regex="a")  # type: ignore[call-overload]
    with pytest.raises(linnet.InputError, match="not JSON"):
        client.chat.completions.create(messages=messages, tools=[{"function": object()}])


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Oslo", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def test_client_calls_functions(model: linnet.Model) -> None:
    client = linnet.local.OpenAI(model, template="world")
    messages: list[dict[str, Any]] = [{"role": "user", "content": "How is the weather in Rome?"}]
    ask: Any = {"messages": messages, "tools": [TOOL], "tool_choice": "required", "seed": 1,
                "parallel_tool_calls": False}  # fmt: skip
    reply = client.chat.completions.create(**ask)
    choice = reply.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.function.name == "weather" and call.id
    assert json.loads(call.function.arguments)["city"] in ("Oslo", "Rome")
    chunks = list(client.chat.completions.create(**ask, stream=True))
    parts = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or []]
    assert "".join(part.function.arguments for part in parts) == call.function.arguments
    assert parts[0].function.name == "weather" and chunks[-1].choices[0].finish_reason == "tool_calls"

    messages.append({"role": "assistant", "content": None, "tool_calls": [call.model_dump()]})
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "18 degrees, sunny"})
    answer = client.chat.completions.create(messages=messages, tools=[TOOL], seed=1, max_tokens=20)
    assert answer.choices[0].message.content or answer.choices[0].message.tool_calls
    none = linnet.local.OpenAI(model, template="raven")
    with pytest.raises(linnet.InputError, match="template raven"):
        none.chat.completions.create(messages=messages[:1], tools=[TOOL])
