"""Models: what can be loaded, what fits together, where checkpoints come from."""
