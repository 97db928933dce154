"""The released Python config files, read as data: nothing in them is ever executed."""

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_BYTES = 1_000_000
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


@dataclass(frozen=True)
class _Unreadable:
    """A name whose value is not plain data: an error only if somebody needs it."""

    line: int
    reason: str


class _NotDataError(ValueError):
    """An expression that is not plain data; `args` are its line and the reason."""


class PythonConfig:
    """Names assigned at the top of a Python file, as far as their values are plain data.

    Plain data are literals, earlier names, `dict(name=value, …)` and arithmetic on numbers.
    """

    def __init__(self, name: str, values: dict[str, Any]) -> None:
        self._name = name
        self._values = values

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a name, or the default where the file does not assign it.

        Raises:
            ValueError: the file computes the value in a way that is not plain data.
        """
        value = self._values.get(name, default)
        if isinstance(value, _Unreadable):
            raise ValueError(
                f"{self._name}, line {value.line}: {name} is {value.reason}; only plain data is "
                "read from a config, nothing is executed"
            )
        return value


def read_python_config(path: Path) -> PythonConfig:
    """Parse a config file.

    Raises:
        ValueError: not a Python file of at most 1 MB, or one that builds on another file.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_BYTES} bytes: not a config")
    return parse_python_config(path.name, path.read_text(encoding="utf-8", errors="replace"))


def parse_python_config(name: str, text: str) -> PythonConfig:
    """The config in a text.

    Raises:
        ValueError: not Python, or it builds on another file.
    """
    try:
        values = _values(ast.parse(text))
    except SyntaxError as error:
        raise ValueError(f"{name}, line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{name} cannot be parsed: {error}") from error
    if "_base_" in values:
        raise ValueError(f"{name} builds on another file (_base_), which is not read")
    return PythonConfig(name, values)


def _values(tree: ast.Module) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=expression):
                values[name] = _value_or_reason(expression, values)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as expression):
                values[name] = _value_or_reason(expression, values)
            case _:
                reason = "set by more than a plain assignment"
                values |= {
                    node.id: _Unreadable(statement.lineno, reason)
                    for node in ast.walk(statement)
                    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
                }
                values |= {
                    name: _Unreadable(statement.lineno, reason) for name in _find_changed(statement)
                }
    return values


def _find_changed(statement: ast.stmt) -> set[str]:
    """Names whose contents a statement may change: `model["x"] = 1`, `model.update(…)`."""
    return {
        part.id
        for node in ast.walk(statement)
        if isinstance(node, (ast.Subscript, ast.Attribute))
        for part in ast.walk(node.value)
        if isinstance(part, ast.Name)
    }


def _value_or_reason(expression: ast.expr, values: dict[str, Any]) -> Any:
    try:
        return _value(expression, values)
    except _NotDataError as error:
        line, reason = error.args
        return _Unreadable(line, reason)


def _value(node: ast.expr, values: dict[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value) if isinstance(value, (str, int, float, type(None))):
            return value
        case ast.List(elts=items):
            return [_value(item, values) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item, values) for item in items)
        case ast.Dict(keys=keys, values=items) if None not in keys:
            pairs = zip(keys, items, strict=True)
            return {_key(key, values): _value(item, values) for key, item in pairs if key}
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if all(
            keyword.arg for keyword in keywords
        ):
            return {keyword.arg: _value(keyword.value, values) for keyword in keywords}
        case ast.Name(id=name) if name in values:
            if isinstance(values[name], _Unreadable):
                raise _NotDataError(node.lineno, f"made from {name}, which is not plain data")
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, values)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            try:
                return ARITHMETIC[type(op)](_number(left, values), _number(right, values))
            except ArithmeticError as error:
                raise _NotDataError(node.lineno, f"no number ({error})") from error
    raise _NotDataError(node.lineno, f"`{ast.unparse(node)[:60]}`")


def _number(node: ast.expr, values: dict[str, Any]) -> int | float:
    value = _value(node, values)
    if type(value) not in (int, float):
        raise _NotDataError(node.lineno, "arithmetic on something that is no number")
    number: int | float = value
    return number


def _key(node: ast.expr, values: dict[str, Any]) -> str | int:
    key = _value(node, values)
    if not isinstance(key, (str, int)):
        raise _NotDataError(node.lineno, "a dictionary with keys that are no names")
    return key
