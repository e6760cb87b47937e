"""What Anthropic's own Python package makes of the answers."""

import hashlib
import json
import os

import anthropic
import jsonschema
import pytest

STORY = [{"role": "user", "content": "Tell me a story about a linnet."}]
WEATHER = {"name": "weather", "description": "The weather at a place.",
           "input_schema": {"type": "object", "required": ["place", "days"], "additionalProperties": False,
                            "properties": {"place": {"type": "string", "maxLength": 20},
                                           "days": {"type": "integer", "minimum": 1, "maximum": 9}}}}


@pytest.fixture(scope="module")
def client(server):
    return anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def world_client(world_server):
    return anthropic.Anthropic(base_url=world_server.url, api_key="none", max_retries=0)


def create(client, **more):
    extra = {"seed": 1, **more.pop("extra_body", {})}
    if "temperature" in more:  # a field of the API that this package no longer has
        extra["temperature"] = more.pop("temperature")
    return client.messages.create(**{"model": "builtin", "messages": STORY, "max_tokens": 24,
                                     "extra_body": extra, **more})


def prompt_tokens(usage):
    return usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens


def test_answers(client):
    answer = create(client)
    assert answer.type == "message" and answer.role == "assistant" and answer.model == "builtin"
    assert [block.type for block in answer.content] == ["text"] and answer.content[0].text
    assert answer.stop_reason in ("end_turn", "max_tokens") and answer.stop_sequence is None
    assert 0 < answer.usage.output_tokens <= 24
    assert answer._request_id


def test_stream_is_the_answer(client):
    answer = create(client)
    with client.messages.stream(model="builtin", messages=STORY, max_tokens=24, extra_body={"seed": 1}) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == answer.content[0].text == final.content[0].text
    assert final.stop_reason == answer.stop_reason
    assert final.usage.output_tokens == answer.usage.output_tokens
    assert prompt_tokens(final.usage) == prompt_tokens(answer.usage)


def test_raw_events_are_in_order(client):
    kinds = [event.type for event in create(client, stream=True)]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds[1] == "content_block_start" and kinds[-3] == "content_block_stop"
    assert set(kinds[2:-3]) == {"content_block_delta"}


def test_the_cache_is_counted(client):
    messages = [{"role": "user", "content": "Tell me a story about a heron that fishes."}]
    once = create(client, messages=messages)
    assert once.usage.cache_creation_input_tokens > 0
    again = create(client, messages=messages)
    assert again.usage.cache_read_input_tokens > 0
    assert prompt_tokens(again.usage) == prompt_tokens(once.usage)
    assert again.content[0].text == once.content[0].text
    off = create(client, messages=messages, extra_body={"no_cache": True})
    assert off.usage.cache_read_input_tokens == off.usage.cache_creation_input_tokens == 0
    assert off.usage.input_tokens == prompt_tokens(once.usage)
    assert off.content[0].text == once.content[0].text


def test_count_tokens(client):
    for more in ({}, {"system": "Be kind.", "tools": [WEATHER]}):
        counted = client.messages.count_tokens(model="builtin", messages=STORY, **more)
        assert counted.input_tokens == prompt_tokens(create(client, **more).usage)


def test_stop_sequences(client):
    whole = create(client, temperature=0, max_tokens=40).content[0].text
    word = whole.split()[5]
    cut = create(client, temperature=0, max_tokens=40, stop_sequences=[word])
    assert cut.stop_reason == "stop_sequence" and cut.stop_sequence == word
    assert cut.content[0].text == whole[: whole.index(word)]


def test_prefill_is_continued(client):
    messages = STORY + [{"role": "assistant", "content": "Once upon a time"}]
    assert create(client, messages=messages).content[0].text


