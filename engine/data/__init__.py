"""Windows of episodes and action statistics."""
