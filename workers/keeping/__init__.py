"""What is kept, for how long, and what becomes of what was set apart."""
