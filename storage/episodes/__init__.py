"""Episodes: their files, their index, filters over them and their judged windows."""
