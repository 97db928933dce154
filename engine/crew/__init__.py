"""Work done by several workers at once: processes of this machine, or actors of a Ray cluster."""
