"""From recordings of a task to an improved policy: every training in order."""
