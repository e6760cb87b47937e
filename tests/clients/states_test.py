"""States, adapters, models on demand and broken streams, as programs use them."""

import hashlib
import http.client
import json
import shutil
import signal
import subprocess
import urllib.parse

import openai

from conftest import PROGRAM

ASK = {"temperature": 0, "max_tokens": 12}


def call(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(urllib.parse.urlparse(server.url).netloc)
    data = json.dumps(body) if isinstance(body, (dict, list)) else body
    connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, text, answer.headers


def ok(server, method, path, body=None, headers=None):
    status, text, _ = call(server, method, path, body, headers)
    assert status == 200, text
    return json.loads(text)


def complete(server, prompt, **more):
    return ok(server, "POST", "/v1/completions", {"prompt": prompt, **ASK, **more})


def text_of(answer):
    return answer["choices"][0]["text"]


def test_openai_client_talks_from_a_state(server):
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
    hello, more = ({"role": "user", "content": text} for text in ("Hello, who are you?", "Tell me more."))

    def say(messages, **extra):
        return client.chat.completions.create(model="builtin", messages=messages, temperature=0, max_tokens=16,
                                              extra_body=extra)

    first = say([hello], state={"id": "client-talk", "update": True})
    assert first.state["id"] == "client-talk"
    said = {"role": "assistant", "content": first.choices[0].message.content}
    whole = say([hello, said, more]).choices[0].message.content
    assert say([more], state="client-talk").choices[0].message.content == whole
    carried = say([hello], return_state=True)
    assert carried.state["lossless"] is True
    assert say([more], state={"data": carried.state["data"]}).choices[0].message.content == whole
    assert ok(server, "DELETE", "/v1/states/client-talk")["deleted"] is True


def test_states_outlive_the_server(start, tmp_path):
    server = start("--state-dir", str(tmp_path))
    ok(server, "POST", "/v1/states", {"input": "Once upon a time", "id": "story", "name": "a story"})
    data = complete(server, "Once upon a time", max_tokens=0, return_state=True)["state"]["data"]
    expected = text_of(complete(server, "Once upon a time there was"))
    assert server.stop(signal.SIGKILL) != 0
    again = start("--state-dir", str(tmp_path))
    assert [state["id"] for state in ok(again, "GET", "/v1/states")["data"]] == ["story"]
    assert text_of(complete(again, " there was", state="story")) == expected
    assert text_of(complete(again, " there was", state={"data": data})) == expected
    # One with another key does not take it.
    stranger = start("--no-disk-cache")
    assert call(stranger, "POST", "/v1/completions", {"prompt": "a", "state": {"data": data}})[0] == 422


def test_the_same_secret_makes_replicas(start, tmp_path):
    (tmp_path / "secret").write_text("an example of a secret, not to be used\n")
    one, two = (start("--no-disk-cache", "--state-key-file", str(tmp_path / "secret")) for _ in range(2))
    data = complete(one, "Once upon a time", max_tokens=0, return_state=True)["state"]["data"]
    assert text_of(complete(two, " there was", state={"data": data})) == \
        text_of(complete(one, "Once upon a time there was"))


def test_files_go_to_the_command_line_and_back(world, world_server, tmp_path):
    ok(world_server, "POST", "/v1/states", {"input": "Once upon", "id": "file"})
    status, data, headers = call(world_server, "GET", "/v1/states/file/content?layout=reference")
    assert status == 200 and headers["Content-Type"] == "application/octet-stream"
    path = tmp_path / "a.state"
    path.write_bytes(data)
    info = subprocess.run([PROGRAM, "state", "info", str(path), "--json"], capture_output=True, check=True)
    assert json.loads(info.stdout)["layers"] == 2
    status, text, _ = call(world_server, "PUT", "/v1/states/back?layout=reference", data,
                           {"Content-Type": "application/octet-stream"})
    assert status == 200, text
    assert ok(world_server, "POST", "/v1/states/diff", {"a": "file", "b": "back"})["absolute"] == 0
    assert call(world_server, "PUT", "/v1/states/bad?layout=rwkv.cpp", data[:100],
                {"Content-Type": "application/octet-stream"})[0] == 422


def test_a_stream_goes_on_where_it_broke(server):
    body = {"prompt": "Once upon a time", "stream": True, "temperature": 0, "max_tokens": 24}
    whole = text_of(ok(server, "POST", "/v1/completions", {**body, "stream": False}))
    connection = http.client.HTTPConnection(urllib.parse.urlparse(server.url).netloc)
    connection.request("POST", "/v1/completions", json.dumps(body),
                       {"Content-Type": "application/json", "x-stream-id": "broken-1"})
    answer = connection.getresponse()
    seen, last = "", None
    while len(seen) < 10:
        line = answer.readline().decode()
        if line.startswith("id: "):
            last = int(line[4:])
        if line.startswith("data: {"):
            seen += text_of(json.loads(line[6:]))
    answer.close()
    connection.close()
    status, rest, _ = call(server, "GET", "/v1/streams/broken-1", headers={"last-event-id": str(last)})
    assert status == 200
    for line in rest.decode().splitlines():
        if line.startswith("data: {"):
            seen += text_of(json.loads(line[6:]))
    assert rest.decode().endswith("data: [DONE]\n\n")
    assert seen == whole


def test_explain(server):
    body = {"prompt": "A text about cranes that nobody has sent before", "max_tokens": 0}
    complete(server, body["prompt"], max_tokens=0)
    found = ok(server, "POST", "/v1/cache/explain", {"prompt": body["prompt"] + ", and more"})
    assert found["reason"] == "hit" and found["cached_tokens"] > 0
    missed = ok(server, "POST", "/v1/cache/explain", {"prompt": "A text about storks that nobody has sent"})
    assert missed["diverged_at"]["before"].startswith("A text about")


def make_model(path, seed):
    subprocess.run([PROGRAM, "init", "--generation", "7", "--layers", "2", "--width", "128", "--random", "--seed",
                    str(seed), str(path)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_models_on_demand(start, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    make_model(tmp_path / "outside.safetensors", 3)
    for seed, name in enumerate(("a", "b")):
        make_model(folder / f"{name}.safetensors", seed)
    (folder / "link.safetensors").symlink_to(tmp_path / "outside.safetensors")
    (folder / "notes.txt").write_text("no model")
    server = start("--models-dir", str(folder), "--memory", "8GB", "--no-disk-cache")
    listed = ok(server, "GET", "/v1/models")["data"]
    assert [(model["id"], model["meta"]["loaded"]) for model in listed] == \
        [("builtin", True), ("a", False), ("b", False)]
    assert complete(server, "x", model="a")["model"] == "a"
    assert complete(server, "x", model="b")["model"] == "b"
    for name in ("../outside", str(tmp_path / "outside.safetensors"), "link", "notes"):
        assert call(server, "POST", "/v1/completions", {"model": name, "prompt": "x"})[0] == 404
        assert call(server, "POST", "/v1/admin/models/load", {"model": name})[0] == 404
    assert ok(server, "POST", "/v1/admin/models/switch", {"model": "a"})["default"] is True
    assert complete(server, "x")["model"] == "a"
    assert ok(server, "POST", "/v1/admin/models/unload", {"model": "b"})["loaded"] is False


def test_admin_needs_its_key(start, tmp_path):
    for file, key in (("keys", "k"), ("admins", "r")):
        (tmp_path / file).write_text(f"{file} sha256:{hashlib.sha256(key.encode()).hexdigest()}\n")
    server = start("--api-key-file", str(tmp_path / "keys"), "--admin-key-file", str(tmp_path / "admins"),
                   "--no-disk-cache")
    assert call(server, "GET", "/v1/admin/models", headers={"x-api-key": "k"})[0] == 403
    assert call(server, "GET", "/v1/admin/models", headers={"x-api-key": "r"})[0] == 200


def test_hangup_reads_keys_again(start, tmp_path):
    keys = tmp_path / "keys"

    def line(name, secret):
        return subprocess.run([PROGRAM, "serve", "--hash-key", name], input=secret + "\n", text=True,
                              capture_output=True, check=True).stdout

    keys.write_text(line("anna", "old"))
    assert hashlib.sha256(b"old").hexdigest() in keys.read_text()
    server = start("--api-key-file", str(keys), "--no-disk-cache")
    connection = http.client.HTTPConnection(urllib.parse.urlparse(server.url).netloc)

    def status(key):
        connection.request("GET", "/v1/models", headers={"x-api-key": key})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert status("old") == 200 and status("new") == 401
    keys.write_text(line("anna", "new"))
    server.process.send_signal(signal.SIGHUP)
    while status("new") != 200:  # until the signal has come
        pass
    assert status("old") == 401


def test_lora(start, tmp_path, world):
    folder = tmp_path / "lora"
    folder.mkdir()
    server = start("--lora-dir", str(folder), "--no-disk-cache", model=(world,))
    assert ok(server, "GET", "/v1/lora")["data"] == []
    assert call(server, "POST", "/v1/lora", {"name": "none"})[0] == 404
    assert call(server, "POST", "/v1/lora", {"name": "../x"})[0] == 400
    assert call(server, "POST", "/v1/completions", {"prompt": "a", "lora": "none"})[0] == 404
    shutil.copy(world, folder / "model.safetensors")
    assert call(server, "POST", "/v1/lora", {"name": "model", "scale": 1})[0] == 422
