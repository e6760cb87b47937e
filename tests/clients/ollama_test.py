"""What Ollama's own Python package makes of the answers."""

import hashlib
import json
import time

import httpx
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


def test_the_root_tells_clients_from_browsers(server):
    for headers in ({}, {"accept": "*/*"}, {"accept": "application/json"}):
        assert httpx.get(server.url, headers=headers).text == "Ollama is running"
    assert httpx.head(server.url).status_code == 200  # how Ollama's own client looks for a server
    page = httpx.get(server.url, headers={"accept": "text/html,application/xhtml+xml"})
    assert page.headers["content-type"].startswith("text/html") and "<html" in page.text


def refused(change, status, words):
    with pytest.raises(ollama.ResponseError, match=words) as error:
        change()
    assert error.value.status_code == status


def test_models_are_not_changed_without_permission(client, start, tmp_path, hub):
    names = {"keys": "anna", "admins": "root"}
    for file, name in names.items():
        (tmp_path / file).write_text(f"{name} sha256:{hashlib.sha256(name.encode()).hexdigest()}\n")
    (tmp_path / "models").mkdir()
    folder = ["--models-dir", str(tmp_path / "models")]
    keys = ["--api-key-file", str(tmp_path / "keys"), "--admin-key-file", str(tmp_path / "admins")]
    closed = ollama.Client(host=start("--no-disk-cache", *folder).url)
    locked = start("--no-disk-cache", *folder, "--allow-pull", *keys)
    anna = ollama.Client(host=locked.url, headers={"authorization": "Bearer anna"})
    for one, words in ((client, "--models-dir"), (closed, "--allow-pull"), (anna, "--admin-key-file")):
        refused(lambda: one.pull("any/model"), 403, words)
        refused(lambda: list(one.pull("any/model", stream=True)), 403, words)
        refused(lambda: one.copy("builtin", "b"), 403, words)
        refused(lambda: one.delete("builtin"), 403, words)
    assert not hub.requests
    root = ollama.Client(host=locked.url, headers={"authorization": "Bearer root"})
    assert root.pull("any/model").status == "success"
    assert [model.model for model in anna.list().models] == ["builtin:latest", "tiny:latest"]


def test_a_model_is_pulled_named_and_deleted(start, tmp_path, hub):
    server = start("--no-disk-cache", "--models-dir", str(tmp_path), "--allow-pull")
    client = ollama.Client(host=server.url)
    steps = list(client.pull("any/model", stream=True))
    assert steps[0].status == "pulling manifest" and steps[-1].status == "success"
    fetched = [step for step in steps if step.total]
    assert {step.digest for step in fetched} == {"sha256:" + hashlib.sha256(hub.model).hexdigest()}
    assert {step.total for step in fetched} == {len(hub.model)} and fetched[-1].completed == len(hub.model)
    path = tmp_path / "any" / "model" / "tiny.safetensors"
    assert path.read_bytes() == hub.model
    # It is not in memory yet, and is there under all its names.
    assert [model.model for model in client.list().models] == ["builtin:latest", "tiny:latest"]
    assert [model.model for model in client.ps().models] == ["builtin:latest"]
    for name in ("any/model", "any/model/tiny.safetensors", "any/model:latest", "tiny"):
        assert client.generate(name, "a", options={"num_predict": 1}).done
    asked = len(hub.requests)
    assert client.pull("any/model").status == "success" and len(hub.requests) == asked

    client.copy("any/model", "second")
    assert client.generate("second", "a", options={"num_predict": 1}).done
    assert [model.model for model in client.list().models] == ["builtin:latest", "tiny:latest", "second:latest"]
    refused(lambda: client.copy("tiny", "builtin"), 400, "already")
    refused(lambda: client.copy("tiny", "a b"), 400, "letters")
    refused(lambda: client.copy("none", "b"), 404, "none")
    refused(lambda: client.copy("builtin", "b"), 400, "not pulled")
    refused(lambda: client.delete("tiny"), 400, "second")
    client.delete("second")
    refused(lambda: client.delete("second"), 404, "second")
    refused(lambda: client.delete("tiny"), 409, "loaded")
    assert path.exists()
    # The last request may still be ending.
    while httpx.post(server.url + "/v1/admin/models/unload", json={"model": "tiny"}).status_code == 409:
        time.sleep(0.05)
    client.delete("any/model")
    assert list(tmp_path.iterdir()) == []
    refused(lambda: client.generate("tiny", "a"), 404, "tiny")


def test_a_pull_that_fails_says_why(start, tmp_path, hub):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
    (inside / "out").symlink_to(outside)
    client = ollama.Client(host=start("--no-disk-cache", "--models-dir", str(inside), "--allow-pull").url)
    with pytest.raises(ollama.ResponseError, match="none"):
        client.pull("any/none")
    with pytest.raises(ollama.ResponseError, match="none"):
        list(client.pull("any/none", stream=True))
    for name in ("../../etc/passwd", "any/../../x", "/etc/passwd", "tiny"):
        with pytest.raises(ollama.ResponseError) as error:
            client.pull(name)
        assert error.value.status_code in (400, 404), name
    refused(lambda: client.pull("out/model"), 400, "leads out")
    assert list(outside.iterdir()) == []


def test_a_client_that_leaves_stops_the_pull_and_the_next_one_resumes_it(start, tmp_path, hub):
    server = start("--no-disk-cache", "--models-dir", str(tmp_path), "--allow-pull")
    half = len(hub.model) // 2
    hub.stall_at = half
    with httpx.stream("POST", server.url + "/api/pull", json={"model": "any/model"}, timeout=None) as reply:
        for line in reply.iter_lines():
            if json.loads(line).get("completed") == half:
                break
    hub.stalled.wait()
    hub.stall_at = None
    while True:
        again = httpx.post(server.url + "/api/pull", json={"model": "any/model", "stream": False}, timeout=None)
        if again.status_code != 409:  # it goes on until the server has seen that the client left
            break
        time.sleep(0.05)
    assert again.json() == {"status": "success"}
    assert hub.requests[-1] == ("/any/model/resolve/main/tiny.safetensors", f"bytes={half}-")
    assert (tmp_path / "any" / "model" / "tiny.safetensors").read_bytes() == hub.model
