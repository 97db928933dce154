"""Settings that must stand before anything is imported. Imports neither torch nor gradio."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

settings.register_profile("studio", max_examples=30, deadline=None, derandomize=True)
settings.load_profile("studio")
