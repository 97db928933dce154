"""Reward: thresholds, retraining, and judging again."""
