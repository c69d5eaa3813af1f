"""The upper layer against bytes that no honest peer would send."""
