"""Exports and imports of episodes."""
