"""What Ollama's own Python package makes of the answers."""

import json

import jsonschema
import ollama
import pytest

STORY = [{"role": "user", "content": "Tell me a story about a linnet."}]
OPTIONS = {"num_predict": 24, "seed": 1}
WEATHER = {"type": "function", "function": {
    "name": "weather", "description": "The weather at a place.",
    "parameters": {"type": "object", "required": ["place"], "properties": {
        "place": {"type": "string", "maxLength": 8}}}}}


@pytest.fixture(scope="module")
def client(server):
    return ollama.Client(host=server.url)


@pytest.fixture(scope="module")
def world_client(world_server):
    return ollama.Client(host=world_server.url)


def test_models(client):
    model, = client.list().models
    assert model.model == "builtin:latest" and model.size > 0 and len(model.digest) == 64
    assert model.details.family.startswith("rwkv") and model.details.parameter_size
    running, = client.ps().models
    assert running.model == model.model and running.context_length > 0
    shown = client.show("builtin")
    assert shown.capabilities[0] == "completion" and "tools" in shown.capabilities
    assert shown.modelinfo["general.parameter_count"] > 0 and shown.template
    with pytest.raises(ollama.ResponseError) as error:
        client.show("llama3")
    assert error.value.status_code == 404 and "llama3" in error.value.error


@pytest.mark.parametrize("name", ["builtin", "builtin:latest"])
def test_chat(client, name):
    answer = client.chat(name, STORY, options=OPTIONS)
    assert answer.message.role == "assistant" and answer.message.content
    assert answer.done and answer.done_reason in ("stop", "length") and answer.model == name
    assert 0 < answer.eval_count <= 24 and answer.prompt_eval_count > 0
    assert answer.total_duration >= answer.eval_duration > 0
    assert answer.prompt_eval_duration > 0 and answer.load_duration > 0


def test_stream_is_the_answer(client):
    whole = client.chat("builtin", STORY, options=OPTIONS)
    chunks = list(client.chat("builtin", STORY, options=OPTIONS, stream=True))
    assert "".join(chunk.message.content for chunk in chunks) == whole.message.content
    assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].eval_count == whole.eval_count


def test_generate_with_context(client):
    first = client.generate("builtin", "Tell me a story about a fox.", options=OPTIONS)
    assert first.response and first.context
    second = client.generate("builtin", "Go on.", context=first.context, options=OPTIONS)
    assert second.response and second.prompt_eval_count > len(first.context)
    assert list(second.context[: len(first.context)]) == list(first.context)
    parts = list(client.generate("builtin", "Tell me a story about a fox.", options=OPTIONS, stream=True))
    assert "".join(part.response for part in parts) == first.response
    assert list(parts[-1].context) == list(first.context)


def test_generate_raw_and_template(client):
    raw = client.generate("builtin", "Once upon a time", raw=True, options=OPTIONS)
    assert raw.response and raw.context is None
    form = client.show("builtin").template
    shown = client.generate("builtin", "Hello.", template=form, system="Be kind.", options=OPTIONS)
    asked = client.generate("builtin", "Hello.", system="Be kind.", options=OPTIONS)
    assert shown.prompt_eval_count == asked.prompt_eval_count
    with pytest.raises(ollama.ResponseError, match="range"):
        client.generate("builtin", "Hello.", template="{{ range .Messages }}{{ end }}")


@pytest.mark.parametrize("which", ["client", "world_client"])
@pytest.mark.parametrize("stream", [False, True])
def test_tools_round_trip(which, stream, request):
    """Ollama's package cannot ask for a call, so that the field of OpenAI's is sent beside its own."""
    client = request.getfixturevalue(which)
    name = client.list().models[0].model
    ask = {"model": name, "messages": STORY, "tools": [WEATHER], "tool_choice": "required", "stream": stream,
           "options": {"num_predict": 300, "seed": 1}}
    answer = client._request(ollama.ChatResponse, "POST", "/api/chat", json=ask, stream=stream)
    answers = list(answer) if stream else [answer]
    calling = [one for one in answers if one.message.tool_calls]
    assert len(calling) == 1 and calling[0].done == (not stream) and answers[-1].done_reason == "stop"
    for call in calling[0].message.tool_calls:
        assert call.function.name == "weather"
        jsonschema.validate(call.function.arguments, WEATHER["function"]["parameters"])
    messages = STORY + [calling[0].message, {"role": "tool", "tool_name": "weather", "content": "dry"}]
    assert client.chat(name, messages, tools=[WEATHER], options=OPTIONS).done


def test_format(client):
    schema = {"type": "object", "properties": {"kind": {"enum": ["bird", "beast"]}}, "required": ["kind"],
              "additionalProperties": False}
    answer = client.chat("builtin", STORY, format=schema, options={"num_predict": 100, "seed": 1})
    jsonschema.validate(json.loads(answer.message.content), schema)
    answer = client.generate("builtin", "A bird as JSON.", format="json", options={"num_predict": 300, "seed": 2})
    if answer.done_reason == "stop":
        assert isinstance(json.loads(answer.response), dict)


def test_thinking(world_client):
    """A random model does not close the tag of its thoughts: it is made to write `>` only."""
    name = world_client.list().models[0].model
    assert "thinking" in world_client.show(name).capabilities
    more = {"think": True, "options": {"num_predict": 12, "logit_bias": {"63": 1000}}}
    answer = world_client.chat(name, STORY, **more)
    assert answer.message.thinking == ">" * 11 and answer.message.content == ""
    chunks = list(world_client.chat(name, STORY, stream=True, **more))
    assert "".join(chunk.message.thinking or "" for chunk in chunks) == answer.message.thinking


def test_logprobs(client):
    answer = client.chat("builtin", STORY, logprobs=True, top_logprobs=2, options={**OPTIONS, "temperature": 0})
    assert len(answer.logprobs) <= answer.eval_count and answer.logprobs[0].logprob <= 0
    assert len(answer.logprobs[0].top_logprobs) == 2


def test_embed(client):
    two = client.embed("builtin", ["A cat sat on the mat.", "Der Hund bellt."])
    assert len(two.embeddings) == 2
    for vector in two.embeddings:
        assert abs(sum(x * x for x in vector) - 1) < 1e-4
    one = client.embed("builtin", "A cat sat on the mat.")
    assert list(one.embeddings[0]) == list(two.embeddings[0]) and one.prompt_eval_count > 0
    old = client.embeddings("builtin", "A cat sat on the mat.")
    assert list(old.embedding) == list(one.embeddings[0])


def test_errors(client):
    with pytest.raises(ollama.ResponseError) as error:
        client.chat("llama3", STORY)
    assert error.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="models here read only text"):
        client.generate("builtin", "What is this?", images=["aGk="])
    with pytest.raises(ollama.ResponseError, match="options.temperature"):
        client.chat("builtin", STORY, options={"temperature": -1})


def test_what_is_served_is_pulled(client):
    assert client.pull("builtin").status == "success"
    assert [step.status for step in client.pull("builtin", stream=True)] == ["success"]


def test_models_are_not_changed(client):
    for change in (lambda: client.pull("none"), lambda: client.copy("builtin", "b"), lambda: client.delete("builtin")):
        with pytest.raises(ollama.ResponseError) as error:
            change()
        assert error.value.status_code == 501
