"""What pages say, without a browser."""

from typing import Any

from app.imagine.page import together_html
from app.start.page import banner_text, card_metrics, here_html, hero_html
from app.studio import Studio

NOTHING: dict[str, Any] = {"checkpoints": [], "episodes": [], "runs": []}
EPISODE = {
    "id": "ep-1",
    "imagined": True,
    "success": True,
    "end_step": 41,
    "task": "coffee-push",
    "start_id": 300_000,
}


def test_an_empty_studio_says_how_to_begin() -> None:
    page = here_html(**NOTHING)
    assert "No checkpoints yet" in page
    assert "Nothing recorded yet" in page


def test_text_from_outside_cannot_become_markup() -> None:
    episode = EPISODE | {"id": "<img src=x onerror=alert(1)>"}
    page = here_html(**NOTHING | {"episodes": [episode]})
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_an_episode_links_to_its_judgement() -> None:
    page = here_html(**NOTHING | {"episodes": [EPISODE]})
    assert 'href="label?episode=ep-1"' in page
    assert "✓ at 41" in page


def test_a_space_says_its_name_and_how_to_get_a_copy() -> None:
    page = hero_html("lab/studio")
    assert "<b>lab/studio</b>" in page
    assert 'href="https://huggingface.co/spaces/lab/studio?duplicate=true"' in page
    assert "Duplicate" not in hero_html()


def test_a_card_shows_its_first_plain_numbers() -> None:
    card = {"metrics": {"rollout/success_rate": 0.4375, "note": "good", "ok": True, "n": 12}}
    assert card_metrics(card) == [("success rate", "0.438"), ("n", "12")]


def test_the_banner_is_honest_about_a_space_without_simulator() -> None:
    text = banner_text("CPU · 2 cores", public=True, simulator="install libosmesa6.")
    assert text.startswith("CPU · 2 cores.")
    assert "rollouts are capped" in text
    assert "Without the simulator (install libosmesa6)" in text


def test_the_banner_claims_a_gpu_only_where_there_is_one() -> None:
    assert "large checkpoints" not in banner_text("CPU · 2 cores", public=False, simulator="")
    assert "large checkpoints" in banner_text("GPU · H100", public=False, simulator="")


def test_models_that_fit_are_confirmed(studio: Studio) -> None:
    line, _ = together_html(studio.models.slots, "demo/base", "demo/world", "demo/reward")
    assert "✓ compatible · 64 px · 4-D actions · chunks of 8" in line


def test_models_that_do_not_fit_are_refused_with_the_reason(studio: Studio) -> None:
    line, _ = together_html(studio.models.slots, "demo/seven", "demo/world", "demo/reward")
    assert 'role="alert"' in line
    assert "7 numbers" in line


def test_a_missing_model_is_asked_for(studio: Studio) -> None:
    line, found = together_html(studio.models.slots, None, "demo/world", "demo/reward")
    assert ("choose all three" in line, found) == (True, None)


def test_a_card_with_a_headline_shows_that_and_no_training_numbers() -> None:
    card = {"headline": {"F1": "0.898"}, "metrics": {"rollout/success_rate": 1.0}}
    assert card_metrics(card) == [("F1", "0.898")]


def test_real_clips_that_nobody_judged_are_a_way_in() -> None:
    assert "nobody has said" not in here_html(**NOTHING)
    assert 'href="data#recordings">Take them in' in here_html(**NOTHING)
    assert "Your own recordings" not in here_html(**NOTHING | {"takes_in": False})
    page = here_html(**NOTHING | {"unjudged": 12})
    assert "12 real clips" in page
    assert 'href="label?clips=real%2C%20nobody%20judged"' in page
    recorded = {**EPISODE, "judged": False, "success": False}
    assert "nobody judged it" in here_html(**NOTHING | {"episodes": [recorded]})
