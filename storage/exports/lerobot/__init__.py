"""Episodes as a LeRobot data set, and back."""
