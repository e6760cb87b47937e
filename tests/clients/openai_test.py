"""What OpenAI's own Python package makes of the answers."""

import json

import jsonschema
import openai
import pytest
from pydantic import BaseModel

STORY = [{"role": "user", "content": "Tell me a story about a linnet."}]
WEATHER = {"type": "function", "function": {
    "name": "weather", "description": "The weather at a place.",
    "parameters": {"type": "object", "required": ["place", "days"], "additionalProperties": False,
                   "properties": {"place": {"type": "string", "maxLength": 20},
                                  "days": {"type": "integer", "minimum": 1, "maximum": 9}}}}}
CLOCK = {"type": "function", "function": {
    "name": "clock", "parameters": {"type": "object", "properties": {"zone": {"enum": ["utc", "local"]}},
                                    "required": ["zone"], "additionalProperties": False}}}


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def world_client(world_server):
    return openai.OpenAI(base_url=world_server.url + "/v1", api_key="none", max_retries=0)


def chat(client, **more):
    arguments = {"model": "builtin", "messages": STORY, "max_tokens": 24, "seed": 1, **more}
    return client.chat.completions.create(**arguments)


def streamed(client, **more):
    """All chunks, and the text of choice 0."""
    chunks = list(chat(client, stream=True, **more))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices and c.choices[0].index == 0)
    return chunks, text


def test_models(client):
    names = [model.id for model in client.models.list()]
    assert names == ["builtin"]
    assert client.models.retrieve("builtin").id == "builtin"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


def test_chat_answers(client):
    answer = chat(client)
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length")
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 0 < usage.completion_tokens <= 24


def test_stream_is_the_answer(client):
    answer = chat(client)
    chunks, text = streamed(client, stream_options={"include_usage": True})
    assert text == answer.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1 and len({chunk.created for chunk in chunks}) == 1
    ends = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert ends == [answer.choices[0].finish_reason]
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == answer.usage.completion_tokens


def test_seed_decides(client):
    texts = {seed: chat(client, seed=seed, temperature=1.5, top_p=1).choices[0].message.content for seed in (1, 2)}
    assert texts[1] != texts[2]
    assert texts[1] == chat(client, seed=1, temperature=1.5, top_p=1).choices[0].message.content


def test_the_cache_changes_no_bit(client):
    once = chat(client, logprobs=True, top_logprobs=3, extra_body={"no_cache": True})
    again = [chat(client, logprobs=True, top_logprobs=3) for _ in range(2)]
    for answer in again:
        assert answer.choices[0].message.content == once.choices[0].message.content
        assert answer.choices[0].logprobs == once.choices[0].logprobs
    assert again[1].usage.prompt_tokens_details.cached_tokens > 0
    assert once.usage.prompt_tokens_details.cached_tokens == 0


def test_n_choices(client):
    answer = chat(client, n=3, temperature=1.5, top_p=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) == 3
    assert answer.usage.completion_tokens <= 3 * 24


def test_stop_and_max_tokens(client):
    whole = chat(client, temperature=0, max_tokens=40).choices[0].message.content
    word = whole.split()[5]
    cut = chat(client, temperature=0, max_tokens=40, stop=[word])
    assert cut.choices[0].finish_reason == "stop"
    assert cut.choices[0].message.content == whole[: whole.index(word)]
    short = chat(client, temperature=0, max_completion_tokens=3, max_tokens=None)
    assert short.choices[0].finish_reason == "length" and short.usage.completion_tokens == 3


def test_logprobs(client):
    choice = chat(client, logprobs=True, top_logprobs=4, temperature=0, max_tokens=6).choices[0]
    for token in choice.logprobs.content:
        assert token.logprob <= 0 and len(token.top_logprobs) == 4
        assert token.logprob == max(top.logprob for top in token.top_logprobs)  # greedy
    assert b"".join(bytes(token.bytes) for token in choice.logprobs.content).decode().strip() == \
        choice.message.content.strip()


