"""The control file of a run directory: what the app asks a run for."""

import json
from pathlib import Path

CONTROLS = ("run", "pause", "stop", "cancel")


def read_control(directory: Path) -> str:
    """The control word of a run directory; `run` where nothing was asked, or nothing readable."""
    try:
        control = json.loads((directory / "control.json").read_text())["control"]
    except (FileNotFoundError, LookupError, RecursionError, TypeError, ValueError):
        return "run"
    return control if control in CONTROLS else "run"


def write_control(directory: Path, control: str) -> None:
    """Ask a run to run, pause, stop or cancel; replaced atomically.

    Raises:
        ValueError: another word.
    """
    if control not in CONTROLS:
        raise ValueError(f"control must be one of {', '.join(CONTROLS)}, not {control!r}")
    partial = directory / ".control.json"
    partial.write_text(json.dumps({"control": control}) + "\n")
    partial.replace(directory / "control.json")
