"""World models that other processes serve: what is said over the line, and who asks."""
