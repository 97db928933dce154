"""Values from a browser, checked: everything wrong becomes a `ValueError` of one sentence."""

import math
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from app.visitors import may_change, visitor
from engine.records.texts import check_unicode
from storage.events.labels import is_guest


def check_names(
    values: object, *, allowed: Iterable[str], required: Iterable[str] = ()
) -> Mapping[str, Any]:
    """A mapping that has all required names and no unknown one."""
    if not isinstance(values, Mapping):
        raise ValueError(f"an object with named values is needed, not {type(values).__name__}")
    known = list(allowed)
    unknown = sorted(str(name) for name in values if name not in known)
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is not known here; known: {', '.join(known)}")
    missing = [name for name in required if name not in values]
    if missing:
        raise ValueError(f"{', '.join(missing)} is missing")
    return values


def check_integer(name: str, value: object, low: int, high: int) -> int:
    """A whole number in an inclusive range; 3.0 is one (browsers send floats)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, not {_shown(value)}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, not {value}")
    return value


def check_number(name: str, value: object, low: float, high: float) -> float:
    """A finite number in an inclusive range."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number, not {_shown(value)}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low:g} to {high:g}, not {value:g}")
    return float(value)


def check_text(name: str, value: object, longest: int) -> str:
    """Text of bounded length, without control characters and text-direction marks."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, not {_shown(value)}")
    if len(value) > longest:
        raise ValueError(f"{name} may have {longest} characters, not {len(value)}")
    check_unicode(value, name)
    return "".join(
        sign for sign in value if sign == "\n" or unicodedata.category(sign) not in ("Cc", "Cf")
    )


def check_choice(name: str, value: object, choices: Iterable[str]) -> str:
    """One of some words."""
    words = list(choices)
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{name} must be one of {', '.join(words)}, not {_shown(value)}")
    return value


def check_flag(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, not {_shown(value)}")
    return value


def check_actor(value: object, *, guest: bool) -> str:
    """Who judges: a name in the house's pool, or on a public studio in that of its guests."""
    name = check_text("actor", value, 64).strip()
    if guest:
        if known := visitor():  # whatever name the page sends: nobody speaks as another
            return f"guest:{known}"
        return name if is_guest(name) else f"guest:{name}"
    if not name or is_guest(name):
        raise ValueError("whoever judges needs a name, one that does not begin with guest:")
    return name


def check_own(actor: str, *, guest: bool) -> None:
    """Refuse a visitor who would take back or correct what somebody else said."""
    if guest and not may_change(actor.removeprefix("guest:")):
        raise ValueError("that was said by somebody else: only they may change it")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
