"""Fidelity: real episodes dreamt again, and how far the dreams can be believed."""
