"""Events: append-only logs of labels and preferences, and their audit."""
