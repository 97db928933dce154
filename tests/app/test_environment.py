"""Every environment that people have: the studio starts, or says one sentence that names it."""

import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.environment import prepare, server_port
from engine.envs import gl
from storage.cabinet import open_cabinet
from storage.workspace import open_workspace

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("environ", "left", "sentence"),
    [
        ({"ALL_PROXY": "socks5://127.0.0.1:9"}, {}, "ALL_PROXY"),
        ({"https_proxy": "socks5h://a:9"}, {}, "https_proxy"),
        (
            {"http_proxy": "http://p:3"},
            {
                "http_proxy": "http://p:3",
                "no_proxy": "localhost,127.0.0.1,::1",
                "NO_PROXY": "localhost,127.0.0.1,::1",
            },
            "",
        ),
        ({"no_proxy": "a.lab,fd00::/8"}, {"no_proxy": "a.lab"}, "no_proxy"),
        ({"GRADIO_SERVER_PORT": ""}, {}, ""),
        ({"GRADIO_TEMP_DIR": "", "GRADIO_SERVER_NAME": " "}, {}, ""),
        ({}, {}, ""),
    ],
)
def test_what_can_be_mended_is(
    environ: dict[str, str], left: dict[str, str], sentence: str
) -> None:
    said = prepare(environ)
    assert environ == left
    assert [sentence in one for one in said] == [True] * bool(sentence)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSL_CERT_FILE", "/nowhere/ca.pem"),
        ("SSL_CERT_DIR", "/nowhere"),
        ("GRADIO_SERVER_PORT", "http"),
        ("GRADIO_SERVER_PORT", "70000"),
        ("GRADIO_SERVER_NAME", "203.0.113.7"),
        ("GRADIO_TEMP_DIR", "/proc/nowhere"),
        ("WMPO_LOG", "loud"),
    ],
)
def test_what_cannot_be_mended_is_one_sentence_that_names_it(name: str, value: str) -> None:
    command = [sys.executable, "app.py"]
    environ = os.environ | {name: value}
    found = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert found.returncode == 1 and found.stdout == ""
    [line] = found.stderr.splitlines()
    assert line.startswith("The studio cannot start: ") and name in line


def test_a_named_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        with pytest.raises(ValueError, match=port):
            server_port({"GRADIO_SERVER_PORT": port})
    assert server_port({"GRADIO_SERVER_PORT": port}) == int(port)


def test_a_temporary_directory_that_is_gone_is_made(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    [sentence] = prepare({"GRADIO_TEMP_DIR": str(gone)})
    assert "GRADIO_TEMP_DIR" in sentence and gone.is_dir()


def test_a_user_without_a_home_is_told_of_the_variable() -> None:
    """As `docker run --user 12345` does, in a child that is such a user."""
    script = (
        "import os; from app.environment import prepare\n"
        "os.setgid(54321); os.setuid(54321)\n"
        "try:\n    prepare({})\nexcept ValueError as error:\n    print(error)\n"
        "environ = {'WMPO_DATA_DIR': '/data'}\nprepare(environ)\nprint(environ['HOME'])"
    )
    if os.getuid() != 0:
        pytest.skip("only root becomes somebody else")
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"PATH": "/bin"})
    assert "WMPO_DATA_DIR" in found.stdout and found.stdout.endswith("/data\n"), found.stderr


@pytest.mark.parametrize("name", ["a b", "o'clock", "#1", "100%", "täglich", "x[1]*"])
def test_a_data_directory_may_have_any_name(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        cabinet = open_cabinet(open_workspace(tmp_path / name), demo=tmp_path / "demo")
        cabinet.database.backup("copy.duckdb").unlink()
        cabinet.close()
    assert list((tmp_path / name / "quarantine").iterdir()) == []


def test_a_data_directory_with_a_question_mark_is_refused_by_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="WMPO_DATA_DIR"):
        open_workspace(tmp_path / "what?")
    assert not (tmp_path / "what?").exists()


def test_a_chosen_renderer_that_does_not_work_is_named() -> None:
    script = "from engine.envs.gl import missing_rendering; print(missing_rendering())"
    environ = os.environ | {"MUJOCO_GL": "glfw"}
    environ.pop("DISPLAY", None)
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert found.stdout.startswith("MUJOCO_GL=glfw does not render here")
    assert "libosmesa6" not in found.stdout and "libosmesa6" in gl.MISSING


def test_gradio_derives_no_type_stubs_when_the_studio_starts() -> None:
    script = (
        "from app.environment import without_stubs; without_stubs()\n"
        "import gradio.component_meta as meta\n"
        "print(meta.create_or_modify_pyi(int, 'no class of a file', []))"
    )
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.stdout == "None\n", found.stderr


def test_make_says_what_it_installs() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "pip install -qq" not in makefile and "pip install --no-input" in makefile


def test_what_a_visit_leaves_behind_is_found_soon_beside_much_that_stands() -> None:
    script = """
import gc, weakref
from app.environment import keep_what_stands
class Layout: pass
stands = [[] for _ in range(1_000_000)]
gc.collect()
keep_what_stands()
left = Layout()
left.itself, seen = left, weakref.ref(left)
gc.collect(1)  # it was there for a while
del left
visits = [[number] for number in range(150_000)]
print(seen() is None)
"""
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.strip() == "True", found.stderr


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of the GNU C library")
def test_what_is_freed_between_what_stays_goes_back_to_the_system() -> None:
    script = """
import psutil
from app.environment import give_memory_back
rss = psutil.Process().memory_info
large = b"x" * (30 << 20)
del large  # from here on the library keeps blocks of this size
before = rss().rss
pairs = [(b"x" * (1 << 20), b"x" * (1 << 16)) for _ in range(64)]
stays = [small for _, small in pairs]
del pairs
kept = rss().rss - before
give_memory_back()
print(kept >> 20, (rss().rss - before) >> 20)
"""
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    kept, left = map(int, found.stdout.split())
    assert kept > 60
    assert left < 16  # 4 stay
