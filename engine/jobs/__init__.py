"""One file per job; a job is run(config, run)."""
