"""Holds the OpenAPI document on standard input to OpenAPI 3.1, and its examples to their schemas."""

import json
import sys

from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

document = json.load(sys.stdin)
OpenAPIV31SpecValidator(document).validate()


def media_types(part):
    """Every object that has a schema and examples of it."""
    if isinstance(part, dict):
        if "schema" in part:
            yield part
        for value in part.values():
            yield from media_types(value)
    elif isinstance(part, list):
        for value in part:
            yield from media_types(value)


def check(schema, example):
    """References begin at the document, which a schema of its own does not have."""
    whole = {**schema, "components": document["components"]}
    OAS31Validator(whole, format_checker=OAS31Validator.FORMAT_CHECKER).validate(example)


checked = 0
for media_type in media_types(document):
    examples = [example["value"] for example in media_type.get("examples", {}).values()]
    for example in examples + ([media_type["example"]] if "example" in media_type else []):
        check(media_type["schema"], example)
        checked += 1
for schema in document["components"]["schemas"].values():
    for example in schema.get("examples", []):
        check(schema, example)
        checked += 1
print(checked)
