"""The model class for lm-evaluation-harness, with requests as the harness makes them."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pathlib
import subprocess
import sys
import types
from typing import Any

import numpy as np
import pytest

import linnet
from linnet.lm_eval import LinnetLM


def requests(*arguments: Any) -> list[Any]:
    return [types.SimpleNamespace(args=args) for args in arguments]


@pytest.fixture(scope="module")
def lm(model: linnet.Model) -> LinnetLM:
    return LinnetLM(model, batch_size=2)


def test_loglikelihood(model: linnet.Model, lm: LinnetLM) -> None:
    pairs = [
        ("The fox ran into the", " wood"),
        ("The fox ran into the", " little house by the river"),
        ("Once upon a", " time"),
        ("Once upon a ", "time"),
        ("", "The fox"),
    ]
    scores = lm.loglikelihood(requests(*pairs))
    for (context, continuation), (log_p, greedy) in zip(pairs, scores):
        a = [0, *model.tokenizer.encode(context.rstrip())]
        b = model.tokenizer.encode(context[len(context.rstrip()) :] + continuation)
        rows = model.forward(a + b[:-1], all_logits=True)[len(a) - 1 :].astype(np.float64)
        table = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
        assert log_p == pytest.approx(table[np.arange(len(b)), b].sum(), abs=1e-4)
        assert greedy == bool((rows.argmax(axis=1) == b).all())
    assert scores[2] == scores[3]


def test_rolling_and_generation(model: linnet.Model, lm: LinnetLM) -> None:
    text = "The little fox ran into the wood."
    score = model.perplexity(text)
    (log_p,) = lm.loglikelihood_rolling(requests((text,)))
    assert log_p == pytest.approx(-score["nats_per_token"] * score["tokens"])
    settings = {"until": ["."], "max_gen_toks": 20, "do_sample": False}
    (out,) = lm.generate_until(requests(("Once upon a time", settings)))
    assert out and "." not in out
    assert lm.generate_until(requests(("Once upon a time", settings))) == [out]


def test_made_from_arguments() -> None:
    lm = LinnetLM.create_from_arg_string(
        "pretrained=builtin,batch_size=4,max_gen_toks=7", {"device": None, "batch_size": None}
    )
    assert (lm.batch_size, lm.max_gen_toks) == (4, 7)
    lm = LinnetLM.create_from_arg_obj(
        {"pretrained": "builtin", "threads": "1", "exact": "True"}, {"device": "cpu", "batch_size": 3}
    )
    assert (lm.model.threads, lm.batch_size) == (1, 3)


QUESTIONS = [
    {"text": "Once upon a", "choices": ["time", "potato engine"], "label": 0},
    {"text": "The fox ran into the", "choices": ["7 % of", "wood"], "label": 1},
    {"text": "The bird sat on a", "choices": ["branch", "because"], "label": 0},
]

TASKS = {
    "choose": """
output_type: multiple_choice
doc_to_text: "{{text}}"
doc_to_target: label
doc_to_choice: choices
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "roll": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]
""",
    "write": """
output_type: generate_until
doc_to_text: "{{text}}"
doc_to_target: "{{choices[label]}}"
generation_kwargs: {until: ["."], max_gen_toks: 8}
metric_list: [{metric: exact_match}]
""",
}


@pytest.fixture
def tasks(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder of tasks of each kind, on questions in a file."""
    data = tmp_path / "questions.jsonl"
    data.write_text("\n".join(map(json.dumps, QUESTIONS)), encoding="utf-8")
    for name, text in TASKS.items():
        (tmp_path / f"{name}.yaml").write_text(
            f"task: linnet_{name}\ndataset_path: json\ntest_split: test\n"
            f"dataset_kwargs: {{data_files: {{test: {data}}}}}\n{text}",
            encoding="utf-8",
        )
    return tmp_path


@pytest.mark.skipif(
    not importlib.util.find_spec("lm_eval"), reason="the package lm_eval is not installed"
)
def test_the_harness_itself(
    model: linnet.Model, tasks: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tasks / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    harness = importlib.import_module("lm_eval")
    manager = importlib.import_module("lm_eval.tasks").TaskManager(
        include_path=str(tasks), include_defaults=False
    )
    names = [f"linnet_{name}" for name in TASKS]
    lm = LinnetLM(model)
    results = harness.simple_evaluate(lm, tasks=names, task_manager=manager, bootstrap_iters=0)
    found = {name: results["results"][name] for name in names}

    def likeliest(question: Any, by_length: bool) -> int:
        pairs = [(question["text"], " " + choice) for choice in question["choices"]]
        scores = [log_p for log_p, _ in lm.loglikelihood(requests(*pairs))]
        if by_length:
            scores = [s / len(c) for s, c in zip(scores, question["choices"])]
        return int(np.argmax(scores))

    for metric, by_length in (("acc,none", False), ("acc_norm,none", True)):
        right = [likeliest(q, by_length) == q["label"] for q in QUESTIONS]
        assert found["linnet_choose"][metric] == pytest.approx(np.mean(right))
    texts = [str(q["text"]) for q in QUESTIONS]
    nats = -sum(lm.loglikelihood_rolling(requests(*[(text,) for text in texts])))
    size = sum(len(text.encode()) for text in texts)
    assert found["linnet_roll"]["bits_per_byte,none"] == pytest.approx(nats / size / np.log(2))
    written = [sample["resps"][0][0] for sample in results["samples"]["linnet_write"]]
    settings = {"until": ["."], "max_gen_toks": 8}
    assert written == lm.generate_until(requests(*[(text, settings) for text in texts]))

    # The harness's own command, with the class by its name.
    command = [sys.executable, "-m", "linnet.lm_eval", "--model", "linnet", "--model_args",
               "pretrained=builtin,threads=1", "--tasks", "linnet_choose", "--include_path",
               str(tasks), "--output_path", str(tasks / "out")]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (file,) = (tasks / "out").rglob("results*.json")
    again = json.loads(file.read_text(encoding="utf-8"))["results"]["linnet_choose"]
    assert again["acc,none"] == found["linnet_choose"]["acc,none"]
