"""The `penstock` command, a file for each group of verbs."""

from shared.hangup import hold_hangups


def main() -> None:
    hold_hangups()  # before anything is loaded
    from deploy.cli.app import app

    app()
