"""The stubs say what the extension has, and everything has a docstring."""

from __future__ import annotations

import ast
import inspect
import pathlib

import linnet
from linnet import _linnet

STUB = pathlib.Path(linnet.__file__).parent / "_linnet.pyi"
ONLY_IN_STUBS = {"Floats", "Path", "_Array", "Ids", "Texts", "Quant", "Adapter", "SamplingSettings", "Schema"}


def members(body: list[ast.stmt]) -> set[str]:
    names = set()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Assign):
            names.update(t.id for t in node.targets if isinstance(t, ast.Name))
    return names


def named(object: object) -> set[str]:
    return {name for name in vars(object) if not name.startswith("__")}


def test_names() -> None:
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    stated = members(tree.body) - ONLY_IN_STUBS - {"__version__"}
    assert stated == named(_linnet)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name not in ONLY_IN_STUBS:
            real = named(getattr(_linnet, node.name))
            assert {x for x in members(node.body) if not x.startswith("__")} == real, node.name


def test_arguments() -> None:
    """nanobind writes each signature into the docstring's first line."""
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    for owner in tree.body:
        for node in owner.body if isinstance(owner, ast.ClassDef) else [owner]:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("__"):
                continue
            if any(isinstance(d, ast.Attribute) or getattr(d, "id", "") == "property"
                   for d in node.decorator_list):  # fmt: skip
                continue
            holder = getattr(_linnet, owner.name) if isinstance(owner, ast.ClassDef) else _linnet
            function = getattr(holder, node.name)
            if inspect.isfunction(function):
                continue  # written in Python
            signature = (function.__doc__ or "").split("\n")[0]
            args = [*node.args.args, *node.args.kwonlyargs]
            for argument in args:
                assert f"{argument.arg}" in signature, f"{node.name}: {argument.arg}"
            real = signature[signature.index("(") + 1 :].split(") ->")[0]
            assert real.count(":") >= len([a for a in args if a.arg != "self"]) - 1


def test_docstrings() -> None:
    for name in linnet.__all__:
        if name != "__version__":
            assert getattr(linnet, name).__doc__, name
