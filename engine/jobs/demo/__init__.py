"""Rebuild the shipped demo: the recipe as data, and the job that follows it."""
