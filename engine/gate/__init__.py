"""The gate: what every foreign file passes before anything loads it (reliability.md §4.4)."""
