"""Configs are frozen dataclasses whose every field is declared once, with `knob`."""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

C = TypeVar("C", bound="Config")


def knob(
    default: Any = dataclasses.MISSING,
    help: str = "",
    *,
    low: int | float | None = None,
    high: int | float | None = None,
    choices: tuple[Any, ...] | None = None,
    factory: Any = dataclasses.MISSING,
) -> Any:
    """Declare a tunable value: default, one line of help, and the inclusive range it may take."""
    metadata = {"help": help, "low": low, "high": high, "choices": choices}
    if factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Base of every config: checks ranges at construction and converts to and from plain dicts.

    Raises:
        ValueError: a value is outside the range its knob declares.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_range(type(self).__name__, field, getattr(self, field.name))

    @classmethod
    def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
        """Build from plain JSON values.

        Raises:
            ValueError: an unknown or absent name, a wrong type or a value outside its range.
        """
        hints = typing.get_type_hints(cls)
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(
                f"{cls.__name__} has no option {', '.join(unknown)}; it has {', '.join(known)}"
            )
        absent = [
            field.name
            for field in dataclasses.fields(cls)
            if field.default is field.default_factory is dataclasses.MISSING
            and field.name not in values
        ]
        if absent:
            raise ValueError(f"{cls.__name__} needs {', '.join(absent)}")
        complete = {name: _over_default(cls, name, value) for name, value in values.items()}
        return cls(
            **{
                name: _coerce(f"{cls.__name__}.{name}", hints[name], value)
                for name, value in complete.items()
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values from which `from_dict` builds an equal config."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    def replace(self: C, **changes: Any) -> C:
        """A copy with some fields changed; checked like a new one."""
        return dataclasses.replace(self, **changes)


def assign(values: dict[str, Any], assignment: str) -> None:
    """Apply one command-line `a.b=value` to nested plain values; value is JSON, else a string.

    Raises:
        ValueError: no `=`, or `a` is already a plain value.
    """
    path, separator, text = assignment.partition("=")
    if not separator:
        raise ValueError(f"--set takes name=value, not {assignment!r}")
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    *parents, name = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ValueError(f"--set {assignment}: {parent} is a value, not a group of options")
    values[name] = value


def _check_range(owner: str, field: dataclasses.Field[Any], value: Any) -> None:
    low, high, choices = (field.metadata.get(key) for key in ("low", "high", "choices"))
    where = f"{owner}.{field.name}"
    values = value if isinstance(value, tuple) else (value,)
    for one in values:
        if choices is not None and one is not None and one not in choices:
            raise ValueError(f"{where} must be one of {', '.join(map(str, choices))}, not {one!r}")
    for number in values:
        if not isinstance(number, (int, float)) or isinstance(number, bool):
            continue
        if not math.isfinite(number):
            raise ValueError(f"{where} must be a finite number, not {number}")
        if low is not None and number < low:
            raise ValueError(f"{where} must be at least {low}, not {number}")
        if high is not None and number > high:
            raise ValueError(f"{where} must be at most {high}, not {number}")


def _over_default(owner: type[Config], name: str, value: Any) -> Any:
    """A nested object names only what differs from the field's default; the rest is that."""
    factory = owner.__dataclass_fields__[name].default_factory
    if not isinstance(value, Mapping) or not callable(factory):
        return value
    default = factory()
    if not isinstance(default, Config):
        return value
    known = default.to_dict()
    inner = {key: _over_nested(known.get(key), item) for key, item in value.items()}
    return known | inner


def _over_nested(default: Any, value: Any) -> Any:
    if isinstance(default, Mapping) and isinstance(value, Mapping):
        return {**default, **{key: _over_nested(default.get(key), v) for key, v in value.items()}}
    return value


def _coerce(where: str, hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        [inner] = [argument for argument in arguments if argument is not type(None)]
        return _coerce(where, inner, value)
    if isinstance(hint, type) and issubclass(hint, Config):
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} must be an object, not {value!r}")
        try:
            return hint.from_dict(value)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{where} must be a list, not {value!r}")
        hints = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(hints) != len(value):
            raise ValueError(f"{where} must be a list of {len(hints)}, not {value!r}")
        return tuple(_coerce(where, hint, item) for hint, item in zip(hints, value, strict=True))
    if hint is float and type(value) is int and abs(value) < 2**1023:
        return float(value)
    if hint in (bool, int, float, str) and type(value) is not hint:
        raise ValueError(f"{where} must be of type {hint.__name__}, not {value!r}")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.to_dict()
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
