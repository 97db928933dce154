"""The student ends where the teacher's sampler ends from the same noise, in fewer steps."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.loading.models import load_world_model
from tests.engine.tiny import do, last_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Options = dict[str, dict[str, Any]]
SETTINGS = {"steps": 1, "teacher_steps": 4, "batch_size": 12}


def test_a_student_comes_nearer_to_its_teacher_and_says_whether_it_is_accepted(
    options: Options, tmp_path: Path
) -> None:
    fit = {"steps": 24, "warmup_steps": 2, "learning_rate": 4e-3, "average_decay": 0.8}
    for name, steps in (("none", 1), ("student", fit["steps"])):
        values = options["distil"] | SETTINGS | {"fit": fit | {"steps": steps}}
        do("distil", tmp_path / name, **values)
    before, after = (
        json.loads((Path(last_checkpoint(tmp_path / name)) / "card.json").read_text())["metrics"]
        for name in ("none", "student")
    )
    assert after["distil/held_out_error"] < 0.5 * before["distil/held_out_error"]
    assert after["distil/compared"] == 2
    no_worse = after["distil/student_agreement"] >= after["distil/teacher_agreement"]
    wrong = [after[f"distil/{who}_false_successes"] for who in ("student", "teacher")]
    assert after["distil/accepted"] == (no_worse and wrong[0] <= wrong[1])
    student = load_world_model(Path(last_checkpoint(tmp_path / "student")))
    teacher = load_world_model(Path(options["distil"]["world_model"]))
    assert student.config == teacher.config
    theirs = teacher.state_dict()
    changed = {n for n, value in student.state_dict().items() if not value.equal(theirs[n])}
    assert changed and all(name.startswith("transformer.") for name in changed)  # all else is his


def test_a_model_that_dreams_in_one_step_has_no_student(options: Options, tmp_path: Path) -> None:
    values = options["distil"] | {"world_model": options["gates"]["world_model"]}
    do("train_world_model", tmp_path / "one", **options["train_world_model"])
    values |= {"world_model": last_checkpoint(tmp_path / "one")}
    with pytest.raises(ValueError, match="dreams in one step already"):
        do("distil", tmp_path / "student", **values)
