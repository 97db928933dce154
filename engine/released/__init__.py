"""Officially released checkpoints: read once into our format, and written back (method.md)."""
