"""A thread that does something over and over while its worker process lives."""

import threading
from collections.abc import Callable

import structlog
from redis import RedisError

log = structlog.get_logger()


class Ticker:
    """Calls `work` at once and then each `period` seconds, until `stop`.

    Redis or the storage being away is reported once and tried again at the next tick; and so is
    whatever else goes wrong: nobody would notice a thread that is no more.
    """

    def __init__(self, name: str, period: float, work: Callable[[], None]) -> None:
        self._name = name
        self._period = period
        self._work = work
        self._stopped = threading.Event()
        self._well = True
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After the tick under way, for which `join` waits."""
        self._stopped.set()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._work()
            except (RedisError, OSError) as error:
                if self._well:
                    log.warning("waiting", for_=self._name, error=type(error).__name__)
                self._well = False
            except Exception:  # a fault of ours: told, and no reason to leave the rest undone
                log.exception("tick broke", of=self._name)
            else:
                if not self._well:
                    log.info("going on", for_=self._name)
                self._well = True
            if self._stopped.wait(self._period):
                return
