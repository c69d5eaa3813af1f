"""A whole gateway under constant load, and troubles of a seeded random schedule."""
