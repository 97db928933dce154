"""What the repository promises of itself, checked on the tracked files."""

import ast
import functools
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs.registry import job_names

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ("requirements.txt", "requirements-scale.txt", "requirements-dev.txt")

# Names on the package index that differ from the imported module's.
DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image"}
# The worker turns whatever happens into a state of the run, and what somebody else's tracker raises
# becomes an alarm of it; the guard keeps the trouble of one run from all others. No other code may
# catch everything.
CATCHES_EVERYTHING = {"app/runs/guard.py", "engine/worker.py", "engine/runs/tracker.py"}
SQL = re.compile(
    r"^\s*(select\s.+\sfrom\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s"
    r"|(create|drop|alter)\s+(table|view|index|sequence)\s)",
    re.IGNORECASE | re.DOTALL,
)


@functools.cache
def tracked_files() -> tuple[str, ...]:
    """Paths that git tracks and that exist, relative to the root, sorted."""
    found = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return tuple(sorted(path for path in found.stdout.split("\0") if (ROOT / path).is_file()))


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def paths(*suffixes: str, under: tuple[str, ...] = ("",)) -> list[str]:
    return [path for path in tracked_files() if path.endswith(suffixes) and path.startswith(under)]


def code(*under: str) -> Iterator[tuple[str, ast.AST]]:
    """(path:line, node) of every syntax node of the Python files under some folders."""
    for path in paths(".py", under=under or ("",)):
        for node in syntax(path):
            yield f"{path}:{getattr(node, 'lineno', 0)}", node


@functools.cache
def syntax(path: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse((ROOT / path).read_text())))


def imported(node: ast.AST) -> list[str]:
    """Top-level names of the modules an import statement names."""
    match node:
        case ast.Import(names=names):
            return [alias.name.split(".")[0] for alias in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module.split(".")[0]]
    return []


def pins(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("-r ")]
    return dict(line.split("==") for line in lines)


# Files.


def test_no_source_file_is_longer_than_400_lines() -> None:
    lengths = {path: (ROOT / path).read_text().count("\n") for path in paths(".py", ".js", ".css")}
    assert {path: lines for path, lines in lengths.items() if lines > 400} == {}


def test_no_folder_is_crowded() -> None:
    crowds = Counter(
        (str(Path(path).parent), Path(path).suffix)
        for path in paths(".py", ".js", ".css", under=("app/", "engine/", "storage/", "studies/"))
        if not path.startswith("engine/jobs/") and not path.endswith("/__init__.py")
    )
    assert {place: files for place, files in crowds.items() if files > 12} == {}


def test_every_folder_of_the_architecture_page_exists() -> None:
    [tree] = re.findall(r"```text\n(app/.*?)```", (ROOT / "ARCHITECTURE.md").read_text(), re.DOTALL)
    named, above = [], [""] * 4
    for line in tree.splitlines():
        name = line.split("/")[0]
        depth = (len(name) - len(name.lstrip())) // 2
        above[depth] = name.strip()
        named.append("/".join(above[: depth + 1]))
    assert len(named) > 30
    assert [folder for folder in named if not (ROOT / folder).is_dir()] == []


def test_the_architecture_page_stays_short() -> None:
    assert (ROOT / "ARCHITECTURE.md").read_text().count("\n") <= 150


def test_no_tracked_file_is_larger_than_10_megabytes() -> None:
    sizes = {path: (ROOT / path).stat().st_size for path in tracked_files()}
    assert {path: size for path, size in sizes.items() if size > 10_000_000} == {}


def test_the_shipped_weights_stay_under_40_megabytes() -> None:
    weights = paths(".safetensors", under=("storage/demo/",))
    assert sum((ROOT / path).stat().st_size for path in weights) <= 40_000_000


def test_every_module_says_what_it_is() -> None:
    silent = [
        path
        for path in paths(".py")
        if not docstring(ROOT / path) and (ROOT / path).stat().st_size > 0
    ]
    assert silent == []


def test_no_file_names_a_path_of_one_machine() -> None:
    absolute = re.compile(r"(^|[^\w.-])/(home|root|mnt|opt|work|Users)/[a-z]")
    text = paths(".py", ".md", ".toml", ".txt", ".json", ".js", ".css", ".html", "Makefile", "run")
    named = [
        f"{path}:{number}"
        for path in text
        for number, line in enumerate((ROOT / path).read_text().splitlines(), start=1)
        if absolute.search(line)
    ]
    assert named == []


# Packages.


def test_every_requirement_is_pinned_exactly() -> None:
    lines = [line for name in REQUIREMENTS for line in (ROOT / name).read_text().splitlines()]
    loose = [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+|-r [\w.-]+", line)]
    assert loose == []


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_what_is_installed_is_what_is_pinned(name: str) -> None:
    # Not by the path of this process: Ray puts packages of its own before the others.
    places = [sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]]
    there = {
        each.metadata["Name"].lower().replace("_", "-"): each.version.partition("+")[0]
        for each in importlib.metadata.distributions(path=places)
    }
    wanted = {package.lower().replace("_", "-"): pin for package, pin in pins(name).items()}
    assert {package: there.get(package) for package in wanted} == wanted


def test_every_imported_package_is_required() -> None:
    ours = {"app", "engine", "storage", "studies"}
    foreign = {
        (place, module)
        for place, node in code("app/", "engine/", "storage/", "studies/", "app.py")
        for module in imported(node)
        if module not in sys.stdlib_module_names | ours
    }
    required = {name.replace("-", "_").lower() for name in pins("requirements.txt")}
    missing = [
        f"{place} {module}"
        for place, module in sorted(foreign)
        if DISTRIBUTIONS.get(module, module).replace("-", "_").lower() not in required
    ]
    assert missing == []


