"""Checkpoints: the shipped and adopted models, by role and hash."""
