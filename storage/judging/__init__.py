"""Judging: label sets, queues, thresholds, failure modes and saved views."""
