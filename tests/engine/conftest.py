"""Shapes are checked by beartype in tests only; one thread, deterministic algorithms."""

from jaxtyping import install_import_hook

install_import_hook("engine", "beartype.beartype")

import torch

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
