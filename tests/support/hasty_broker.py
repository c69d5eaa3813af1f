"""The program, but for one thing: a message that is not acknowledged is sent anew after a second.

In the product that takes an hour, which a pipeline can outlast.
"""

from typing import Any

from shared import broker

_make = broker.celery_app


def _celery_app(*args: Any, **options: Any) -> Any:
    app = _make(*args, **options)
    app.conf.broker_transport_options |= {"visibility_timeout": 1, "unacked_restore_interval": 1}
    return app


if __name__ == "__main__":
    broker.celery_app = _celery_app
    from deploy.cli import main  # only now: it takes its own reference

    main()
