"""Real trials of policies at a robot: a blind sheet, an outcome a key, and what they show."""
