"""Learning curve: how fast a reward model learns from chosen or random labels."""
