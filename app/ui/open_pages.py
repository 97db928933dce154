"""What Gradio remembers of each page that is open, without what this studio never asks it for."""

from gradio.state_holder import SessionState, StateHolder


class OpenPages(StateHolder):
    """States of pages by their sessions, each without a copy of the whole layout.

    Gradio 6 keeps one, 0.4 MB of it, in every state for its deep links, which the studio has none
    of; what a page changes is written there all the same.
    """

    def __getitem__(self, session_id: str) -> SessionState:
        is_new = session_id not in self
        state = super().__getitem__(session_id)
        if is_new:
            state.config_values.clear()
        return state
