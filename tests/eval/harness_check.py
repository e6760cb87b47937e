"""Holds linnet eval against lm-evaluation-harness, which asks linnet serve for the same models.

    python tests/eval/harness_check.py [--limit N] [MODEL...]

Every log-likelihood must agree within 1e-3, every metric and standard error must be equal. Run by
tools/check-eval.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["DISABLE_MULTIPROC"] = "1"
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness_tasks  # noqa: E402
from lm_eval import simple_evaluate  # noqa: E402
from lm_eval.models.openai_completions import LocalCompletionsAPI  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

PROGRAM = os.environ.get("LINNET_PROGRAM", "build/linnet")
MODELS = [f"../shared/data/models/tiny-v{v}.pth" for v in ("4", "5.0", "5.2", "6", "7")] + ["builtin"]
BOOTSTRAP = 2000
TOLERANCE = 1e-3


class Tokenizer:
    """What the harness asks of a tokenizer, by `linnet tokenize`, many texts at a time."""

    eos_token_id = 0
    eos_token = None

    def __init__(self, model):
        self.model = model
        self.known = {}

    def learn(self, texts):
        texts = [text for text in dict.fromkeys(texts) if text not in self.known]
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        out = subprocess.run([PROGRAM, "tokenize", "--model", self.model, "--jsonl"], input=lines, text=True, check=True,
                             capture_output=True).stdout
        for text, line in zip(texts, out.strip().split("\n"), strict=True):
            self.known[text] = json.loads(line)["ids"]

    def encode(self, text):
        if text not in self.known:
            self.learn([text])
        return self.known[text]


class Served(LocalCompletionsAPI):
    """The harness's own client, with that tokenizer."""

    def __init__(self, url, name, model):
        super().__init__(base_url=f"{url}/v1/completions", model=name, tokenizer_backend=None, batch_size=16,
                         max_length=1 << 20, eos_string="<|no such string|>")
        self.tokenizer = Tokenizer(model)
        self.tokenized_requests = True
        self.tokenizer_backend = "remote"

    @property
    def prefix_token_id(self):
        return 0

    @property
    def eot_token_id(self):
        return 0

    def tok_encode(self, string, **kwargs):
        return self.tokenizer.encode(string) if isinstance(string, str) else [self.tokenizer.encode(s) for s in string]

    # The server has penalties by default, linnet eval none.
    def _create_payload(self, *args, **kwargs):
        return super()._create_payload(*args, **kwargs) | {"presence_penalty": 0, "frequency_penalty": 0}

    def loglikelihood(self, requests, **kwargs):
        texts = []
        for context, continuation in (request.args for request in requests):
            before = context.rstrip()
            texts += [before, context + continuation, continuation]
        self.tokenizer.learn(texts)
        return super().loglikelihood(requests, **kwargs)


class Server:
    def __init__(self, model, folder):
        self.process = subprocess.Popen([PROGRAM, "serve", model, "--port", "0", "--state-dir", folder],
                                        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                        text=True, start_new_session=True)
        for line in self.process.stderr:
            found = re.search(r"listening on (\S+)", line)
            if found:
                self.url = found.group(1)
                break
        else:
            raise RuntimeError(f"linnet serve {model} did not start")
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.drain.wait(60)


def of_harness(model, folder, limit, shots):
    name = "builtin" if model == "builtin" else pathlib.Path(model).stem
    with Server(model, str(folder / "state")) as server:
        tasks = ["mmlu_anatomy"] if shots else list(harness_tasks.TASKS)
        return simple_evaluate(model=Served(server.url, name, model), tasks=tasks, limit=limit, num_fewshot=shots or None,
                               bootstrap_iters=BOOTSTRAP, log_samples=True, confirm_run_unsafe_code=False,
                               task_manager=TaskManager(include_path=str(folder / "tasks"), include_defaults=False))


def of_linnet(model, folder, limit, shots):
    tasks = ["mmlu_anatomy"] if shots else list(harness_tasks.TASKS)
    samples = folder / "samples.jsonl"
    words = [PROGRAM, "eval", model, "--tasks", ",".join(tasks), "--data", str(folder / "data"), "--limit", str(limit),
             "--pad", "", "--bootstrap", str(BOOTSTRAP), "--no-journal", "--log-samples", str(samples), "--json"]
    if shots:
        words += ["--num-fewshot", str(shots)]
    out = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    out["samples"] = {}
    for line in samples.read_text().strip().split("\n"):
        sample = json.loads(line)
        out["samples"].setdefault(sample["task"], []).append(sample)
    samples.unlink()
    return out


def close(a, b, tolerance):
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    return abs(a - b) <= tolerance * max(1, abs(a))


def compare(model, theirs, ours):
    """The largest difference of a log-likelihood, and what disagrees."""
    worst, wrong, pairs, metrics = 0.0, [], 0, 0
    for task, samples in theirs["samples"].items():
        samples = sorted(samples, key=lambda sample: sample["doc_id"])
        mine = ours["samples"][task]
        if len(samples) != len(mine):
            wrong.append(f"{task}: {len(mine)} rows, expected {len(samples)}")
            continue
        for a, b in zip(samples, mine):
            for x, y in zip(a["filtered_resps"], b["filtered_resps"], strict=True):
                pairs += 1
                if isinstance(x, str):
                    if x != y:
                        wrong.append(f"{task} {a['doc_id']}: answer {y!r}, expected {x!r}")
                    continue
                difference = abs(float(x[0]) - y[0])
                worst = max(worst, difference)
                if difference > TOLERANCE:
                    wrong.append(f"{task} {a['doc_id']}: log-likelihood {y[0]}, expected {x[0]}")
                if bool(x[1]) != y[1]:
                    wrong.append(f"{task} {a['doc_id']}: greedy {y[1]}, expected {x[1]}")
        for key, value in theirs["results"][task].items():
            if "," not in key:
                continue
            metrics += 1
            # A perplexity is computed from log-likelihoods that were rounded to single precision.
            tolerance = 1e-5 if key.startswith("perplexity") else 1e-9
            if not close(value, ours["results"][task].get(key, "missing"), tolerance):
                wrong.append(f"{task}: {key} is {ours['results'][task].get(key)}, expected {value}")
    print(f"{model}: {pairs} answers, the largest difference of a log-likelihood is {worst:.1e}; {metrics} metrics and "
          f"standard errors; {len(wrong)} disagree", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=12)
    parser.add_argument("models", nargs="*", default=MODELS)
    options = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "tasks").mkdir()
        (folder / "data").mkdir()
        harness_tasks.write_tasks(folder / "tasks", options.limit)
        harness_tasks.write_data(folder / "data")
        for model in options.models:
            for shots in (0, 5) if model == "builtin" else (0,):
                theirs = of_harness(model, folder, options.limit, shots)
                failed += compare(f"{model}, {shots} examples", theirs, of_linnet(model, folder, options.limit, shots))
    for line in failed[:50]:
        print(line)
    print(f"{0 if failed else 1} passed, {1 if failed else 0} failed")
    sys.exit(1 if failed else 0)


main()
