"""Requests as Claude Code, Codex and Open WebUI send them: each is answered, streams to their end.

Written by hand after what these programs send; the texts are shortened.
"""

import glob
import http.client
import json
import os
import urllib.parse

import pytest

FOLDER = os.path.join(os.path.dirname(__file__), "recorded")


def recorded():
    return sorted(os.path.basename(path)[:-5] for path in glob.glob(os.path.join(FOLDER, "*.json")))


def ask(server, request):
    connection = http.client.HTTPConnection(urllib.parse.urlparse(server.url).netloc)
    body = None if request["body"] is None else json.dumps(request["body"])
    connection.request(request["method"], request["path"], body,
                       {"content-type": "application/json", **request["headers"]})
    answer = connection.getresponse()
    return answer.status, answer.headers["Content-Type"], answer.read().decode()


def events(text):
    """The data of server-sent events."""
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.mark.parametrize("name", recorded())
def test_is_answered(server, name):
    with open(os.path.join(FOLDER, name + ".json"), encoding="utf-8") as file:
        request = json.load(file)
    status, kind, text = ask(server, request)
    assert status == 200, text
    if kind.startswith("text/event-stream"):
        last = events(text)[-1]
        if request["path"].startswith("/v1/messages"):
            assert last == {"type": "message_stop"}
        elif request["path"].startswith("/v1/responses"):
            assert last["type"] in ("response.completed", "response.incomplete")
        else:
            assert last["choices"] == [] and last["usage"]["total_tokens"] > 0
    elif kind.startswith("application/x-ndjson"):
        assert json.loads(text.splitlines()[-1])["done"] is True
    else:
        assert json.loads(text)


def test_there_are_some_of_each():
    clients = set()
    for name in recorded():
        with open(os.path.join(FOLDER, name + ".json"), encoding="utf-8") as file:
            clients.add(json.load(file)["client"])
    assert clients == {"Claude Code", "Codex", "Open WebUI"}


def test_claude_codes_next_turn_is_cached(server):
    """The header differs between these two requests, and the second has the first one's history."""
    with open(os.path.join(FOLDER, "claude_code_turn.json"), encoding="utf-8") as file:
        first = json.load(file)
    with open(os.path.join(FOLDER, "claude_code_tool_results.json"), encoding="utf-8") as file:
        second = json.load(file)
    assert first["body"]["system"][0] != second["body"]["system"][0]
    usages = []
    for request in (first, second):
        request["body"]["stream"] = False
        request["body"]["thinking"] = {"type": "disabled"}
        status, _, text = ask(server, request)
        assert status == 200, text
        usages.append(json.loads(text)["usage"])
    read = usages[0]["cache_read_input_tokens"] + usages[0]["cache_creation_input_tokens"]
    assert read > 0 and usages[1]["cache_read_input_tokens"] >= read
