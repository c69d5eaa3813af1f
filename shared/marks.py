"""What is odd about a job's instances: counts for people to look at. Nothing is held up by it."""

from collections.abc import Iterator

from shared.delivery import Record

_WORDS = {
    "unreadable": "whose data set cannot be read",
    "differing": "whose UIDs are not those that they were sent with",
    "conflicting": "that came under the SOP Instance UID of a different one",
    "left_out": "of its deliveries that no pipeline takes",
}


class Marks(Record):
    """As they were received: an instance that came twice counts twice."""

    unreadable: int = 0
    differing: int = 0  # SOP Class or SOP Instance UID, in the data set and in the C-STORE-RQ
    conflicting: int = 0
    left_out: int = 0  # in no job, of this delivery

    def __add__(self, other: "Marks") -> "Marks":
        mine, others = self.model_dump(), other.model_dump()
        return Marks(**{name: count + others[name] for name, count in mine.items()})

    def words(self) -> Iterator[str]:
        """A line for each that there is."""
        for name, words in _WORDS.items():
            if count := getattr(self, name):
                yield f"{count} instances {words}"
