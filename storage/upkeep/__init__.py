"""Upkeep: disk use, backup, restore, synchronised parts and publishing."""
