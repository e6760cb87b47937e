"""llama-server's routes, tokens, scores and Ai00's routes, as programs without a package call them."""

import json
import math
import urllib.error
import urllib.request

import jinja2
import pytest


def call(server, path, body=None):
    request = urllib.request.Request(server.url + path, None if body is None else json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def post(server, path, **body):
    status, answer = call(server, path, body)
    assert status == 200, answer
    return answer


def events(server, path, **body):
    request = urllib.request.Request(server.url + path, json.dumps({**body, "stream": True}).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        lines = answer.read().decode().split("\n\n")
    return [line[len("data: "):] for line in lines if line.startswith("data: ")]


def test_completion(server):
    ask = {"prompt": "In the morning", "n_predict": 12, "seed": 1, "return_tokens": True}
    answer = post(server, "/completion", **ask)
    assert answer["content"] and answer["stop"] and answer["stop_type"] in ("limit", "eos")
    assert len(answer["tokens"]) == answer["tokens_predicted"] == answer["timings"]["predicted_n"]
    parts = [json.loads(event) for event in events(server, "/completion", **ask)]
    assert "".join(part["content"] for part in parts) == answer["content"]
    assert [token for part in parts for token in part["tokens"]] == answer["tokens"]
    assert parts[-1]["stop"] and not any(part["stop"] for part in parts[:-1])
    ids = post(server, "/tokenize", content="In the morning")["tokens"]
    assert post(server, "/completion", **{**ask, "prompt": ids})["content"] == answer["content"]
    several = post(server, "/completion", **{**ask, "prompt": [ids, "The fox"]})
    assert several[0]["content"] == answer["content"] and several[1]["index"] == 1


def test_completion_probabilities_and_grammar(server):
    answer = post(server, "/completion", prompt="The fox", n_predict=6, n_probs=3, temperature=0)
    for token in answer["completion_probabilities"]:
        tops = token["top_logprobs"]
        assert len(tops) == 3 and tops[0]["logprob"] >= tops[1]["logprob"] >= tops[2]["logprob"]
    answer = post(server, "/completion", prompt="Color:", n_predict=20, grammar='root ::= " red" | " blue"')
    assert answer["content"] in (" red", " blue")
    answer = post(server, "/completion", prompt="A person:", n_predict=100,
                  json_schema={"type": "object", "properties": {"age": {"type": "integer", "maximum": 9}},
                               "required": ["age"], "additionalProperties": False})
    assert isinstance(json.loads(answer["content"])["age"], int)


def test_props_and_slots(server):
    status, props = call(server, "/props")
    assert status == 200 and props["total_slots"] > 0
    status, slots = call(server, "/slots")
    assert status == 200 and len(slots) == props["total_slots"]
    assert call(server, "/infill", {"input_prefix": "a"})[0] == 501


TALKS = [
    [{"role": "user", "content": "Tell me a story.\n\n\nA short one. "}],
    [{"role": "system", "content": "Be kind."}, {"role": "system", "content": "Be brief."},
     {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "<think>hm</think>\nHello."},
     {"role": "user", "content": "\"Why\"?"}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
     {"role": "system", "content": "Now in French."}, {"role": "user", "content": "c"}],
]


@pytest.mark.parametrize("which", ["server", "world_server"])
def test_tokenizer(which, request):
    server = request.getfixturevalue(which)
    info = call(server, "/tokenizer_info")[1]
    assert post(server, "/tokenize", prompt=info["eos_token"], add_special_tokens=False)["tokens"] == [0]
    text = "The fox – é日本\n\n said: \"Hi\"."
    tokens = post(server, "/tokenize", prompt=text, add_special_tokens=False)["tokens"]
    assert tokens == post(server, "/tokenize", content=text)["tokens"]
    assert post(server, "/detokenize", tokens=tokens)["prompt"] == text
    # As lm-evaluation-harness renders it.
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True).from_string(info["chat_template"])
    for messages in TALKS:
        prompt = post(server, "/apply-template", messages=messages)["prompt"]
        assert template.render(messages=messages, add_generation_prompt=True) == prompt


@pytest.mark.parametrize("which", ["server", "world_server"])
def test_log_likelihoods(which, request):
    """What lm-evaluation-harness's local-completions asks, against /v1/score."""
    server = request.getfixturevalue(which)
    pairs = [("The fox met a", " hen"), ("The fox met a", " house and went on"), ("Once", " upon a time there was")]
    tokens = [(post(server, "/tokenize", prompt=a)["tokens"], post(server, "/tokenize", prompt=b)["tokens"]) for a, b in pairs]
    model = call(server, "/v1/models")[1]["data"][0]["id"]
    answer = post(server, "/v1/completions", model=model, prompt=[a + b for a, b in tokens], temperature=0, max_tokens=1,
                  logprobs=1, seed=1234, echo=True)
    for (context, continuation), choice in zip(tokens, sorted(answer["choices"], key=lambda choice: choice["index"])):
        logprobs = choice["logprobs"]
        assert len(logprobs["token_logprobs"]) == len(context) + len(continuation) + 1
        values = logprobs["token_logprobs"][len(context):-1]
        greedy = all(value == max(top.values()) for value, top in zip(values, logprobs["top_logprobs"][len(context):-1]))
        score = post(server, "/v1/score", context=context, continuations=[continuation])["data"][0]
        assert score["token_logprobs"] == values
        assert score["is_greedy"] == greedy
        assert math.isclose(score["logprob"], sum(values), rel_tol=1e-9)


def test_score_of_texts(server):
    answer = post(server, "/v1/score", context="The fox met a", continuations=[" hen", " hen and said"], top_logprobs=2)
    short, long = answer["data"]
    assert long["token_logprobs"][: len(short["tokens"])] == short["token_logprobs"]
    assert long["bytes"] == len(" hen and said")
    assert call(server, "/v1/score", {"context": "a"})[0] == 400


def test_choose_and_rerank(server):
    ask = {"input": "Once upon a", "choices": [" time", " qzx", " zebra horse"]}
    answer = post(server, "/v1/choose", **ask)
    assert [entry["rank"] for entry in answer["data"]] == [0, 1, 2] and answer["data"][0]["choice"] == " time"
    assert math.isclose(sum(entry["probability"] for entry in answer["data"]), 1)
    scores = {entry["index"]: entry for entry in post(server, "/v1/choose", **ask, calibrate=True)["data"]}
    alone = post(server, "/v1/score", context="", continuations=ask["choices"])["data"]
    for index, entry in scores.items():
        assert math.isclose(entry["neutral_logprob"], alone[index]["logprob"], rel_tol=1e-9)
        assert math.isclose(entry["score"], (entry["logprob"] - entry["neutral_logprob"]) / entry["tokens"], rel_tol=1e-9)
    perplexities = post(server, "/api/oai/chooses", **ask)["data"]
    assert [entry["index"] for entry in perplexities] == [entry["index"] for entry in answer["data"]]
    assert math.isclose(perplexities[0]["perplexity"], -answer["data"][0]["score"], rel_tol=1e-9)
    answer = post(server, "/v1/rerank", query="the fox", documents=["A hen.", {"text": "The fox ran. The fox hid."}], return_documents=True)
    scores = [entry["relevance_score"] for entry in answer["results"]]
    assert scores == sorted(scores, reverse=True) and {entry["index"] for entry in answer["results"]} == {0, 1}


def test_system_one(server):
    answer = post(server, "/v1/systemone", state={"ticket": "The page is blank. " * 20}, questions={
        "bug": {"type": "noul", "instructions": "Is this a bug?"},
        "team": {"type": "choice", "instructions": "Who?", "criteria": {"billing": "money", "web": None}},
        "urgency": {"type": "score", "instructions": "How urgent?", "criteria": ["can wait", "soon", "now"]}})
    assert answer["calibrated"] is False
    answers = answer["answers"]
    assert 0 < answers["bug"]["noul"] < 1
    assert math.isclose(sum(answers["team"]["probabilities"].values()), 1)
    assert 0 < answers["urgency"]["score"] < 2


def test_ai00(server):
    ask = {"messages": [{"role": "User", "content": "Tell me about a fox."}], "max_tokens": 16, "sampler": {"top_k": 1}}
    answer = post(server, "/api/oai/chat/completions", **ask)
    assert answer["choices"][0]["message"]["role"] == "Assistant"
    parts = events(server, "/api/oai/v1/chat/completions", **ask)
    assert parts[-1] == "[DONE]"
    text = "".join(json.loads(part)["choices"][0]["delta"].get("content", "") for part in parts[:-1])
    assert text.strip() == answer["choices"][0]["message"]["content"]
    state = post(server, "/api/oai/states", input="Once upon a time, in a forest,")["data"][0]
    rest = {"max_tokens": 10, "sampler": {"top_k": 1}}
    whole = post(server, "/api/oai/completions", prompt="Once upon a time, in a forest, there was", **rest)
    after = post(server, "/api/oai/completions", prompt=" there was", state={"name": "a", "id": "b", **state}, **rest)
    tokens = [post(server, "/tokenize", content=part)["tokens"] for part in ("Once upon a time, in a forest,", " there was")]
    if tokens[0] + tokens[1] == post(server, "/tokenize", content="Once upon a time, in a forest, there was")["tokens"]:
        assert after["choices"] == whole["choices"]
    assert call(server, "/api/models/info")[1]["model"]["version"]
