"""Train the world model: clips of encoded episodes, and the job."""
