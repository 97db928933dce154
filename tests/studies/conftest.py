"""Studies are tested with the studio of the app's tests."""

from tests.app.conftest import demo, make_studio, make_trajectory, studio, workspace

__all__ = ["demo", "make_studio", "make_trajectory", "studio", "workspace"]
