"""What a fresh studio shows first, recorded with the shipped checkpoints.

    python -m studies.first_sight            the false success on Start: storage/demo/first
    python -m studies.first_sight --run DIR  a run to watch on Train: storage/demo/runs

The dream is start 300,029 with seed 7, beside the same actions in the simulator. The run is one of
`python -m engine optimise`; of its videos a few are kept, without their latents, so that it stays
small. Do this again whenever the shipped checkpoints change: tests/app/test_start.py asks for it.
"""

import argparse
import json
import logging
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from app.imagine.questions import OpenDream
from app.live.twins import TwinOf
from app.player.media import film
from app.studio import Studio
from engine.device import limit_threads
from engine.records.episodes import read_episode, write_episode
from engine.records.events import read_events
from engine.records.types import Trajectory
from storage.workspace import open_workspace

DEMO = Path(__file__).parents[1] / "storage" / "demo"
START, SEED = 300_029, 7
RECORDED = "recorded-wmpo"
ABOUT = {
    "name": "WMPO, recorded",
    "note": "A training of coffee-push's base with its videos, in fewer and larger steps than the "
    "policy that ships: 24 iterations on two CPU cores, just as they came out; real success of 64 "
    "held-out starts.",
}
UNSHIPPED = ("latents", "normalized_actions")  # of an episode: what only training needs

logger = logging.getLogger(__name__)


def main() -> None:
    """Record the dream, or trim a finished run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=DEMO)
    parser.add_argument("--run", type=Path, help="run directory of a finished optimise run")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    limit_threads()
    if options.run is None:
        record_dream(options.demo)
    else:
        keep_run(options.run, options.demo / "runs" / RECORDED)


def record_dream(demo: Path) -> None:
    """Imagine the first dream, play its actions in the simulator, and write both as films."""
    with tempfile.TemporaryDirectory() as place:
        studio = Studio(open_workspace(Path(place) / "data"), demo=demo, supervise=False)
        try:
            models = {role: f"demo/coffee-push-{name}" for role, name in _MODELS.items()}
            asked = OpenDream.from_dict({**models, "start_id": START, "seed": SEED})
            episode = studio.imagine.dreams.imagine(asked)
            dream = studio.cabinet.trajectories.get(episode)
            found = studio.episodes.twins.of_episode(TwinOf(episode_id=episode))
            real = studio.cabinet.trajectories.get(found["twin"])
        finally:
            studio.close()
    folder = demo / "first"
    folder.mkdir(exist_ok=True)
    (folder / "dream.webp").write_bytes(film(dream.frames))
    (folder / "reality.webp").write_bytes(film(real.frames))
    told = _told(dream, found)
    (folder / "first.json").write_text(json.dumps(told, indent=1) + "\n")
    logger.info("dreamt %s, really %s, onset %s", told["imagined"], told["real"], told["onset"])


_MODELS = {"policy": "base", "world_model": "world", "reward_model": "judge"}


def _told(dream: Trajectory, found: dict[str, object]) -> dict[str, object]:
    return {
        "start_id": START,
        "seed": SEED,
        "frames": len(dream.frames),
        "instruction": dream.instruction,
        "imagined": found["imagined"],
        "real": found["real"],
        "onset": found["onset"],
        "models": {role: dream.lineage[role] for role in _MODELS},
    }


def keep_run(source: Path, target: Path) -> None:
    """A run as it ships: its log, its options, its probes, and a group of the last iteration.

    Events of videos and checkpoints that stay behind go with them.
    """
    episodes = {path.name: read_episode(path) for path in (source / "episodes").iterdir()}
    groups = [e for e in episodes.values() if e.lineage.get("advantage") is not None]
    last = max(int(e.lineage["iteration"]) for e in groups)
    group = min(int(e.lineage["group"]) for e in groups if int(e.lineage["iteration"]) == last)
    shown = {"iteration": last, "group": group}
    kept = {
        name
        for name, episode in episodes.items()
        if episode.imagined
        and (episode.lineage.get("probe") or shown.items() <= dict(episode.lineage).items())
    }
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in sorted(kept):
        episode = episodes[name]
        arrays = {k: v for k, v in episode.arrays.items() if k not in UNSHIPPED}
        write_episode(target / "episodes", replace(episode, arrays=arrays))
    lines = (source / "events.jsonl").read_bytes().splitlines(keepends=True)
    events = [event for _, event in read_events(source / "events.jsonl")]
    told = [
        line
        for line, event in zip(lines, events, strict=True)
        if event["kind"] != "checkpoint"
        and (event["kind"] != "episode" or event["episode"] in kept)
    ]
    (target / "events.jsonl").write_bytes(b"".join(told))
    spec = json.loads((source / "config.json").read_text())
    spec["config"] = {k: _portable(v) for k, v in spec["config"].items()}
    (target / "config.json").write_text(json.dumps(spec, indent=1) + "\n")
    (target / "about.json").write_text(json.dumps(ABOUT, indent=1) + "\n")
    logger.info("%d videos, %d events", len(kept), len(told))


def _portable(value: object) -> object:
    """A path without the folders of the machine where the run was made."""
    is_path = isinstance(value, str) and "/" in value
    return "/".join(str(value).split("/")[-1:]) if is_path else value


if __name__ == "__main__":
    main()
