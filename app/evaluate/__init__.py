"""Evaluate: paired tests in the simulator and studies, with intervals."""
