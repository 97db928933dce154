"""JSON without ambiguity: no duplicate key, no NaN, no number beyond floats, no deep nesting."""

import itertools
import json
import math
from typing import Any

from engine.gate.verdict import Reason, RefusedError, quoted
from engine.records.texts import check_unicode


def parse_json(text: bytes, *, depth: int) -> Any:
    """The value that a JSON text holds, nested at most `depth` levels.

    Raises:
        RefusedError: not UTF-8, not JSON, ambiguous or too deep.
    """
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
        )
    except RecursionError as error:
        raise RefusedError(Reason.TOO_DEEP, "is nested too deeply") from error
    except RefusedError:
        raise
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, an integer of 5,000 digits
        raise RefusedError(Reason.BAD_JSON, f"is not valid JSON: {_brief(error)}") from error
    _check(value, depth)
    try:
        check_unicode(value)
    except ValueError as error:
        raise RefusedError(Reason.BAD_JSON, str(error)) from error
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = sorted(key for key, _ in pairs)
        twice = next(one for one, other in itertools.pairwise(keys) if one == other)
        raise RefusedError(Reason.DUPLICATE_KEY, f"has the key {quoted(twice)} twice")
    return values


def _constant(name: str) -> float:
    raise RefusedError(Reason.NOT_FINITE, f"holds the number {name}")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise RefusedError(Reason.NOT_FINITE, f"holds the number {quoted(text)}, beyond any float")
    return value


def _check(value: Any, depth: int) -> None:
    """Level by level, so that the depth costs no recursion."""
    level = [value]
    for _ in range(depth + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise RefusedError(Reason.TOO_DEEP, f"is nested more than {depth} levels deep")


def _brief(error: ValueError) -> str:
    return str(error).partition("\n")[0][:120]
