"""Experiments made once: outside the product, so that their reports in docs/ can be made again."""
