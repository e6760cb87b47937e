"""What schemathesis is told beside /openapi.json, by SCHEMATHESIS_HOOKS: a request that asks for long
texts, or many, asks for short ones, so that the time goes into many requests."""

import schemathesis

LENGTHS = {"max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict", "num_predict"}
COUNTS = {"n", "best_of", "n_cmpl"}


def bounded(body):
    if not isinstance(body, dict):
        return body
    whole = {}
    for name, value in body.items():
        most = 4 if name in LENGTHS else 2 if name in COUNTS else None
        if most is not None and isinstance(value, (int, float)) and not isinstance(value, bool) and value > most:
            value = most
        whole[name] = bounded(value) if name == "options" else value
    return whole


@schemathesis.hook
def map_body(context, body):
    return bounded(body)
