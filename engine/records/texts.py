"""Plain values from outside: their text is Unicode, and their types are the declared ones.

Python and JSON can hold half of a surrogate pair (`"\\ud800"`); UTF-8, DuckDB and every answer to a
browser cannot. It is refused where it comes in, and replaced where it was stored long ago.
"""

import functools
import math
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

_LONE = re.compile(r"[\ud800-\udfff]")
_LARGEST = 2**63  # what a column of the database holds


def check_unicode(value: Any, name: str = "a text") -> None:
    """Refuse plain JSON values in which some text, or some key, is no Unicode.

    Raises:
        ValueError: half of a surrogate pair stands in a text.
    """
    if isinstance(value, str):
        if _LONE.search(value):
            raise ValueError(f"{name} holds a character that is no Unicode: {_shown(value)}")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            check_unicode(key, "a name")
            check_unicode(inner, str(key))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            check_unicode(inner, name)


def as_unicode(value: Any) -> Any:
    """The same plain values with every half of a surrogate pair replaced by U+FFFD."""
    if isinstance(value, str):
        return _LONE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {as_unicode(key): as_unicode(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_unicode(inner) for inner in value]
    return value


def check_fields(record: type, values: Mapping[str, Any]) -> None:
    """Refuse values that are not of the types which a dataclass declares; absent ones pass.

    Raises:
        ValueError: another type, a number that is not finite or beyond 64 bits, no Unicode.
    """
    for name, allowed in _declared(record).items():
        if name in values:
            check_type(name, values[name], allowed)


def check_type(name: str, value: Any, allowed: tuple[type, ...]) -> None:
    """Refuse a value of another type; a whole number may stand where a number is asked for.

    Raises:
        ValueError: as `check_fields`.
    """
    own = type(value)
    if own not in allowed and not (own is int and float in allowed):
        words = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in allowed)
        raise ValueError(f"{name} must be {words}, not {_shown(value)}")
    if own is float and not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, not {value}")
    if own is int and not -_LARGEST <= value < _LARGEST:
        raise ValueError(f"{name} is beyond the numbers of 64 bits")
    check_unicode(value, name)


@functools.cache
def _declared(record: type) -> Mapping[str, tuple[type, ...]]:
    hints = {name: _kinds(hint) for name, hint in typing.get_type_hints(record).items()}
    return {name: kinds for name, kinds in hints.items() if kinds}


def _kinds(hint: Any) -> tuple[type, ...]:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return tuple(kind for inner in typing.get_args(hint) for kind in _kinds(inner))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return (dict,)
    return (hint,) if hint in (str, int, float, bool, dict, list, type(None)) else ()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
