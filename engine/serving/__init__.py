"""A world model behind HTTP: sessions that dream, for the studio and for others."""
