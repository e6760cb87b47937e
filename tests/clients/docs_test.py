"""The examples of README.md and docs/http-api.md, as readers type them."""

import re
import subprocess
import urllib.parse

import pytest


def examples(path):
    """The ```sh blocks that call a server on its default port."""
    with open(path, encoding="utf-8") as file:
        blocks = re.findall(r"```sh\n(.*?)```", file.read(), re.S)
    return [block for block in blocks if "localhost:8080" in block]


@pytest.mark.parametrize("block", examples("README.md") + examples("docs/http-api.md"))
def test_example_is_answered(server, block):
    typed = block.replace("localhost:8080", urllib.parse.urlparse(server.url).netloc)
    done = subprocess.run(["bash", "-ec", 'curl() { command curl --fail-with-body -sSN "$@"; }\n' + typed],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and done.stdout, done.stdout


def test_both_readmes_have_them():
    assert examples("README.md") and examples("README.md") == examples("README.zh.md")


def test_every_route_is_described(server):
    import json
    import urllib.request

    with urllib.request.urlopen(server.url + "/openapi.json") as answer:
        routes = json.load(answer)["paths"]
    with open("docs/http-api.md", encoding="utf-8") as file:
        text = re.sub(r"{\w+}", "{}", file.read())
    plain = [re.sub(r"{\w+}", "{}", path).replace("{}/{}", "{}") for path in routes]
    assert [path for path in plain if path not in text] == []
