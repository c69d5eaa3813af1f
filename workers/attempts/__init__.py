"""A job's tries at its pipeline, until one counts."""
