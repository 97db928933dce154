"""The OpenVLA-OFT policy (method.md §2)."""
