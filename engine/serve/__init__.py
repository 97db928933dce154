"""A policy behind HTTP, for a robot: `python -m engine.serve CHECKPOINT`."""
