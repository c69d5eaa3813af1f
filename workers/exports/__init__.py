"""What a job made, to its destinations."""
