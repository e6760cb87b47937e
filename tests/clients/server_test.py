"""The server as an operator runs it: keys, restarts, signals, faults."""

import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import urllib.parse

import openai
import pytest

STORY = [{"role": "user", "content": "Tell me a story about a linnet."}]


def connect(server):
    return http.client.HTTPConnection(urllib.parse.urlparse(server.url).netloc)


def call(server, method, path, body=None, headers=None):
    connection = connect(server)
    data = json.dumps(body) if isinstance(body, (dict, list)) else body
    connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers


def chat(server, **more):
    headers = more.pop("headers", None)
    return call(server, "POST", "/v1/chat/completions",
                {"model": "builtin", "messages": STORY, "max_tokens": 8, "seed": 1, **more}, headers)


def test_health_ready_metrics(server):
    assert call(server, "GET", "/health")[0] == 200
    assert call(server, "GET", "/ready")[0] == 200
    chat(server)
    status, body, headers = call(server, "GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain")
    text = body.decode()
    for name in ("num_requests_running", "num_requests_waiting", "prefix_cache_queries", "prefix_cache_hits",
                 "time_to_first_token_seconds", "inter_token_latency_seconds", "request_queue_time_seconds"):
        assert name in text


def test_unknown_routes(server):
    status, body, _ = call(server, "GET", "/v1/nothing")
    assert status == 404 and json.loads(body)["error"]["message"]
    status, body, headers = call(server, "GET", "/v1/chat/completions")
    assert status == 405 and "POST" in headers["Allow"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"messages": 5}', b"\xff\xfe", b'{"a":' * 5000,
                                  b'{"model":"builtin","messages":[{"role":"user","content":"\\ud800"}]}'])
def test_bad_bodies(server, body):
    status, answer, _ = call(server, "POST", "/v1/chat/completions", body)
    assert status in (400, 413, 422)
    assert json.loads(answer)["error"]["message"]
    assert call(server, "GET", "/health")[0] == 200


def test_a_hundred_megabytes_are_refused(server):
    connection = connect(server)
    connection.putrequest("POST", "/v1/chat/completions")
    connection.putheader("Content-Length", str(100_000_000))
    connection.endheaders()
    assert connection.getresponse().status == 413
    assert chat(server)[0] == 200


def test_clients_that_leave(server):
    host = urllib.parse.urlparse(server.url)
    body = json.dumps({"model": "builtin", "messages": STORY, "max_tokens": 100000, "stream": True, "ignore_eos": True}).encode()
    for _ in range(20):
        gone = socket.create_connection((host.hostname, host.port))
        gone.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body) + body)
        gone.recv(1000)
        gone.close()
    assert chat(server)[0] == 200
    while True:  # all slots are free again
        text = call(server, "GET", "/metrics")[1].decode()
        running = [line for line in text.splitlines() if "num_requests_running" in line and not line.startswith("#")]
        if sum(float(line.split()[-1]) for line in running) == 0:
            break


