"""The code blocks of docs/python.md run, one after another, as a reader would run them."""

from __future__ import annotations

import pathlib
import re

import pytest

from conftest import ROOT

PAGES = ["docs/python.md", "README.md", "README.zh.md"]


@pytest.mark.parametrize("page", PAGES)
def test_blocks(page: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks
    space: dict[str, object] = {"__name__": page}
    for i, block in enumerate(blocks):
        exec(compile(block, f"{page}, block {i + 1}", "exec"), space)
