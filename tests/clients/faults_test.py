"""What goes wrong around a server: clients, disks and files that fail. With LINNET_SOAK=N so many
mutated requests, and more rounds of the rest; each test then prints what it did."""

import http.client
import json
import os
import pathlib
import random
import re
import resource
import signal
import socket
import threading
import time
import urllib.parse

import pytest

from conftest import Server

SOAK = int(os.environ.get("LINNET_SOAK", "0"))
ROUNDS = 10 if SOAK else 1
TEXT = " ".join(f"The fox met a hen and said {number}." for number in range(150))
ASK = {"model": "builtin", "messages": [{"role": "user", "content": TEXT}], "max_tokens": 12,
       "temperature": 0, "logprobs": True}


def call(server, method, path, body=None):
    connection = http.client.HTTPConnection(urllib.parse.urlparse(server.url).netloc)
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
    connection.request(method, path, data, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def chat(server, **more):
    status, body = call(server, "POST", "/v1/chat/completions", {**ASK, **more})
    assert status == 200, body
    return json.loads(body)


def said(answer):
    return answer["choices"][0]["message"]["content"], answer["choices"][0]["logprobs"]


def metric(server, name):
    """The sum of the samples whose line begins so."""
    text = call(server, "GET", "/metrics")[1].decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def wait_until(done):
    while not done():
        time.sleep(0.1)


def wait_for(server, name, value):
    wait_until(lambda: metric(server, name) == value)


def memory_of(server):
    return metric(server, "process_resident_memory_bytes")


def raw(server, body, path="/v1/chat/completions", length=None):
    """A connection that has sent a request, or the beginning of one."""
    host = urllib.parse.urlparse(server.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host.hostname, host.port))
    connection.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                       f"Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body)
    return connection


@pytest.fixture
def log(capsys):
    def tell(text):
        if SOAK:
            with capsys.disabled():
                print("\nsoak:", text, end="")
    return tell


def test_half_requests_and_large_bodies(start, log):
    server = start("--no-disk-cache", "--quiet")
    chat(server)
    before = memory_of(server)
    body = json.dumps(ASK).encode()
    half = 0
    for at in range(0, len(body), max(1, len(body) // (20 * ROUNDS))):
        raw(server, body[:at], length=len(body)).close()
        half += 1
    for head in (b"", b"POST", b"POST / HTTP/1.1\r\nHost: 127", b"\x16\x03\x01\x02\x00", b"\0" * 100):
        host = urllib.parse.urlparse(server.url)
        with socket.create_connection((host.hostname, host.port)) as connection:
            connection.sendall(head)
    large = b" " * 1_000_000
    for _ in range(ROUNDS):
        connection = raw(server, b"{", length=100_000_000)
        try:
            for _ in range(99):
                connection.sendall(large)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            answer = connection.recv(1000)
            assert not answer or b" 413 " in answer.split(b"\r\n")[0]
        except ConnectionResetError:
            pass
        connection.close()
    assert json.loads(call(server, "POST", "/v1/chat/completions", ASK)[1])["choices"]
    assert memory_of(server) - before < 200e6
    log(f"{half} requests ended in the middle, {ROUNDS} bodies of 100 MB were refused")


def test_slow_readers(start, log):
    """Streams whose clients take nothing: others are answered as before, and none keeps a slot."""
    server = start("--no-disk-cache", "--quiet")
    expected = said(chat(server))
    before = memory_of(server)
    body = json.dumps({**ASK, "stream": True, "max_tokens": 300, "top_logprobs": 20, "ignore_eos": True}).encode()
    readers = [raw(server, body) for _ in range(10 * ROUNDS)]
    for _ in range(ROUNDS):
        assert said(chat(server)) == expected
    wait_for(server, "linnet_num_requests_running", 0)
    assert memory_of(server) - before < 300e6
    for reader in readers:
        reader.close()
    assert said(chat(server)) == expected
    log(f"{len(readers)} streams that nobody read ended, and {ROUNDS} others beside them were answered")


SEEDS = [
    ("/v1/chat/completions", {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "é\n"}],
                              "stop": ["x"], "top_p": 0.9, "seed": 1, "n": 2, "stream": True, "max_tokens": 2}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Rain?"}], "tool_choice": "auto", "max_tokens": 2,
                              "tools": [{"type": "function", "function": {"name": "weather", "parameters": {
                                  "type": "object", "properties": {"city": {"enum": ["Oslo", 1]}}}}}]}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2, "response_format": {
        "type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object", "properties": {
            "a": {"type": "number"}, "b": {"anyOf": [{"type": "null"}, {"type": "string", "pattern": "^a+$"}]}}}}}}),
    ("/v1/completions", {"prompt": ["a", [97, 98]], "n": 1, "best_of": 2, "echo": True, "logprobs": 2, "max_tokens": 2}),
    ("/v1/completions", {"prompt": "a", "grammar": "root ::= [a-z]+ \"x\"", "max_tokens": 2}),
    ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
                       "store": False, "max_output_tokens": 2, "text": {"format": {"type": "json_object"}}}),
    ("/v1/messages", {"max_tokens": 2, "system": [{"type": "text", "text": "a"}], "messages": [
        {"role": "user", "content": [{"type": "text", "text": "b"}]}], "stop_sequences": ["x"]}),
    ("/api/chat", {"messages": [{"role": "user", "content": "a"}], "options": {"num_predict": 2}, "stream": False}),
    ("/completion", {"prompt": ["a", 98], "n_predict": 2, "n_probs": 1, "response_fields": ["content"]}),
    ("/v1/states", {"id": "mutated", "input": "a"}),
    ("/v1/score", {"context": "a", "continuations": ["b", [99]]}),
    ("/v1/choose", {"input": "a", "choices": ["b", "c"], "calibrate": True}),
    ("/v1/rerank", {"query": "a", "documents": ["b", {"text": "c"}], "top_n": 1}),
    ("/v1/embeddings", {"input": ["a", "b"], "encoding_format": "base64"}),
    ("/tokenize", {"content": "a", "with_pieces": True}),
]
STRANGE = [b"\xff", b"\xed\xa0\x80", b"\0", b"\\ud800", b"[" * 5000, b'{"a":' * 5000, b"1e999", b"-0", b"NaN", b"9" * 400, b'"']


