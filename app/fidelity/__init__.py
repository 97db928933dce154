"""Fidelity: how far a world model can be believed, by depth, beside reality."""