@pytest.mark.parametrize("which", ["client", "world_client"])
@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather"}])
def test_tools_round_trip(which, choice, request):
    client = request.getfixturevalue(which)
    model = client.models.list().data[0].id
    ask = {"model": model, "tools": [WEATHER], "max_tokens": 300}
    answer = create(client, tool_choice={**choice, "disable_parallel_tool_use": True}, **ask)
    assert answer.stop_reason == "tool_use", answer
    call, = answer.content
    jsonschema.validate(call.input, WEATHER["input_schema"])
    with client.messages.stream(messages=STORY, tool_choice={**choice, "disable_parallel_tool_use": True},
                                extra_body={"seed": 1}, **ask) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].input == call.input and streamed.content[0].name == "weather"
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]}
    messages = STORY + [{"role": "assistant", "content": answer.content}, result]
    assert create(client, messages=messages, **{**ask, "max_tokens": 20}).content


def test_thinking(world_client):
    """A random model does not close the tag of its thoughts: it is made to write `>` only."""
    more = {"model": world_client.models.list().data[0].id, "max_tokens": 12,
            "thinking": {"type": "enabled", "budget_tokens": 1024}, "extra_body": {"logit_bias": {"63": 1000}}}
    answer = create(world_client, **more)
    assert [block.type for block in answer.content] == ["thinking"]
    assert answer.content[0].thinking == ">" * 11 and answer.stop_reason == "max_tokens"
    assert answer.usage.output_tokens_details.thinking_tokens == answer.usage.output_tokens == 12
    with world_client.messages.stream(messages=STORY, **more) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_message()
    assert "thinking" in kinds and final.content[0].thinking == answer.content[0].thinking
    hidden = create(world_client, **{**more, "thinking": {"type": "adaptive", "display": "omitted"}})
    assert [block.type for block in hidden.content] == ["thinking"] and hidden.content[0].thinking == ""
    # Thoughts may come back, and are not read again.
    counts = []
    for content in (answer.content, []):
        messages = STORY + [{"role": "assistant", "content": [*content, {"type": "text", "text": "Well."}]},
                            {"role": "user", "content": "Go on."}]
        counts.append(world_client.messages.count_tokens(model=more["model"], messages=messages).input_tokens)
    assert counts[0] == counts[1]


def test_structured_output(client):
    schema = {"type": "object", "properties": {"kind": {"enum": ["bird", "beast"]}}, "required": ["kind"],
              "additionalProperties": False}
    answer = create(client, max_tokens=100, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert answer.stop_reason == "end_turn"
    jsonschema.validate(json.loads(answer.content[0].text), schema)


def test_models(client):
    model, = client.models.list().data
    assert model.id == "builtin" and model.type == "model" and model.display_name and model.created_at
    assert client.models.retrieve("builtin").id == "builtin"
    assert create(client, model="claude-of-some-kind").model == "builtin"


def test_errors(client, start, tmp_path):
    with pytest.raises(anthropic.NotFoundError) as error:
        create(client, model="gpt-4")
    assert error.value.body["error"]["type"] == "not_found_error" and error.value.request_id
    with pytest.raises(anthropic.BadRequestError, match="temperature"):
        create(client, temperature=-1)
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    with pytest.raises(anthropic.BadRequestError, match="no text"):
        create(client, messages=[{"role": "user", "content": [image]}])
    keys = tmp_path / "keys"
    keys.write_text(f"anna sha256:{hashlib.sha256(b'sk-anna').hexdigest()}\n")
    os.chmod(keys, 0o600)
    keyed = start("--api-key-file", str(keys), "--no-disk-cache")
    wrong = anthropic.Anthropic(base_url=keyed.url, api_key="sk-ben", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError) as error:
        create(wrong)
    assert error.value.body["error"]["type"] == "authentication_error"
    assert create(anthropic.Anthropic(base_url=keyed.url, api_key="sk-anna", max_retries=0)).content
    assert create(anthropic.Anthropic(base_url=keyed.url, auth_token="sk-anna", api_key=None, max_retries=0)).content
