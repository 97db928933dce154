"""Episodes in the formats of others, and in our own for exact exchange."""
