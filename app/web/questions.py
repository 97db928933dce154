"""What a script asks of Python: a dataclass of knobs, each value checked in one sentence.

A `Config` says what may be asked; `ask` reads one from the plain values of a browser. JavaScript
knows no whole numbers and fills forms with empty texts: 3.0 is one, and null, or an empty text
where no text is asked for, means that an optional value was not given.
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from app.web.checks import (
    check_choice,
    check_flag,
    check_integer,
    check_names,
    check_number,
    check_text,
)
from engine.config import Config
from engine.records.texts import as_unicode

Q = TypeVar("Q", bound=Config)
Answer = Mapping[str, Any]
LONGEST = 200  # of a text without another bound
NOTHING: Mapping[str, Any] = types.MappingProxyType({})
WHOLE = 2**53  # beyond it JavaScript has gaps


def ask(fn: Callable[..., Any], values: object = NOTHING) -> Any:
    """Call `fn` with the question that plain values describe; none where it takes none.

    Raises:
        ValueError: an unknown or missing name, or a value that cannot be.
    """
    kind = question_of(fn)
    return fn() if kind is None else fn(parse(kind, values))


def question_of(fn: Callable[..., Any]) -> type[Config] | None:
    """The kind of question that a function answers; None where it takes none."""
    parameters = list(inspect.signature(fn, eval_str=True).parameters.values())
    if not parameters:
        return None
    kind = parameters[0].annotation
    assert issubclass(kind, Config), f"{fn} takes no question"
    return typing.cast(type[Config], kind)


def answer_of(fn: Callable[..., Any]) -> Any:
    """The type of a function's answer."""
    return inspect.signature(fn, eval_str=True).return_annotation


def parse(kind: type[Q], values: object) -> Q:
    """A question of a kind, from a browser's values.

    Raises:
        ValueError: the first name or value that is wrong.
    """
    fields = {wire_name(field): field for field in dataclasses.fields(kind)}
    required = [name for name, field in fields.items() if is_required(field)]
    given = check_names(values, allowed=fields, required=required)
    hints = typing.get_type_hints(kind)
    return kind(
        **{
            field.name: _checked(name, hints[field.name], field.metadata, given[name])
            for name, field in fields.items()
            if name in given and (given[name] is not None or is_required(field))
        }
    )


def wire_name(field: "dataclasses.Field[Any]") -> str:
    """What scripts call a field: `from`, which Python keeps for itself, is `from_` here."""
    return field.name.rstrip("_")


def is_required(field: "dataclasses.Field[Any]") -> bool:
    """Whether a question must name the field."""
    return field.default is field.default_factory is dataclasses.MISSING


def without_none(hint: Any) -> tuple[Any, bool]:
    """(the type itself, whether None is allowed beside it)."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    return (kinds[0] if len(kinds) == 1 else Any), True


def _checked(name: str, hint: Any, bounds: Mapping[str, Any], value: Any) -> Any:
    kind, optional = without_none(hint)
    low, high, choices = (bounds.get(bound) for bound in ("low", "high", "choices"))
    if optional and (value is None or (value == "" and (kind is not str or choices))):
        return None
    origin = typing.get_origin(kind) or kind
    if origin is tuple:
        return _list(name, typing.get_args(kind)[0], value, choices, low or 0, high)
    if choices is not None:
        return check_choice(name, value, choices)
    if kind is bool:
        return check_flag(name, value)
    if kind is int:
        return check_integer(name, value, *_range(low, high, WHOLE))
    if kind is float:
        return check_number(name, value, *_range(low, high, float(WHOLE)))
    if kind is str:
        return check_text(name, value, LONGEST if high is None else high)
    if isinstance(kind, type) and issubclass(kind, Config):
        return parse(kind, value)
    if origin is Mapping and not isinstance(value, Mapping):
        raise ValueError(f"{name} must be an object with named values")
    return value


def _list(
    name: str, kind: Any, value: Any, choices: Any, fewest: int, most: int | None
) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} must be a list")
    if len(value) < fewest or (most is not None and len(value) > most):
        asked = f"{fewest} to {most}" if most else f"at least {fewest}"
        raise ValueError(f"{name} must be a list of {asked}, not of {len(value)}")
    return tuple(_checked(name, kind, {"choices": choices}, item) for item in value)


def _range(low: Any, high: Any, widest: Any) -> tuple[Any, Any]:
    return (-widest if low is None else low), (widest if high is None else high)


def sentence(error: ValueError | LookupError) -> str:
    """What to tell a person about a refusal."""
    if isinstance(error, KeyError):
        return f"the request lacks {error.args[0]!r}" if error.args else "an unknown name"
    return str(as_unicode(str(error)))
