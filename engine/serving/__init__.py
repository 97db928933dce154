"""Models behind HTTP: a policy for a robot, and a world model for the studio and for others."""
