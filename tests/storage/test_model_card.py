"""The README.md of a published checkpoint."""

import json
from pathlib import Path

from storage.upkeep.model_card import model_card

DEMO = Path(__file__).parents[2] / "storage" / "demo" / "checkpoints"


def test_a_card_shows_what_it_is_its_figures_and_its_lineage() -> None:
    card = {
        "name": "coffee-push-wmpo",
        "summary": "Trained in imagination.",
        "figures": {"test/success_rate": 0.51234},
        "data": {"coffee-push expert": 279},
        "lineage": {"policy": "abc123"},
        "code": "d5bd0c6",
        "config": {"seed": 0},
    }
    text = model_card({"role": "policy"}, card, "f" * 64)
    assert text.startswith(
        "---\nlibrary_name: wmpo-studio\npipeline_tag: robotics\ntags:\n- robotics"
    )
    assert "- policy\n---\n\n# coffee-push-wmpo\n" in text
    assert "Trained in imagination." in text
    assert f"`{'f' * 64}`" in text
    assert "## Figures\n\n| | |\n|---|---|\n| test/success\\_rate | 0.5123 |" in text
    assert "| coffee-push expert | 279 |" in text
    assert "## Lineage\n\n| | |\n|---|---|\n| policy | abc123 |" in text
    assert '     "seed": 0' in text


def test_a_foreign_card_cannot_inject_markup() -> None:
    card = {"name": "<script>\n# x", "figures": {"a|b": "[click](https://example.org)"}}
    text = model_card({"role": "policy"}, card, "0")
    assert "# \\<script\\> # x\n" in text
    assert "| a\\|b | \\[click\\](https://example.org) |" in text


def test_a_checkpoint_without_a_card_has_a_readme() -> None:
    assert "# reward\\_model" in model_card({"role": "reward_model"}, {}, "0")


def test_a_shipped_checkpoint_has_a_readme_with_its_headline() -> None:
    directory = DEMO / "coffee-push-base"
    config = json.loads((directory / "config.json").read_text())
    card = json.loads((directory / "card.json").read_text())
    assert "| success on 400 test starts | 28.5 % \\[24.3, 33.1\\] |" in model_card(
        config, card, "0"
    )
