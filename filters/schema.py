"""The JSON Schema of spec files, for editors: what keys there are, and what they may hold.

It says what a schema can say. Whether a condition can be read, and whether its fields exist, only
`candlewax filters check` tells. References: JSON Schema, draft 2020-12.
"""

from typing import Any

from filters.condition_reader import JOINS, OPS
from filters.fields import STREAMS
from filters.risk import DIRECTIONS
from filters.specs import MISSING, SEVERITIES, TRIGGERS

DRAFT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_DURATION: Schema = {"type": "string", "pattern": r"^\s*[0-9]{1,9}\s*[smhd]\s*$"}
_ONE_OR_MORE: Schema = {
    "oneOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
    ]
}
_NUMBERS: Schema = {
    "oneOf": [
        {"type": ["number", "null", "string"]},
        {"type": "array", "items": {"type": ["number", "null", "string"]}, "minItems": 1},
    ]
}


def schema() -> Schema:
    """Return the schema of a spec file, as a JSON object."""
    return {
        "$schema": DRAFT,
        "title": "Candlewax filter specs",
        **_object(
            {
                "version": {"const": 1},
                "define": {
                    "type": "object",
                    "description": "conditions with names, to be used in others",
                    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                    "additionalProperties": {"$ref": "#/$defs/condition"},
                },
                "filters": {
                    "oneOf": [
                        {"type": "array", "items": {"$ref": "#/$defs/filter"}},
                        {"type": "null"},
                    ]
                },
            },
            required=("version",),
        ),
        "$defs": {
            "condition": _condition(),
            "source": _source(),
            "filter": _filter(),
            "target": _target(),
            "test": _test(),
        },
    }


def _object(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _condition() -> Schema:
    here = {"$ref": "#/$defs/condition"}
    listed = {"type": "array", "items": here, "minItems": 1}
    value = {
        "oneOf": [
            {"type": ["number", "string"]},
            {"type": "array", "items": {"type": ["number", "string"]}, "minItems": 1},
        ]
    }
    joins = [_object({join: here if join == "not" else listed}, (join,)) for join in JOINS]
    return {
        "description": "a condition such as 'rsi(14) < 30', or a list of them that must all hold",
        "oneOf": [
            {"type": "string", "minLength": 1},
            listed,
            *joins,
            _object(
                {
                    "field": {"type": "string"},
                    "op": {"enum": list(OPS)},
                    "value": value,
                    "within": {"type": "string"},
                },
                ("field", "op", "value"),
            ),
            {
                "type": "object",
                "description": "a condition over other bars: 'BTC-USDT@15m: rsi(14) < 30'",
                "patternProperties": {
                    "^@?(?:[a-z0-9_-]+:)?[A-Z0-9.]+(?:-[A-Z0-9.]+)+|^@?[0-9]": here
                },
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
        ],
    }


def _source() -> Schema:
    made = _object(
        {
            "stream": {"enum": list(STREAMS), "description": "what is looked at"},
            "symbols": {**_ONE_OR_MORE, "description": "symbols; * and ? stand for any letters"},
            "interval": {"type": "string", "description": "of the bars, as '1m'"},
            "venues": {
                **_ONE_OR_MORE,
                "description": "left out: each venue by itself; merged: all of them together",
            },
        },
        required=("stream", "symbols"),
    )
    is_bar = {"properties": {"stream": {"const": "bar"}}}
    without = {"properties": {"interval": False}}
    return {**made, "if": is_bar, "then": {"required": ["interval"]}, "else": without}


def _filter() -> Schema:
    here = {"$ref": "#/$defs/condition"}
    made = _object(
        {
            "id": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"},
            "title": {"type": "string", "maxLength": 120},
            "enabled": {"enum": [True, False, "yes", "no"]},
            "source": {"$ref": "#/$defs/source"},
            "when": {**here, "description": "when it fires"},
            "until": {**here, "description": "what must be true before it can fire again"},
            "strategy": _strategy(),
            "for": {
                "type": "string",
                "pattern": r"^\s*[0-9]{1,9}\s*(?:[smhd]|bars?)\s*$",
                "description": "how long it must hold: '3 bars' or '90s'",
            },
            "trigger": {"enum": list(TRIGGERS)},
            "cooldown": {**_DURATION, "description": "silence after it has fired"},
            "once": {"enum": [True, False, "yes", "no"]},
            "expires": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}"},
            "missing": {"enum": list(MISSING)},
            "severity": {"enum": list(SEVERITIES)},
            "labels": {
                "type": "object",
                "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
            },
            "notify": {"type": "array", "items": {"$ref": "#/$defs/target"}, "minItems": 1},
            "tests": {"type": "array", "items": {"$ref": "#/$defs/test"}, "minItems": 1},
        },
        required=("id", "source"),
    )
    # Either it says when it fires, or when it enters and leaves.
    return {**made, "oneOf": [{"required": ["when"]}, {"required": ["strategy"]}]}


def _strategy() -> Schema:
    here = {"$ref": "#/$defs/condition"}
    risk = _object(
        {
            "stop": {"type": "string", "description": "as 'support - 0.1%', 'atr(14)*2' or '2%'"},
            "target": {"type": "string", "description": "as 'resistance', 'atr(14)*3' or '3%'"},
            "budget": {"type": "string", "description": "of the equity, lost at the stop: '1%'"},
            "equity": {"type": "number", "exclusiveMinimum": 0},
        },
        required=("stop",),
    )
    return {
        **_object(
            {
                "side": {"enum": list(DIRECTIONS)},
                "entry": {**here, "description": "when it enters"},
                "exit": {**here, "description": "when it leaves"},
                "risk": risk,
            },
            required=("entry", "risk"),
        ),
        "description": "signals of a paper position, in place of 'when'",
    }


def _target() -> Schema:
    return _object(
        {
            "to": {"type": "string", "description": "a target of the configuration"},
            "message": {"type": "string", "description": "text with {names} in braces"},
            "chart": {"enum": [True, False, "yes", "no"]},
        },
        required=("to",),
    )


def _test() -> Schema:
    whole = {"type": "integer", "minimum": 1}
    return _object(
        {
            "name": {"type": "string"},
            "given": {
                "type": "object",
                "description": "values by field, one a moment; null where not known",
                "additionalProperties": _NUMBERS,
                "minProperties": 1,
            },
            "every": {**_DURATION, "description": "time between two moments"},
            "fires": {
                "description": "numbers of the moments at which it fires, from 1",
                "oneOf": [whole, {"type": "array", "items": whole}],
            },
        },
        required=("given", "fires"),
    )
