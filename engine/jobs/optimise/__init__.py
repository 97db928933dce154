"""Optimise: GRPO on groups of imagined or simulated episodes."""
