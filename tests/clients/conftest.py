"""Servers for the tests of clients: `linnet serve` as users start it, on any free port."""

import os
import re
import signal
import subprocess
import tempfile

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
