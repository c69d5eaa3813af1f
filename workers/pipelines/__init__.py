"""The kinds of pipeline, a file each: what works on a delivery once it is dispatched."""
