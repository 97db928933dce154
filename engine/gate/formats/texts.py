"""Files of text that come with weights: JSON, Python configs read as data, and tokenizer models."""

import ast
import io
import itertools
import math
import re
import tokenize
from typing import IO, Any

from engine.gate.formats.strict_json import parse_json
from engine.gate.verdict import Kind, Limits, Reason, RefusedError, quoted

_SHARD = re.compile(r"[\w\-][\w.\-]*", re.ASCII)
_CONSTANTS = ("True", "False", "None")
_PUNCTUATION = frozenset("()[]{}=,:;-+")
_LAYOUT = {
    tokenize.ENCODING, tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT, tokenize.ENDMARKER,
}  # fmt: skip


def check_text(kind: Kind, name: str, stream: IO[bytes], size: int, limits: Limits) -> None:
    """Check a file of one of the three kinds of text, whole.

    Raises:
        RefusedError: too large, not of its kind, or more than data.
    """
    most = {
        Kind.JSON: limits.json_bytes,
        Kind.CONFIG: limits.config_bytes,
        Kind.SENTENCEPIECE: limits.sentencepiece_bytes,
    }[kind]
    if size > most:
        raise RefusedError(Reason.TOO_LARGE, f"has {size:,} bytes; at most {most:,} are read")
    if kind == Kind.JSON:
        _check_json(name, stream.read(), limits)
    if kind == Kind.CONFIG:
        check_config(stream.read(), limits)


def _check_json(name: str, text: bytes, limits: Limits) -> None:
    value = parse_json(text, depth=limits.json_depth)
    if not isinstance(value, dict):
        raise RefusedError(Reason.BAD_JSON, "holds no object at its top")
    if name.endswith("index.json"):
        _check_index(name, value)


def _check_index(name: str, index: dict[str, Any]) -> None:
    """An index of shards names files of weights beside it, nothing else, itself least of all."""
    shards = index.get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(s, str) for s in shards.values()):
        raise RefusedError(Reason.BAD_JSON, "has no `weight_map` from tensors to files")
    if name in shards.values():
        raise RefusedError(Reason.BAD_NAME, "names itself as one of its shards")
    for shard in shards.values():
        if not _SHARD.fullmatch(shard):
            raise RefusedError(
                Reason.BAD_NAME, f"names the file {quoted(shard)}, which is not beside it"
            )


def check_config(text: bytes, limits: Limits) -> None:
    """A Python file that only assigns literals and `dict(...)` of literals to names.

    The tokens are checked before Python's parser sees them: hostile nesting can exhaust it.

    Raises:
        RefusedError: anything else in the file.
    """
    try:
        source = text.decode("utf-8")
        _check_tokens(source, limits.config_depth)
        module = ast.parse(source)
    except (SyntaxError, ValueError, tokenize.TokenError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError(Reason.NOT_DATA, "is not a readable Python config") from error
    for statement in module.body:
        _check_statement(statement)


def _check_tokens(source: str, deepest: int) -> None:
    depth = 0
    tokens = (
        token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in _LAYOUT
    )
    for token, following in itertools.pairwise(itertools.chain(tokens, [None])):
        assert token is not None
        text = token.string
        depth += (text in "([{") - (text in ")]}") if token.type == tokenize.OP else 0
        if depth > deepest:
            raise RefusedError(Reason.TOO_DEEP, f"is nested more than {deepest} levels deep")
        if not _is_data(token.type, text, following.string if following else ""):
            raise RefusedError(
                Reason.NOT_DATA,
                f"does more than assign values: {quoted(text.strip())} in line {token.start[0]}",
            )


def _is_data(type_: int, text: str, after: str) -> bool:
    match type_:
        case tokenize.NUMBER:
            return True
        case tokenize.STRING:
            return "f" not in text[: re.search("['\"]", text).start()].lower()  # type: ignore[union-attr]
        case tokenize.NAME:
            return text in _CONSTANTS or (text == "dict" and after == "(") or after == "="
        case tokenize.OP if text in ("-", "+"):
            return after[:1].isdigit() or after.startswith(".")
        case tokenize.OP:
            return text in _PUNCTUATION
        case _:
            return False


def _check_statement(statement: ast.stmt) -> None:
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            return  # a docstring, or lines commented out by quotes
        case ast.Assign(targets=[ast.Name()], value=value):
            for node in ast.walk(value):
                _check_node(node)
                _check_keys(node)
        case _:
            raise _more_than_data(statement)


def _check_node(node: ast.AST) -> None:
    match node:
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if all(
            keyword.arg for keyword in keywords
        ):
            return
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=int() | float())):
            return
        case ast.Constant(value=float() as number) if not math.isfinite(number):
            raise RefusedError(Reason.NOT_FINITE, "holds a number beyond any float")
        case (
            ast.Name(id="dict")
            | ast.Constant()
            | ast.List()
            | ast.Tuple()
            | ast.Dict()
            | ast.Set()
            | ast.keyword()
            | ast.Load()
            | ast.USub()
            | ast.UAdd()
        ):
            return
        case _:
            raise _more_than_data(node)


def _check_keys(node: ast.AST) -> None:
    """Every name once: which of two counts is for each reader to say."""
    keys: list[object] = []
    if isinstance(node, ast.Call):
        keys = [keyword.arg for keyword in node.keywords]
    elif isinstance(node, ast.Dict):
        keys = [ast.dump(key) for key in node.keys if key is not None]
    if len(set(keys)) < len(keys):
        line = getattr(node, "lineno", 0)
        raise RefusedError(Reason.DUPLICATE_KEY, f"has a key twice, in line {line}")


def _more_than_data(node: ast.AST) -> RefusedError:
    what = type(node).__name__
    return RefusedError(
        Reason.NOT_DATA,
        f"does more than assign values: {what} in line {getattr(node, 'lineno', 0)}",
    )
