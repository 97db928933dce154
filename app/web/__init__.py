"""The web: what every page needs to talk to Python."""
