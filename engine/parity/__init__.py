"""Our modules against a folder of reference vectors: `python -m engine.parity DIR`."""
