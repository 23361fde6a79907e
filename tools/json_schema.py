"""Checks JSON values against the part of JSON Schema that docs/json-schema.json (2020-12) and
share/flows/flow.schema.json (draft-07) use, so that the tests need no further package. A keyword that is not known here is an error of the schema."""
import json
import re

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "number": (int, float), "integer": int}
KNOWN = {"$schema", "$defs", "$ref", "title", "description", "type", "properties", "required", "items",
         "additionalProperties", "anyOf", "oneOf", "const", "enum", "pattern", "definitions", "if", "then", "else",
         "minItems", "maxItems", "minimum", "maximum"}


def problems(value, schema, root, place="$"):
    """What is wrong with the value; an empty list if nothing is."""
    unknown = set(schema) - KNOWN
    if unknown:
        raise ValueError(f"the schema uses {sorted(unknown)} at {place}")
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return problems(value, target, root, place)
    out = []
    kind = schema.get("type")
    if kind is not None:
        right = isinstance(value, TYPES[kind])
        if kind in ("number", "integer") and isinstance(value, bool):
            right = False
        if not right:
            return [f"{place} is no {kind}"]
    if "const" in schema and (value != schema["const"] or isinstance(value, bool) != isinstance(schema["const"], bool)):
        out.append(f"{place} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        out.append(f"{place} is none of {schema['enum']}")
    if isinstance(value, (int, float)) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        out.append(f"{place} is not from {schema.get('minimum')} to {schema.get('maximum')}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        out.append(f"{place} does not fit {schema['pattern']}")
    if isinstance(value, dict):
        out += [f"{place} lacks {name}" for name in schema.get("required", []) if name not in value]
        for name, inner in value.items():
            if name in schema.get("properties", {}):
                out += problems(inner, schema["properties"][name], root, f"{place}.{name}")
            elif schema.get("additionalProperties") is False:
                out.append(f"{place} has {name}, which nobody described")
            elif isinstance(schema.get("additionalProperties"), dict):
                out += problems(inner, schema["additionalProperties"], root, f"{place}.{name}")
    if "if" in schema:
        branch = "else" if problems(value, schema["if"], root, place) else "then"
        out += problems(value, schema.get(branch, {}), root, place)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            out.append(f"{place} has {len(value)} items")
        for index, inner in enumerate(value if "items" in schema else []):
            out += problems(inner, schema["items"], root, f"{place}[{index}]")
    for word in ("anyOf", "oneOf"):
        if word not in schema:
            continue
        tries = [problems(value, each, root, place) for each in schema[word]]
        fit = sum(not each for each in tries)
        if fit == 0 or (word == "oneOf" and fit > 1):
            nearest = min(tries, key=len)
            out.append(f"{place} fits {fit} of {len(tries)} forms; nearest: {nearest}")
    return out


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)
