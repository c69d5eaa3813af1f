"""Lists on screens that are wide enough, and on others."""

import pytest
from rich.console import Console

from deploy.screens.listing import Listing
from deploy.screens.tables import number, whole


def drawn(width: int) -> list[str]:
    listing = Listing(whole("job"), number("inst."))
    listing.add("one", "2", remark="[red] is how it stands")
    listing.add("fourteen", "15")
    screen = Console(width=width, color_system=None)
    with screen.capture() as capture:
        screen.print(listing)
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize(
    ("width", "first"),
    [
        (40, ["one           2  [red] is how it stands"]),
        (30, ["one           2", "  [red] is how it stands"]),
        (16, ["one           2", "  [red] is how", "  it stands"]),
    ],
)
def test_a_remark_stands_beneath_a_line_that_has_no_room_for_it(
    width: int, first: list[str]
) -> None:
    assert drawn(width) == ["job       inst.", *first, "fourteen     15"]
