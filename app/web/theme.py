"""How the studio looks: the Gradio theme (fonts, colours of native inputs) and the stylesheet."""

import re
from pathlib import Path

from gradio.themes import Base
from gradio.themes.utils import colors, sizes

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


def theme() -> Base:
    """Indigo on quiet greys; native inputs take the colours of `theme.css` in both modes."""
    return Base(
        primary_hue=colors.indigo,
        neutral_hue=colors.slate,
        radius_size=sizes.radius_md,
        spacing_size=sizes.spacing_sm,
        text_size=sizes.text_sm,
        font=FONT,
        font_mono=MONO,
    ).set(**_both(_COLOURS), **_FLAT)


# A block begins at the left margin and ends there: Biome writes them so.
_MEDIA = re.compile(r"^@media .*?^\}\n", re.MULTILINE | re.DOTALL)


def stylesheet() -> str:
    """`theme.css` and the styles of every room, in one text for `launch(css=…)`.

    Gradio (6.31) keeps a rule of a certain width or setting for its own container alone, and our
    drawer, dialogs and toasts stand beside that. Inside a rule it leaves them as they are.
    """
    here = Path(__file__).parent
    rooms = sorted(here.parent.glob("*/*.css"), key=lambda path: path.name)
    parts = [here / "theme.css", *(path for path in rooms if path.name != "theme.css")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in parts)
    return "\n".join([text, *(f"html {{\n{block}}}" for block in _MEDIA.findall(text))])


_COLOURS = {
    "body_background_fill": "var(--bg)",
    "body_text_color": "var(--ink)",
    "body_text_color_subdued": "var(--mute)",
    "background_fill_primary": "var(--card)",
    "background_fill_secondary": "var(--bg)",
    "border_color_primary": "var(--line)",
    "border_color_accent": "var(--accent)",
    "color_accent_soft": "var(--soft)",
    "link_text_color": "var(--accent)",
    "block_background_fill": "transparent",
    "block_border_color": "var(--line)",
    "block_label_text_color": "var(--mute)",
    "block_label_background_fill": "transparent",
    "block_title_text_color": "var(--mute)",
    "block_info_text_color": "var(--mute)",
    "panel_background_fill": "transparent",
    "input_background_fill": "var(--bg)",
    "input_background_fill_focus": "var(--card)",
    "input_border_color": "var(--line)",
    "input_border_color_focus": "var(--accent)",
    "input_placeholder_color": "var(--mute)",
    "checkbox_background_color": "var(--bg)",
    "checkbox_border_color": "var(--line)",
    "checkbox_label_background_fill": "transparent",
    "checkbox_label_border_color": "transparent",
    "slider_color": "var(--accent)",
    "button_primary_background_fill": "var(--accent)",
    "button_primary_background_fill_hover": "var(--accent)",
    "button_primary_border_color": "var(--accent)",
    "button_primary_text_color": "var(--on-accent)",
    "button_secondary_background_fill": "var(--card)",
    "button_secondary_background_fill_hover": "var(--soft)",
    "button_secondary_border_color": "var(--line)",
    "button_secondary_text_color": "var(--ink)",
    "error_background_fill": "var(--bad-bg)",
    "error_border_color": "var(--bad)",
    "error_text_color": "var(--bad)",
}

_FLAT = {
    "block_border_width": "0px",
    "block_border_width_dark": "0px",
    "block_shadow": "none",
    "block_shadow_dark": "none",
    "block_padding": "0px",
    "block_label_border_width": "0px",
    "block_label_border_width_dark": "0px",
    "block_title_text_weight": "500",
    "block_title_text_size": "12px",
    "block_info_text_size": "12px",
    "panel_border_width": "0px",
    "panel_border_width_dark": "0px",
    "input_border_width": "1px",
    "input_border_width_dark": "1px",
    "input_padding": "7px 9px",
    "input_radius": "8px",
    "input_shadow": "none",
    "input_shadow_dark": "none",
    "input_shadow_focus": "none",
    "input_shadow_focus_dark": "none",
    "input_text_size": "14px",
    "checkbox_label_padding": "0px",
    "button_border_width": "1px",
    "button_border_width_dark": "1px",
    "button_large_radius": "8px",
    "button_small_radius": "8px",
    "button_large_padding": "8px 14px",
    "button_large_text_size": "14px",
    "button_large_text_weight": "600",
    "button_small_padding": "5px 10px",
    "button_primary_shadow": "none",
    "button_secondary_shadow": "none",
    "button_primary_shadow_hover": "none",
    "button_secondary_shadow_hover": "none",
    "button_primary_shadow_active": "none",
    "button_secondary_shadow_active": "none",
    "form_gap_width": "0px",
    "layout_gap": "10px",
}


def _both(values: dict[str, str]) -> dict[str, str]:
    """The same value for light and dark: the variables behind it change instead."""
    return values | {f"{name}_dark": value for name, value in values.items()}
