"""Memory: what a model weighs, what a step needs, and what fits a device."""
