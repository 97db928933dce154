"""Label: one clip or two, one key, the next."""