def mutated(body, rng):
    data = bytearray(body)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] = rng.randrange(256)
        elif kind == 1:
            del data[at:at + rng.randint(1, 20)]
        elif kind == 2:
            data[at:at] = data[at:at + rng.randint(1, 40)]
        elif kind == 3:
            data[at:at] = rng.choice(STRANGE)
        else:  # a number becomes another one
            numbers = [m for m in re.finditer(rb"\d+", bytes(data))]
            if numbers:
                number = rng.choice(numbers)
                data[number.start():number.end()] = rng.choice([b"-1", b"0", b"1.5", b"null", b"true", b"300000", b"1e30"])
    return bytes(data)


def test_mutated_requests(start, tmp_path, log):
    # Writing ends soon whatever the request says.
    server = start("--quiet", "--max-tokens", "8", "--state-dir", str(tmp_path))
    before = said(chat(server))
    rng = random.Random(7)
    counts, lock = {}, threading.Lock()
    count = SOAK or 200
    work = [(path, mutated(json.dumps(body, ensure_ascii=rng.random() < 0.5).encode(), rng))
            for path, body in (SEEDS[i % len(SEEDS)] for i in range(count))]

    def send():
        while True:
            with lock:
                if not work:
                    return
                path, body = work.pop()
            # A text that a mutation made long is left in the middle.
            connection = raw(server, body, path)
            answer = b""
            while b"\r\n" not in answer:
                more = connection.recv(4096)
                if not more:
                    break
                answer += more
            connection.close()
            status = int(answer.split()[1]) if answer else 0
            with lock:
                counts[status] = counts.get(status, 0) + 1
                if not (status == 200 or 400 <= status < 500):
                    counts.setdefault("bad", []).append((status, path, body[:2000]))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "bad" not in counts, counts["bad"][:3]
    assert counts[200] > 0 and counts[400] > 0 and sum(counts.values()) == count
    wait_for(server, "linnet_num_requests_running", 0)
    assert said(chat(server)) == before
    log(f"{count} mutated requests, answers by status: {dict(sorted(counts.items()))}")


def test_a_full_disk(tmp_path, log):
    """The limit of a file's size stands for it."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    whole = Server("--no-disk-cache")
    expected = said(chat(whole))
    assert whole.stop() == 0
    server = Server("--state-dir", str(tmp_path / "state"), prepare=limit)
    try:
        refused = 0
        for round in range(10 * ROUNDS):
            assert said(chat(server)) == expected
            assert call(server, "POST", "/v1/responses", {"input": TEXT, "max_output_tokens": 4})[0] == 200
            refused += call(server, "POST", "/v1/states", {"id": f"s{round}", "input": TEXT})[0] == 503
        assert refused == 10 * ROUNDS
        wait_for(server, "linnet_cache_disk_in_use", 0)
        assert said(chat(server)) == expected
    finally:
        assert server.stop() == 0
    log(f"full disk: {10 * ROUNDS} rounds of requests answered from memory, states refused with 503")


def damage(folder, rng):
    """Flips a byte of each file, or cuts it."""
    files = [path for path in pathlib.Path(folder).rglob("*")
             if path.is_file() and (path.suffix == ".state" or path.name.startswith("index.sqlite"))]
    for path in files:
        data = bytearray(path.read_bytes())
        if not data:
            continue
        if rng.random() < 0.5:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        else:
            del data[rng.randrange(len(data)):]
        path.write_bytes(data)
    return len(files)


def test_damaged_files_and_kill(tmp_path, log):
    state = str(tmp_path / "state")
    rng = random.Random(3)
    server = Server("--state-dir", state)
    expected = said(chat(server))
    files = kills = 0
    for round in range(2 * ROUNDS):
        # Killed while it writes an answer, and states.
        answers = [raw(server, json.dumps({**ASK, "stream": True, "max_tokens": 200, "ignore_eos": True}).encode())
                   for _ in range(4)]
        for answer in answers:
            answer.recv(200)
        on_disk = 'linnet_cache_bytes{model_name="builtin",tier="disk"}'
        wait_until(lambda: round % 2 == 1 or metric(server, on_disk) > 0)
        server.stop(signal.SIGKILL)
        kills += 1
        for answer in answers:
            answer.close()
        if round % 2 == 0:
            files += damage(state, rng)
        server = Server("--state-dir", state)
        for _ in range(2):
            assert said(chat(server)) == expected
    assert server.stop() == 0
    assert files > 0
    log(f"{kills} times kill -9, {files} files cut or flipped, every answer as before")
