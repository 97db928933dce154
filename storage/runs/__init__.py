"""Runs: their index, the ingestion of their logs, and their curves."""