def test_logit_bias_bans(client):
    first = client.completions.create(model="builtin", prompt="Once upon a", max_tokens=1, temperature=0, logprobs=1)
    token = list(first.choices[0].logprobs.top_logprobs[0])[0]
    ids = {str(i): -100 for i in range(1, 4096)}
    free = client.completions.create(model="builtin", prompt="Once upon a", max_tokens=1, temperature=0)
    assert free.choices[0].text == token
    banned = client.completions.create(model="builtin", prompt="Once upon a", max_tokens=1, temperature=0, logit_bias=ids)
    assert banned.choices[0].text != token


SHAPES = [
    {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 120}},
     "required": ["name", "age"], "additionalProperties": False},
    {"type": "object", "properties": {"kind": {"enum": ["bird", "beast"]}, "legs": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 4}},
     "required": ["kind", "legs"], "additionalProperties": False},
    {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["next"], "additionalProperties": False,
     "$defs": {"node": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"], "additionalProperties": False}]}}},
]


@pytest.mark.parametrize("schema", SHAPES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_json_schema_binds(client, schema, seed):
    answer = chat(client, seed=seed, max_tokens=200, temperature=1, top_p=0.9,
                  response_format={"type": "json_schema", "json_schema": {"name": "it", "strict": True, "schema": schema}})
    choice = answer.choices[0]
    if choice.finish_reason == "stop":
        jsonschema.validate(json.loads(choice.message.content), schema)
    else:
        assert choice.finish_reason == "length"


def test_json_object_parses(client):
    choice = chat(client, max_tokens=400, response_format={"type": "json_object"}, temperature=0.8).choices[0]
    assert choice.finish_reason in ("stop", "length")
    if choice.finish_reason == "stop":
        assert isinstance(json.loads(choice.message.content), dict)


def test_parse_helper(client):
    class Bird(BaseModel):
        name: str
        wings: int

    answer = client.chat.completions.parse(model="builtin", messages=STORY, response_format=Bird, seed=3, max_tokens=1000,
                                           logit_bias={}, temperature=0.5)
    assert isinstance(answer.choices[0].message.parsed, Bird)


@pytest.mark.parametrize("which", ["client", "world_client"])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_tool_calls(which, choice, request):
    client = request.getfixturevalue(which)
    model = client.models.list().data[0].id
    answer = chat(client, model=model, tools=[WEATHER, CLOCK], tool_choice=choice, max_tokens=300)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls", answer
    for call in message.tool_calls:
        tool = {"weather": WEATHER, "clock": CLOCK}[call.function.name]
        jsonschema.validate(json.loads(call.function.arguments), tool["function"]["parameters"])
    if isinstance(choice, dict):
        assert [call.function.name for call in message.tool_calls] == ["weather"]


def test_streamed_tool_call_is_the_answers(client):
    whole = chat(client, tools=[WEATHER], tool_choice="required", max_tokens=300)
    chunks, text = streamed(client, tools=[WEATHER], tool_choice="required", max_tokens=300)
    assert text == ""
    calls = [delta for c in chunks if c.choices for delta in c.choices[0].delta.tool_calls or []]
    assert calls[0].function.name == "weather" and calls[0].id and calls[0].type == "function"
    assert all(call.index == 0 for call in calls)
    assert "".join(call.function.arguments or "" for call in calls) == whole.choices[0].message.tool_calls[0].function.arguments


def test_tool_results_are_read(client):
    messages = STORY + [
        {"role": "assistant", "content": None,
         "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"place":"Rome","days":1}'}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}]
    answer = chat(client, messages=messages, tools=[WEATHER])
    assert answer.choices[0].message.content is not None or answer.choices[0].message.tool_calls


def test_completion_forms(client):
    one = client.completions.create(model="builtin", prompt="Once upon a time", max_tokens=5, temperature=0)
    several = client.completions.create(model="builtin", prompt=["Once upon a time", "There was a"], max_tokens=5, temperature=0)
    assert [choice.index for choice in several.choices] == [0, 1]
    assert several.choices[0].text == one.choices[0].text
    echoed = client.completions.create(model="builtin", prompt="Once upon a time", max_tokens=5, temperature=0, echo=True, logprobs=2)
    assert echoed.choices[0].text == "Once upon a time" + one.choices[0].text
    assert echoed.choices[0].logprobs.token_logprobs[0] is None
    assert len(echoed.choices[0].logprobs.tokens) == echoed.usage.total_tokens
    best = client.completions.create(model="builtin", prompt="Once upon a time", max_tokens=5, best_of=4, n=2)
    assert len(best.choices) == 2
    parts = client.completions.create(model="builtin", prompt="Once upon a time", max_tokens=5, temperature=0, stream=True)
    assert "".join(part.choices[0].text for part in parts) == one.choices[0].text


def test_ids_are_prompts_too(client):
    first = client.completions.create(model="builtin", prompt=[5, 6, 7], max_tokens=4, temperature=0)
    both = client.completions.create(model="builtin", prompt=[[5, 6, 7], [8, 9]], max_tokens=4, temperature=0)
    assert both.choices[0].text == first.choices[0].text
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="builtin", prompt=[10**9], max_tokens=4)


def test_responses(client):
    first = client.responses.create(model="builtin", input="Tell me a story about a fox.", max_output_tokens=30)
    assert first.status in ("completed", "incomplete") and first.output_text
    assert client.responses.retrieve(first.id).output_text == first.output_text
    second = client.responses.create(model="builtin", input="Go on.", previous_response_id=first.id, max_output_tokens=20)
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens > first.usage.input_tokens
    assert second.usage.input_tokens_details.cached_tokens > 0
    items = list(client.responses.input_items.list(second.id))
    assert items
    counted = client.responses.input_tokens.count(model="builtin", input="Tell me a story about a fox.")
    assert counted.input_tokens == first.usage.input_tokens
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_response_stream(client):
    with client.responses.stream(model="builtin", input="Tell me a story about a fox.", max_output_tokens=30) as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created" and kinds[-1] in ("response.completed", "response.incomplete")
    numbers = [event.sequence_number for event in events if hasattr(event, "sequence_number")]
    assert numbers == sorted(numbers)
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == final.output_text


def test_response_tools(client):
    tool = {"type": "function", "name": "weather", "parameters": WEATHER["function"]["parameters"], "strict": True}
    answer = client.responses.create(model="builtin", input="The weather in Rome?", tools=[tool], tool_choice="required", max_output_tokens=300)
    calls = [item for item in answer.output if item.type == "function_call"]
    assert calls and calls[0].name == "weather"
    jsonschema.validate(json.loads(calls[0].arguments), tool["parameters"])
    more = client.responses.create(model="builtin", previous_response_id=answer.id, max_output_tokens=10,
                                   input=[{"type": "function_call_output", "call_id": calls[0].call_id, "output": "sunny"}])
    assert more.id != answer.id


def test_embeddings(client):
    answer = client.embeddings.create(model="builtin", input=["a fox", "a vixen", "a fox"])
    vectors = [data.embedding for data in answer.data]
    assert vectors[0] == vectors[2] != vectors[1]
    assert abs(sum(x * x for x in vectors[0]) - 1) < 1e-3
    floats = client.embeddings.create(model="builtin", input="a fox", encoding_format="float")
    assert max(abs(a - b) for a, b in zip(floats.data[0].embedding, vectors[0])) < 1e-6


def test_errors(client):
    for wrong in ({"temperature": -1}, {"max_tokens": -5}, {"messages": []}, {"messages": [{"role": "king", "content": "x"}]},
                  {"top_p": 2}, {"n": 0}, {"response_format": {"type": "xml"}}, {"logit_bias": {"x": 1}}):
        with pytest.raises(openai.APIStatusError) as caught:
            chat(client, **wrong)
        assert caught.value.status_code in (400, 422), wrong
        assert caught.value.body["message"]
    with pytest.raises(openai.NotFoundError):
        chat(client, model="gpt-4")


def test_unknown_fields_are_ignored(client):
    assert chat(client, extra_body={"client_metadata": {"a": [1, {"b": 2}]}, "ttl": 300, "x": None}).choices
