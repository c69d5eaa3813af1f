"""Syncing files while more come in, so that a release need not wait for all of them."""

import os
import threading
from contextlib import suppress
from queue import Full, Queue

_TOGETHER = 8  # files that one thread is given: waking it for each would cost as much as a file
_PENDING_OF_ONE = 256  # files of one association
_PENDING_OF_ALL = 1024  # an open descriptor each

_Given = tuple["SyncBatch", list[int]]


class SyncBatch:
    """The files of one association that are to be on disk before it is committed."""

    def __init__(self, queue: "Queue[_Given | None]") -> None:
        self._queue = queue
        self._gathered: list[int] = []
        self._changed = threading.Condition()
        self._pending = 0
        self._failure: OSError | None = None
        self._abandoned = False

    def add(self, descriptor: int) -> None:
        """Takes the descriptor over. Waits while too many files are pending."""
        self._gathered.append(descriptor)
        if len(self._gathered) >= _TOGETHER:
            self._hand_over()

    def _hand_over(self) -> None:
        given, self._gathered = self._gathered, []
        if given:
            with self._changed:
                self._changed.wait_for(lambda: self._pending < _PENDING_OF_ONE)
                self._pending += len(given)
            self._queue.put((self, given))

    def wait(self) -> None:
        """Until all files are on disk.

        Raises:
            OSError: of the first one that could not be synced.
        """
        self._hand_over()
        with self._changed:
            self._changed.wait_for(lambda: not self._pending)
            if self._failure:
                raise self._failure

    def abandon(self) -> None:
        """The files are wanted no more: what is pending is closed and not synced."""
        self._abandoned = True
        self._hand_over()

    def sync(self, descriptors: list[int]) -> None:
        """Syncs and closes files (called by the pool's threads)."""
        failure = None
        for descriptor in descriptors:
            try:
                try:
                    if not self._abandoned:
                        os.fsync(descriptor)
                finally:
                    os.close(descriptor)  # which may tell of a failed write, too, as on NFS
            except OSError as error:
                failure = error
        with self._changed:
            self._pending -= len(descriptors)
            self._failure = self._failure or failure
            self._changed.notify_all()


class SyncPool:
    """A few threads: more of them do not make a disk faster."""

    def __init__(self, threads: int = 4) -> None:
        self._queue: Queue[_Given | None] = Queue(_PENDING_OF_ALL // _TOGETHER)
        self._threads = [
            threading.Thread(target=self._work, name=f"sync-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def batch(self) -> SyncBatch:
        return SyncBatch(self._queue)

    def close(self) -> None:
        """Ends the threads once what is pending is done; a disk that hangs is not waited for."""
        with suppress(Full):
            for _ in self._threads:
                self._queue.put_nowait(None)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            batch, descriptors = item
            batch.sync(descriptors)
