"""Live: the thread that imagines, its dreams, and reality beside them."""
