"""Records: the plain data that every layer shares; no torch, no screen, no database."""
