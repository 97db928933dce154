"""What Start shows first: the recorded dream, and the run to watch."""

import json
from pathlib import Path

import pytest

from app.start.first_dream import FirstDream, first_dream_html, load_first_dream
from app.start.page import ways_html
from app.studio import Studio
from engine.records.manifest import checkpoint_hash
from engine.runs.run_directory import RunDirectory
from storage.runs.shipped import bring_shipped

DEMO = Path(__file__).parents[2] / "storage" / "demo"
FIRST = FirstDream(
    dream=b"dream",
    reality=b"reality",
    frames=33,
    start_id=1,
    seed=7,
    imagined=True,
    real=False,
    end_step=31,
    onset=27,
)
MODELS = {"policy": "base", "world_model": "world", "reward_model": "judge"}


def test_a_false_success_is_told_only_after_the_dream() -> None:
    page = first_dream_html(FIRST)
    assert "dreamt: ✓ success" in page and "really: ✕ fail" in page
    assert "steps(32)" in page
    assert page.index("calls it a success") < page.index('class="truth"')


def test_a_demo_without_a_recording_has_no_first_dream(tmp_path: Path) -> None:
    assert load_first_dream(tmp_path) is None


def test_the_shipped_dream_is_a_false_success() -> None:
    first = load_first_dream(DEMO / "first")
    assert first is not None
    assert (first.imagined, first.real) == (True, False)


@pytest.mark.parametrize("role", list(MODELS))
def test_the_shipped_dream_is_one_of_the_shipped_checkpoints(role: str) -> None:
    """Record it again when they change: `python -m studies.first_sight`."""
    told = json.loads((DEMO / "first" / "first.json").read_text())["models"]
    assert told[role] == checkpoint_hash(DEMO / "checkpoints" / f"coffee-push-{MODELS[role]}")


def test_a_new_data_directory_gets_the_shipped_run_once(tmp_path: Path) -> None:
    assert bring_shipped(DEMO / "runs", tmp_path) == ["recorded-wmpo"]
    (tmp_path / "recorded-wmpo" / "about.json").unlink()
    assert bring_shipped(DEMO / "runs", tmp_path) == []
    assert not (tmp_path / "recorded-wmpo" / "about.json").exists()


def test_the_shipped_run_is_small() -> None:
    files = (path for path in (DEMO / "runs").rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in files) < 3_500_000


def test_the_real_success_of_a_run_ends_with_its_last_look(studio: Studio) -> None:
    """Train tells the same one."""
    studio.cabinet.runs.create("recorded-wmpo", "optimise", {})
    run = RunDirectory(studio.cabinet.workspace.runs / "recorded-wmpo")
    (run.directory / "config.json").write_text(json.dumps({"job": "optimise", "config": {}}))
    run.state("running")
    for step, name, rate in [(1, "success_rate", 0.25), (6, "success_rate", 0.5)]:
        run.log(step, {f"real/{name}": rate})
    run.log(12, {"real/final_success_rate": 0.75})
    run.close()
    studio.cabinet.ingest.ingest("recorded-wmpo")
    assert studio.start.success_of("recorded-wmpo") == {"real": [(1, 0.25), (6, 0.5), (12, 0.75)]}


def test_the_way_to_the_recorded_run_tells_what_it_reached() -> None:
    page = ways_html(["a", "b"], {"imagined": [(1.0, 0.25), (2.0, 0.5)]})
    assert 'href="train?run=recorded-wmpo"' in page
    assert "imagined 25 → 50\N{NO-BREAK SPACE}%" in page
    assert "recorded-wmpo" not in ways_html(["a", "b"], {})
