"""Checkpoints: weights and configs on disk, whole or not there."""
