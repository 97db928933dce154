"""Official checkpoints: read, written back, refused."""
