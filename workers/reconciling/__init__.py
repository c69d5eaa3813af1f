"""The storage and Redis compared, and what one of them lost said again."""
