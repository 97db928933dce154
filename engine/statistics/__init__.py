"""Statistics: intervals, paired comparisons, power, agreement and metrics."""
