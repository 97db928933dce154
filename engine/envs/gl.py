"""Can this machine render? Probed once, in a child process, because a bad GL kills its process."""

import functools
import os
import subprocess
import sys

_PROBE = (
    "import mujoco; m = mujoco.MjModel.from_xml_string('<mujoco/>'); "
    "r = mujoco.Renderer(m, 8, 8); r.update_scene(mujoco.MjData(m)); r.render(); r.close()"
)
CHOSEN = "MUJOCO_GL={} does not render here: leave it out, or set it to egl or osmesa"
MISSING = (
    "rendering is impossible here: neither EGL nor OSMesa works; "
    "install the system package libosmesa6 (apt-get install libosmesa6)"
)


@functools.cache
def rendering_backend() -> str | None:
    """`egl`, `osmesa`, or None where neither renders. Honours a MUJOCO_GL that is already set."""
    chosen = os.environ.get("MUJOCO_GL")
    for backend in [chosen] if chosen else ["egl", "osmesa"]:
        environment = os.environ | {"MUJOCO_GL": backend}
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE], env=environment, capture_output=True, check=False
        )
        if probe.returncode == 0:
            return backend
    return None


def missing_rendering() -> str:
    """Why nothing can be rendered here, in a sentence; empty where it can."""
    if rendering_backend() is not None:
        return ""
    chosen = os.environ.get("MUJOCO_GL")
    return CHOSEN.format(chosen) if chosen else MISSING


def use_rendering() -> None:
    """Choose the GL backend for this process; must run before mujoco is imported.

    Raises:
        ValueError: nothing renders here; says which package to install.
    """
    backend = rendering_backend()
    if backend is None:
        raise ValueError(missing_rendering())
    os.environ["MUJOCO_GL"] = backend
