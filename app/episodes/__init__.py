"""Episodes: filters over everything stored, a wall of films, judging many at once."""
