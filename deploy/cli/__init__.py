"""The `penstock` command, a file for each group of verbs."""

from deploy.cli.app import main

__all__ = ["main"]
