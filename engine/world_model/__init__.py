"""The world model: STDiT, rectified flow and autoencoder (method.md §1)."""
