"""The file tree of ARCHITECTURE.md, made from the tracked files (`make tree` writes it)."""

import ast
import subprocess
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
OPENING, CLOSING = "## Files\n\n```text\n", "```\n"

# Folders shown as one line: their files are data or pictures.
CLOSED = ("docs", "storage/demo", "tests/golden")

# What a file or folder cannot say of itself in a docstring or an opening comment.
NOTES = {
    ".ci": "continuous integration",
    ".ci/run": "calls `make test`; pytest's closing line comes last",
    ".gitignore": "what is never committed",
    "ARCHITECTURE.md": "this page",
    "CONTRIBUTING.md": "how we write code",
    "LICENSE": "Apache-2.0",
    "Makefile": "`run`, `test`, `check`, `soak`, `tree`",
    "README.md": "what it is and how to start it; also the front matter of a Space",
    "app/components/keys.json": "keyboard shortcuts of each page, by meaning",
    "docs": "pictures taken by the browser tests, and reports",
    "packages-test.txt": "Debian packages for the browser tests",
    "packages.txt": "Debian packages for rendering, also read by a Space",
    "pyproject.toml": "settings of ruff, mypy, pytest and import-linter",
    "requirements-dev.txt": "pinned packages for the tests",
    "requirements.txt": "pinned packages for running",
    "storage/demo": "shipped checkpoints, start frames and sample episodes",
    "tests": "mirrors the packages",
    "tests/app": "tests of the screen and of what stands behind it",
    "tests/benchmarks": "measured speeds",
    "tests/e2e": "journeys in a real browser",
    "tests/engine": "tests of the domain, shapes checked by beartype",
    "tests/golden": "reference vectors and where each came from",
    "tests/storage": "tests of the filing cabinet, without torch",
}


def tracked_files() -> list[str]:
    """Paths that git tracks and that exist, relative to the root, sorted."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return sorted(path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file())


def docstring(path: Path) -> str:
    """A module's docstring, or an empty string."""
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def render_tree(paths: list[str], root: Path = ROOT) -> str:
    """One line a folder and a file, each with what it says of itself; `__init__.py` is its folder.

    Raises:
        ValueError: a file says nothing of itself and `NOTES` does not either.
    """
    lines: list[tuple[str, str]] = []
    seen: set[PurePosixPath] = set()
    for path in sorted(map(PurePosixPath, paths), key=_reading_order):
        for folder in reversed(path.parents[:-1]):
            if folder not in seen and not _is_closed(folder.parent):
                seen.add(folder)
                lines.append((_indent(folder) + f"{folder.name}/", _describe(folder, root)))
        if path.name != "__init__.py" and not _is_closed(path.parent):
            lines.append((_indent(path) + path.name, _describe(path, root)))
    width = max(len(name) for name, _ in lines)
    return "".join(f"{name:<{width}}  {text}\n" for name, text in lines)


def page_with(tree: str, page: str) -> str:
    """The page with its file tree replaced."""
    before, _, rest = page.partition(OPENING)
    _, _, after = rest.partition(CLOSING)
    return before + OPENING + tree + CLOSING + after


def _reading_order(path: PurePosixPath) -> list[tuple[bool, str]]:
    """Folders before files at every level, by name."""
    parts = path.parts
    return [(False, part) for part in parts[:-1]] + [(True, parts[-1])]


def _is_closed(folder: PurePosixPath) -> bool:
    return any(folder.is_relative_to(closed) for closed in CLOSED)


def _indent(path: PurePosixPath) -> str:
    return "  " * (len(path.parts) - 1)


def _describe(path: PurePosixPath, root: Path) -> str:
    if str(path) in NOTES:
        return NOTES[str(path)]
    file = root / path / "__init__.py" if (root / path).is_dir() else root / path
    match file.suffix:
        case ".py":
            text = docstring(file)
        case ".js" | ".css" | ".html" | ".svg":
            text = file.read_text().lstrip("/*<!- \n").split("\n")[0].rstrip("*/-> ")
        case ".md":
            text = file.read_text().lstrip("# ").split("\n")[0]
        case _:
            text = ""
    if not text:
        raise ValueError(f"{path} needs a docstring, an opening comment or a line in NOTES")
    return " ".join(text.split("\n\n")[0].split()).split(". ")[0].rstrip(".")


if __name__ == "__main__":
    PAGE.write_text(page_with(render_tree(tracked_files()), PAGE.read_text()))
