"""Imagine: a live dream to watch, steer, rewind and branch."""
