"""Data: what comes in and goes out, who said what, what keeps it, and use from scripts."""
