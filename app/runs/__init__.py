"""Runs: processes that work in the background, watched and settled."""
