"""Train states: a small state model from simulator states."""
