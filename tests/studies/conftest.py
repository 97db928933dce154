"""Studies are tested with the studio of the app's tests."""

from tests.app.conftest import demo, empty_database, make_studio, make_trajectory, studio, workspace

__all__ = ["demo", "empty_database", "make_studio", "make_trajectory", "studio", "workspace"]
