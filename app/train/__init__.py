"""Train: runs, their curves, and the videos behind every point."""
