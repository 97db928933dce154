"""Memory: what a model weighs, what a step needs and takes, and what fits a device."""
