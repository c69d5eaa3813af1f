"""Running a step: its place, its lease, its body, its end."""
