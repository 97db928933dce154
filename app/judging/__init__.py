"""Judging: the one door through which every label goes."""