def test_torchvision_is_neither_required_nor_installed() -> None:
    # Beside a CPU build of torch it breaks transformers' image processors (stack.md §2).
    assert importlib.util.find_spec("torchvision") is None
    assert "torchvision" not in {**pins("requirements.txt"), **pins("requirements-dev.txt")}


def test_a_space_installs_the_gradio_that_is_required() -> None:
    front_matter = (ROOT / "README.md").read_text().split("---\n")[1]
    assert f"sdk_version: {pins('requirements.txt')['gradio']}\n" in front_matter


@pytest.mark.parametrize("name", ["packages.txt", "packages-test.txt"])
def test_system_packages_are_bare_names(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", line)] == []


# Layers.


@pytest.mark.slow  # a fresh interpreter has to import all of storage
def test_storage_and_what_it_needs_of_the_engine_load_no_torch() -> None:
    modules = [path[:-3].replace("/", ".") for path in paths(".py", under=("storage/",))]
    script = f"import sys, {', '.join(modules)}; print({{'torch', 'gradio'}} & set(sys.modules))"
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (finished.stdout.strip(), finished.stderr) == ("set()", "")


# Code.


UNPICKLES = "engine/gate/formats/storages.py"  # in the sandbox, by a class that knows tensors alone


def test_nothing_unsafe_is_loaded() -> None:
    modules = {"pickle", "_pickle", "dill", "joblib", "cloudpickle", "marshal", "shelve"}
    unsafe = [
        place
        for place, node in code()
        if modules & set(imported(node)) or (isinstance(node, ast.keyword) and not is_safe(node))
    ]
    assert [place for place in unsafe if not place.startswith(UNPICKLES)] == []


def is_safe(keyword: ast.keyword) -> bool:
    """Whether an argument keeps loaders from running what they load."""
    match keyword:
        case ast.keyword(arg="weights_only"):
            return isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        case ast.keyword(arg="trust_remote_code" | "allow_pickle"):
            return isinstance(keyword.value, ast.Constant) and keyword.value.value is False
    return True


def test_only_the_gate_reads_pickles_and_never_with_torch() -> None:
    readers = {
        place.split(":")[0]
        for place, node in code("app/", "engine/", "storage/", "studies/", "app.py")
        for name in named(node)
        if name in ("torch.load", "pickle.Unpickler") or name.startswith("torch.jit")
    }
    assert readers == {UNPICKLES}


def named(node: ast.AST) -> list[str]:
    """Dotted names that a node uses or imports."""
    match node:
        case ast.Attribute():
            return [ast.unparse(node)]
        case ast.ImportFrom(module=str(module), level=0):
            return [f"{module}.{alias.name}" for alias in node.names]
        case ast.Import():
            return [alias.name for alias in node.names]
    return []


def test_nothing_asks_for_remote_code_by_a_string_either() -> None:
    asked = [
        place
        for place, node in code("app/", "engine/", "storage/", "studies/", "app.py")
        if isinstance(node, ast.Constant) and node.value in ("trust_remote_code", "weights_only")
    ]
    assert asked == []


def test_sql_lives_in_storage() -> None:
    strings = [
        place
        for place, node in code("app/", "engine/", "studies/", "app.py")
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    ]
    assert strings == []


def test_no_error_is_swallowed() -> None:
    swallowed = [
        place
        for place, node in code()
        if isinstance(node, ast.ExceptHandler)
        and place.split(":")[0] not in CATCHES_EVERYTHING
        and (isinstance(node.body[0], ast.Pass) or (takes_everything(node) and not goes_on(node)))
    ]
    assert swallowed == []


def takes_everything(handler: ast.ExceptHandler) -> bool:
    named = ast.walk(handler.type) if handler.type else ()
    names = {node.id for node in named if isinstance(node, ast.Name)}
    return handler.type is None or bool(names & {"Exception", "BaseException"})


def goes_on(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None


def test_tests_neither_sleep_nor_mock() -> None:
    found = [
        place
        for place, node in code("tests/")
        if (isinstance(node, ast.Attribute) and node.attr in ("sleep", "setattr"))
        or "mock" in (ast.unparse(node) if isinstance(node, ast.Import | ast.ImportFrom) else "")
    ]
    assert found == []


def test_nothing_is_left_unfinished() -> None:
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    marked = [
        f"{path}:{number}"
        for path in paths(".py", ".js", ".css", ".md", "Makefile")
        for number, line in enumerate((ROOT / path).read_text().splitlines(), start=1)
        if marks.search(line)
    ]
    assert marked == []


# Pages.


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_every_make_command_of_a_page_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / page).read_text(), re.MULTILINE))
    assert named
    assert named <= targets


def test_every_job_of_the_readme_exists_and_the_other_way_round() -> None:
    [listed] = re.findall(r"JOB is (.*?)\. ", (ROOT / "README.md").read_text(), re.DOTALL)
    assert sorted(re.findall(r"`(\w+)`", listed)) == job_names()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", (ROOT / page).read_text())
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_continuous_integration_runs_the_same_command() -> None:
    script = ROOT / ".ci" / "run"
    assert re.search(r"^make test ", script.read_text(), re.MULTILINE)
    assert script.stat().st_mode & 0o100


def test_the_licence_is_apache() -> None:
    assert (
        "Apache License\n                           Version 2.0"
        in Path(ROOT, "LICENSE").read_text()
    )
