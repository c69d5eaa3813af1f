"""How it is run: the `penstock` command, the one-machine stack, container and cluster files.

The top floor: may import from `receiver`, `workers` and `shared`.
"""
