"""Training: steps, adapters, states, data, and the end by Ctrl-C."""

from __future__ import annotations

import os
import pathlib
import signal
from typing import Any

import numpy as np
import pytest

import linnet

ROWS = [np.arange(33) % 7 + 40, np.arange(33) % 5 + 60]


def test_steps_learn_and_go_on_bit_for_bit(tiny: pathlib.Path, tmp_path: pathlib.Path) -> None:
    trainer = linnet.Trainer.open(tiny, precision="f32")
    first = trainer.step(ROWS, 1e-3)
    assert first.loss == pytest.approx(np.log(256), rel=0.1) and first.tokens == 64
    assert not first.skipped and first.grad_norm > 0 and "loss" in repr(first)
    trainer.save(tmp_path / "a.safetensors")
    losses = [trainer.step(ROWS, 1e-3).loss for _ in range(5)]
    assert losses[-1] < first.loss and trainer.steps == 6
    other = linnet.Trainer.open(tiny, precision="f32")
    other.restore(tmp_path / "a.safetensors")
    assert [other.step(ROWS, 1e-3).loss for _ in range(5)] == losses
    other.save_model(tmp_path / "m.pth", "f32")
    model = linnet.Model.open(tmp_path / "m.pth")
    assert np.abs(model.forward([1, 2]) - trainer.model().forward([1, 2])).max() < 1e-3


def test_rows(tiny: pathlib.Path) -> None:
    trainer = linnet.Trainer.open(tiny, precision="f32")
    row = linnet.Row([1, 2, 3], [-1, 3, 4], [0, 2])
    assert (row.inputs, row.targets, row.starts) == ([1, 2, 3], [-1, 3, 4], [0, 2])
    assert trainer.step([row], 0).tokens == 2
    before = trainer.steps
    bad_rows: list[list[Any]] = [[], [[1]], [[1, 999]], [linnet.Row([1], [1, 2])]]
    for bad in bad_rows:
        with pytest.raises(linnet.InputError):
            trainer.step(bad, 1e-3)
    assert trainer.steps == before


def test_adapters_and_states(base: pathlib.Path, tmp_path: pathlib.Path) -> None:
    plain = linnet.Model.open(base).forward([40, 41])
    linnet.new_adapter(base, tmp_path / "lora.safetensors", rank=4, targets="att.*value")
    linnet.new_states(base, tmp_path / "state.safetensors")
    for name, rate in [("lora", 2e-3), ("state", 0.1)]:
        start = tmp_path / f"{name}.safetensors"
        trainer = linnet.Trainer.open(base, adapter=start, precision="f32")
        losses = [trainer.step(ROWS, rate).loss for _ in range(5)]
        assert losses[-1] < losses[0]
        out = tmp_path / f"{name}-out.safetensors"
        trainer.save_adapter(out)
        scale = [(out, 2.0)] if name == "lora" else out
        assert np.abs(linnet.Model.open(base, adapters=out).forward([40, 41]) - plain).max() > 1e-4
        linnet.Model.open(base, adapters=scale)
        with pytest.raises(linnet.InputError):
            trainer.save_model(tmp_path / "x.pth")


def test_data(tmp_path: pathlib.Path, model: linnet.Model) -> None:
    (tmp_path / "more.txt").write_text("Third document.\n<|endoftext|>\nFourth.")
    counts = linnet.write_data(
        tmp_path / "data",
        ["First document.", {"prompt": "Second?", "response": "Yes."}, tmp_path / "more.txt"],
        model.tokenizer,
        shuffle=False,
    )
    assert counts["documents"] == 4 and counts["learnt"] < counts["tokens"]
    samples = linnet.Samples(tmp_path / "data", ctx=16)
    assert samples.tokens == counts["tokens"]
    rows = [samples.row(i) for i in range(samples.rows_per_epoch)]
    assert sum(target >= 0 for row in rows for target in row.targets) == counts["learnt"]
    with pytest.raises(linnet.InputError, match="order"):
        linnet.Samples(tmp_path / "data", ctx=16, order="x")  # type: ignore[arg-type]
    with pytest.raises(linnet.InputError):
        linnet.write_data(tmp_path / "none", [], model.tokenizer)


def test_schedule() -> None:
    schedule = linnet.Schedule(1e-3, 1e-4, warmup=0, steps=10)
    rates = [schedule.rate(step) for step in range(10)]
    assert rates == sorted(rates, reverse=True) and rates[0] == pytest.approx(1e-3)


DOCUMENTS = ["The fox ran home. The fox slept well."] * 8


@pytest.mark.parametrize("tune", ["lora", "state", "full"])
def test_train(base: pathlib.Path, tmp_path: pathlib.Path, tune: str) -> None:
    seen: list[int] = []
    out = tmp_path / "out.safetensors"
    losses = linnet.train(base, DOCUMENTS, out, tune=tune, steps=4, ctx=32, batch=2, rank=4,
                          rates={"lora": (2e-3, 2e-3), "state": (1, 1)}.get(tune, (1e-3, 1e-3)),
                          warmup=0, on_step=lambda step, report: seen.append(step))  # fmt: skip
    assert seen == [1, 2, 3, 4] and losses[-1] < losses[0]
    opened = linnet.Model.open(out) if tune == "full" else linnet.Model.open(base, adapters=out)
    plain = linnet.Model.open(base).perplexity(DOCUMENTS[0])["nats_per_token"]
    assert opened.perplexity(DOCUMENTS[0])["nats_per_token"] < plain


def test_train_ends_by_ctrl_c(base: pathlib.Path, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out.safetensors"
    seen: list[int] = []

    def on_step(step: int, report: linnet.StepReport) -> None:
        seen.append(step)
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        linnet.train(base, DOCUMENTS, out, steps=50, ctx=16, batch=1, rank=2, on_step=on_step)
    assert len(seen) == 2 and linnet.inspect(out)["kind"] == "adapter"
