"""The reward model and the judge (method.md §3)."""
