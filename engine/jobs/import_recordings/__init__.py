"""Take in recordings that were made elsewhere."""