def test_hosts_are_checked(server):
    assert call(server, "GET", "/v1/models", headers={"Host": "evil.example"})[0] in (400, 403, 421)
    status, _, headers = call(server, "GET", "/v1/models", headers={"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in headers
    assert status in (200, 403)


def key_file(tmp_path, *names):
    path = tmp_path / "keys"
    path.write_text("".join(f"{name} sha256:{hashlib.sha256(('sk-' + name).encode()).hexdigest()}\n" for name in names))
    os.chmod(path, 0o600)
    return str(path)


def test_keys(start, tmp_path):
    server = start("--api-key-file", key_file(tmp_path, "anna", "ben"), "--state-dir", str(tmp_path / "state"))
    assert chat(server)[0] == 401
    assert chat(server, headers={"Authorization": "Bearer sk-carl"})[0] == 401
    anna = openai.OpenAI(base_url=server.url + "/v1", api_key="sk-anna", max_retries=0)
    ben = openai.OpenAI(base_url=server.url + "/v1", api_key="sk-ben", max_retries=0)
    told = anna.responses.create(model="builtin", input="Tell me a story about a fox.", max_output_tokens=8)
    assert anna.responses.retrieve(told.id).id == told.id
    with pytest.raises(openai.NotFoundError):
        ben.responses.retrieve(told.id)
    with pytest.raises(openai.NotFoundError):
        ben.responses.create(model="builtin", input="Go on.", previous_response_id=told.id, max_output_tokens=8)
    ask = {"model": "builtin", "messages": STORY, "max_tokens": 4}
    anna.chat.completions.create(**ask)
    assert anna.chat.completions.create(**ask).usage.prompt_tokens_details.cached_tokens > 0
    assert ben.chat.completions.create(**ask).usage.prompt_tokens_details.cached_tokens == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_conversation_survives_a_restart(start, tmp_path, how):
    state = str(tmp_path / "state")
    text = " ".join(f"The fox met a hen and said {number}." for number in range(150))
    ask = {"model": "builtin", "messages": [{"role": "user", "content": text}], "max_tokens": 12, "temperature": 0, "logprobs": True}
    first = start("--state-dir", state)
    client = openai.OpenAI(base_url=first.url + "/v1", api_key="none", max_retries=0)
    told = client.responses.create(model="builtin", input=text, max_output_tokens=12, temperature=0)
    before = client.chat.completions.create(**ask)
    while how == signal.SIGKILL:  # what is on disk survives; writing is behind the answers
        metrics = call(first, "GET", "/metrics")[1].decode()
        if any(line.startswith("linnet_cache_bytes") and 'tier="disk"' in line and float(line.split()[-1]) > 0 for line in metrics.splitlines()):
            break
    first.stop(how)
    second = start("--state-dir", state)
    client = openai.OpenAI(base_url=second.url + "/v1", api_key="none", max_retries=0)
    after = client.chat.completions.create(**ask)
    assert after.choices[0].message.content == before.choices[0].message.content
    assert after.choices[0].logprobs == before.choices[0].logprobs
    assert after.usage.prompt_tokens_details.cached_tokens > 0
    assert client.responses.retrieve(told.id).output_text == told.output_text


def test_sigterm_ends_what_runs(start):
    server = start()
    outcome = []

    def ask():
        outcome.append(chat(server, max_tokens=30)[0])

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    assert server.stop() == 0 and outcome == [200]


def test_other_addresses_need_keys():
    program = os.environ.get("LINNET_PROGRAM", "build/linnet")
    done = subprocess.run([program, "serve", "--host", "0.0.0.0", "--port", "0"], stderr=subprocess.PIPE, text=True)
    assert done.returncode != 0 and "--api-key-file" in done.stderr


def test_prompts_are_not_logged(start):
    server = start("--log-format", "json")
    secret = "xyzzyplugh"
    call(server, "POST", "/v1/chat/completions", {"model": "builtin", "max_tokens": 4, "messages": [{"role": "user", "content": secret}]},
         {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    assert server.stop() == 0
    logged = server.logged()
    assert secret not in logged
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    assert any(line.get("path") == "/v1/chat/completions" and line.get("status") == 200 for line in lines)
    assert "0af7651916cd43dd8448eb211c80319c" in logged


@pytest.mark.skipif("LINNET_NODE" not in os.environ, reason="run by tools/check-server")
def test_javascript_client(server):
    subprocess.run([os.environ["LINNET_NODE"], "--test", os.environ["LINNET_JAVASCRIPT_TESTS"]], check=True,
                   env={**os.environ, "LINNET_URL": server.url})


def test_openapi_is_what_is_served(start, tmp_path):
    """No operation of /openapi.json is left out, those of administrators included: without keys this
    machine is one. By default a few requests for each, with LINNET_EXAMPLES=N so many, and one for
    each bound and type of each field."""
    examples = os.environ.get("LINNET_EXAMPLES")
    server = start("--max-tokens", "4", "--quiet", "--state-dir", str(tmp_path / "state"))
    told = pathlib.Path(__file__).parent
    shutil.copy(told / "schema_hooks.py", tmp_path)
    done = subprocess.run(
        ["schemathesis", "--config-file", str(told / "schemathesis.toml"), "run", server.url + "/openapi.json", "--checks",
         "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
         "--phases", "examples,coverage,fuzzing" if examples else "examples,fuzzing",
         "--max-examples", examples or "6", "--seed", "1", "--workers", "1", "--continue-on-failure",
         "--request-timeout", "600",
         "--suppress-health-check", "all", "--no-color"],
        cwd=tmp_path, env={**os.environ, "SCHEMATHESIS_HOOKS": "schema_hooks", "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    assert server.stop() == 0
