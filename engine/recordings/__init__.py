"""Recordings made elsewhere: what is in them, and how they become episodes of a task."""
