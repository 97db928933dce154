"""Runs: the directory of a run, its heartbeat, its slot and its trackers."""
