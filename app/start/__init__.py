"""Start: what a visitor sees first."""
