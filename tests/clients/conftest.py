"""Servers for the tests of clients: `linnet serve` as users start it, on any free port."""

import hashlib
import http.server
import json
import os
import re
import signal
import subprocess
import tempfile
import threading

import pytest

PROGRAM = os.environ.get("LINNET_PROGRAM", "build/linnet")


class Server:
    """A running server; ends with the test that asked for it."""

    def __init__(self, *args, model=("builtin",), prepare=None):
        # `prepare` is called in the new process.
        self.args = [PROGRAM, "serve", *model, "--port", "0", *args]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.args, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        text=True, preexec_fn=prepare)
        self.url = None
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            found = re.search(r"listening on (\S+)", line)
            if found:
                self.url = found.group(1)
                break
        if self.url is None:
            raise RuntimeError(f"{self.args}: did not start: {''.join(lines)}")
        # What it logs is read so that it never waits for a reader.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=self.log)

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait()
        self.drain.wait()
        return code

    def logged(self):
        self.log.seek(0)
        return self.log.read()


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="session")
def server(state_dir):
    """The built-in model, without keys."""
    running = Server("--state-dir", str(state_dir))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A small random model with the World vocabulary."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    subprocess.run([PROGRAM, "init", "--generation", "7", "--layers", "2", "--width", "128", "--random",
                    "--seed", "5", str(path)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return str(path)


@pytest.fixture(scope="session")
def world_server(world, tmp_path_factory):
    running = Server("--state-dir", str(tmp_path_factory.mktemp("state")), model=(world,))
    yield running
    assert running.stop() == 0


class Hub(http.server.ThreadingHTTPServer):
    """A Hugging Face on this machine with the repository any/model, which holds tiny.safetensors."""

    daemon_threads = True

    def __init__(self, model):
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.model = model
        self.requests = []  # paths and ranges
        self.stall_at = None  # sends so many bytes, then none
        self.stalled = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class HubHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        hub = self.server
        asked = self.headers.get("range", "")
        hub.requests.append((self.path, asked))
        digest = hashlib.sha256(hub.model).hexdigest()
        if self.path == "/api/models/any/model/tree/main?recursive=true":
            size = len(hub.model)
            return self.answer(200, json.dumps([{"type": "file", "path": "tiny.safetensors", "size": size,
                                                 "lfs": {"oid": digest, "size": size}}]).encode())
        if self.path != "/any/model/resolve/main/tiny.safetensors":
            return self.answer(404, b"none")
        if not asked:
            return self.answer(200, hub.model, {"ETag": f'"{digest}"'})
        begin = int(asked.removeprefix("bytes=").removesuffix("-"))
        self.answer(206, hub.model[begin:], {
            "ETag": f'"{digest}"', "Content-Range": f"bytes {begin}-{len(hub.model) - 1}/{len(hub.model)}"})

    def answer(self, status, body, headers={}):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        most = self.server.stall_at
        if most is None or len(body) <= most:
            self.wfile.write(body)
            return
        self.wfile.write(body[:most])
        self.wfile.flush()
        self.server.stalled.set()
        self.connection.settimeout(None)
        self.connection.recv(1)  # until the other side closes

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(tmp_path_factory, monkeypatch):
    # A model of bytes, which needs no vocabulary.
    path = tmp_path_factory.mktemp("hub") / "tiny.safetensors"
    subprocess.run([PROGRAM, "init", "--generation", "7", "--layers", "2", "--width", "64", "--vocab", "256",
                    "--random", str(path)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(path, "rb") as file:
        running = Hub(file.read())
    monkeypatch.setenv("HF_ENDPOINT", running.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("HF_TOKEN", "HF_TOKEN_PATH", "LINNET_HUB"):
        monkeypatch.delenv(name, raising=False)
    yield running
    running.stop()


@pytest.fixture
def start():
    """Starts further servers: start("--api-key-file", path)."""
    running = []

    def begin(*args, **kwargs):
        running.append(Server(*args, **kwargs))
        return running[-1]

    yield begin
    for one in running:
        one.stop()
