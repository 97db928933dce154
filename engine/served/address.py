"""What a served world model's address looks like; nothing here takes long to import."""

SCHEMES = ("http://", "https://")


def is_address(source: str) -> bool:
    """Whether a source is that of a served world model."""
    return source.startswith(SCHEMES)
