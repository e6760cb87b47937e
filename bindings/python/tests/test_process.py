"""Signals, threads, fork, and what an import does."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

import linnet


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )


def test_import_is_quiet_and_light() -> None:
    result = python(
        "import sys, linnet; m = linnet.Model.open(); "
        "print(sorted(x for x in ('numpy', 'torch', 'asyncio', 'json') if x in sys.modules))"
    )
    assert result.stdout == "[]\n" and result.stderr == ""


def test_threads_share_a_model(model: linnet.Model) -> None:
    expected = [model.generate("A fox", seed=s, max_tokens=20).finish() for s in range(4)]
    results: list[str | None] = [None] * 4

    def work(seed: int) -> None:
        results[seed] = "".join(map(str, model.generate("A fox", seed=seed, max_tokens=20)))

    threads = [threading.Thread(target=work, args=(s,)) for s in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == expected


def test_a_pass_releases_the_gil(model: linnet.Model) -> None:
    ticks = 0
    done = threading.Event()

    def run() -> None:
        model.forward(np.arange(1500) % model.vocab)
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    while not done.wait(0.001):
        ticks += 1
    thread.join()
    assert ticks > 0


def test_a_state_in_use_is_refused(model: linnet.Model) -> None:
    state = model.new_state()
    errors: list[linnet.InputError] = []
    started = threading.Event()

    def run() -> None:
        started.set()
        model.forward(np.arange(3000) % model.vocab, state)

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    while thread.is_alive() and not errors:
        try:
            state.clone()
        except linnet.InputError as error:
            errors.append(error)
    thread.join()
    assert errors and "in use" in str(errors[0])
    state.clone()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_of_fork_goes_on() -> None:
    result = python(
        """
import os, sys, linnet
m = linnet.Model.open(threads=2)
logits = m.forward([1, 2, 3])
text = m.generate("A fox", seed=1)
next(text)
child = os.fork()
if child == 0:
    assert (m.forward([1, 2, 3]) == logits).all()
    assert m.generate("A fox", seed=1, max_tokens=5).finish()
    try:
        next(text)
    except linnet.InputError as error:
        assert "fork" in str(error)
        print("child", flush=True)
        sys.exit(0)
    sys.exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert (m.forward([1, 2, 3]) == logits).all()
next(text)
print("parent")
"""
    )
    assert result.stdout.split() == ["child", "parent"]


def interrupt_when_used(read: Callable[[], object]) -> None:
    """Ctrl-C once another thread uses what `read` reads, which refuses it then."""

    def watch() -> None:
        try:
            while True:
                read()
                time.sleep(0.001)
        except linnet.InputError:
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch).start()


def test_ctrl_c_ends_a_loop_over_pieces(model: linnet.Model) -> None:
    text = model.generate("A fox", max_tokens=10**8, stop_ids=[1])
    with pytest.raises(KeyboardInterrupt):
        for i, _ in enumerate(text):
            if i == 5:
                os.kill(os.getpid(), signal.SIGINT)
    before = text.tokens
    next(text)
    assert text.tokens == before + 1


def test_ctrl_c_ends_finish(model: linnet.Model) -> None:
    text = model.generate("A fox", max_tokens=10**8, stop_ids=[1])
    next(text)
    interrupt_when_used(lambda: text.text)
    with pytest.raises(KeyboardInterrupt):
        text.finish()
    assert text.finish_reason == "interrupted" and text.text


def test_ctrl_c_ends_a_long_pass_and_keeps_the_state(model: linnet.Model) -> None:
    state = model.new_state()
    model.forward([1, 2], state)
    before = state.values.copy()
    interrupt_when_used(state.clone)
    with pytest.raises(KeyboardInterrupt):
        model.forward(np.arange(300_000) % model.vocab, state)
    assert np.array_equal(state.values, before)


def test_ctrl_c_ends_a_reply(model: linnet.Model) -> None:
    chat = model.chat(max_tokens=10**8)

    def on_text(part: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        chat.ask("A story", on_text=on_text)
    assert len(chat.messages) == 2


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str], base: pathlib.Path) -> None:
    model = linnet.Model.open(base, quant="int8")
    model.generate("A fox", max_tokens=3).finish()
    model.perplexity("A fox")
    assert capfd.readouterr() == ("", "")
