"""What crosses the wire, as TypeScript: `python -m app.ui.wire` writes `app/web/wire.d.ts`.

The functions that a studio serves say themselves what they are asked and what they answer, so a
field that is renamed in Python is renamed for the checker of the scripts. `--check` fails where the
file is not current.
"""

import dataclasses
import inspect
import sys
import tempfile
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from app.environment import without_stubs

without_stubs()  # or a stub of Gradio's lies beside a page, and mypy reads it in its place

import gradio as gr

from app.studio import Studio
from app.ui import site
from app.web.questions import is_required, wire_name, without_none
from engine.config import Config
from storage.workspace import open_workspace

WIRE = Path(__file__).parents[1] / "web" / "wire.d.ts"
HEAD = "// Written by `python -m app.ui.wire`: change the dataclasses, not this file.\n"
PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def served_by(blocks: gr.Blocks) -> list[Callable[..., Any]]:
    """Every function that the scripts of a site can call."""
    panels = [block for block in blocks.blocks.values() if isinstance(block, gr.HTML)]
    found = {fn.__qualname__: fn for panel in panels for fn in panel.server_fns}
    return [found[name] for name in sorted(found)]


def declarations(functions: Iterable[Callable[..., Any]]) -> str:
    """The wire as TypeScript: interfaces, and what may be asked by the name of the function."""
    shapes: dict[str, type] = {}
    asked: dict[str, tuple[list[str], list[str]]] = {}
    for fn in functions:
        hints = fn.__annotations__
        questions, answers = asked.setdefault(fn.__name__, ([], []))
        kind = hints["question"]
        _note(questions, "object" if kind is None else _written(kind, shapes))
        _note(answers, _written(hints["return"], shapes))
    blocks = [_interface(shapes[name], {}) for name in sorted(shapes)]
    lines = [
        line
        for name, (questions, answers) in sorted(asked.items())
        for line in (
            f"  {name}: {{",
            f"    question: {' | '.join(questions)};",
            f"    answer: {' | '.join(answers)};",
            "  };",
        )
    ]
    about = "/** What a script may ask, by the name of the function. */"
    return "\n".join([HEAD, *blocks, f"{about}\nexport interface Wire {{", *lines, "}\n"])


def _written(hint: Any, shapes: dict[str, type]) -> str:
    """A type in TypeScript; the shapes it names are noted with those they name."""
    kind, optional = without_none(hint)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if optional:
        return f"{_written(kind, shapes)} | null"
    if kind in PLAIN:
        return PLAIN[kind]
    if origin in (tuple, list):
        inner = _written(arguments[0], shapes)
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    if origin in (dict, Mapping) and arguments[1] is not Any:
        return f"Record<string, {_written(arguments[1], shapes)}>"
    if inspect.isclass(kind) and (issubclass(kind, Config) or typing.is_typeddict(kind)):
        name = kind.__name__
        if shapes.setdefault(name, kind) is not kind:
            raise ValueError(f"two shapes on the wire are called {name}")
        for inner_hint in typing.get_type_hints(kind).values():
            _written(inner_hint, shapes)
        return name
    return "any"


def _interface(kind: type, shapes: dict[str, type]) -> str:
    hints = typing.get_type_hints(kind)
    about = (inspect.getdoc(kind) or "").split("\n")[0]
    lines = [f"/** {about} */", f"export interface {kind.__name__} {{"]
    if issubclass(kind, Config):
        for field in dataclasses.fields(kind):
            hint = _written(hints[field.name], shapes)
            needed = is_required(field)
            text = hint if needed or hint.endswith("null") else f"{hint} | null"
            lines.append(f"  /** {field.metadata['help']} */")
            lines.append(f"  {wire_name(field)}{'' if needed else '?'}: {text};")
    else:
        needed_names = typing.cast(Any, kind).__required_keys__
        for name, hint in hints.items():
            lines.append(
                f"  {name}{'' if name in needed_names else '?'}: {_written(hint, shapes)};"
            )
    return "\n".join([*lines, "}", ""])


def _note(found: list[str], text: str) -> None:
    if text not in found:
        found.append(text)


def main(arguments: list[str]) -> None:
    """Write the file, or with `--check` say whether it is current."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        studio = Studio(open_workspace(root / "data"), demo=root / "none", supervise=False)
        try:
            text = declarations(served_by(site.build(studio, device="", instruction="", horizon=1)))
        finally:
            studio.close()
    if "--check" not in arguments:
        WIRE.write_text(text)
    elif WIRE.read_text() != text:
        sys.exit("app/web/wire.d.ts is not current: run `python -m app.ui.wire`")


if __name__ == "__main__":
    main(sys.argv[1:])
