"""Tokenizer: the golden ids, and the calls that Hugging Face's tokenizers have."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

import linnet


@pytest.mark.parametrize(
    ("vocabulary", "golden"),
    [
        ("rwkv_vocab_v20230424.txt", "world.golden.jsonl"),
        ("20B_tokenizer.json", "pile20b.golden.jsonl"),
    ],
)
def test_golden_ids(data: pathlib.Path, vocabulary: str, golden: str) -> None:
    tokenizer = linnet.Tokenizer.load(str(data / "tokenizer" / vocabulary))
    lines = [json.loads(line) for line in (data / "tokenizer" / golden).open(encoding="utf-8")]
    for line in lines:
        assert tokenizer.encode(line["text"]) == line["ids"]
    assert tokenizer.encode_batch(line["text"] for line in lines) == [x["ids"] for x in lines]


def test_text_and_bytes(model: linnet.Model) -> None:
    tokenizer = model.tokenizer
    text = "naïve fox — 狐狸 🦊"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(np.array(ids)) == text
    assert tokenizer.decode_bytes(ids) == text.encode()
    assert tokenizer.encode(text.encode()) == ids
    assert b"".join(tokenizer.token(id) for id in ids) == text.encode()
    assert tokenizer.decode_batch([ids, ids[:1]])[0] == text
    assert "\ufffd" in tokenizer.decode(tokenizer.encode("🦊".encode()[:2]))


def test_called_as_hugging_faces(model: linnet.Model) -> None:
    tokenizer = model.tokenizer
    one = tokenizer("a fox")
    assert one["input_ids"] == tokenizer.encode("a fox")
    assert one["attention_mask"] == [1] * len(one["input_ids"])
    many = tokenizer(["a fox", "x"])
    assert many["input_ids"] == tokenizer.encode_batch(["a fox", "x"])
    assert len(tokenizer) == tokenizer.vocab_size <= model.vocab
    assert tokenizer.eos_token_id == 0
    assert len(tokenizer.digest) == 64


def test_errors(tmp_path: pathlib.Path) -> None:
    with pytest.raises(linnet.FileError):
        linnet.Tokenizer.load(str(tmp_path / "none.txt"))
    bad = tmp_path / "bad.txt"
    bad.write_text("1 'a' 1\nrubbish\n")
    with pytest.raises(linnet.InputError, match="bad.txt"):
        linnet.Tokenizer.load(str(bad))
