"""A list on a screen: a line each, and a remark beneath it where the screen is not wide enough."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Column
from rich.text import Text

_GAP = "  "


class Listing:
    """What a table of these widths would cut, it keeps whole."""

    def __init__(self, *columns: Column) -> None:
        self._columns = columns
        self._heads = [Text(str(column.header), style="bold") for column in columns]
        self._rows: list[tuple[list[Text], Text]] = []

    def add(self, *cells: str | Text, remark: str | Text = "") -> None:
        self._rows.append(([_text(cell) for cell in cells], _text(remark)))

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        lines = [self._heads, *(cells for cells, _ in self._rows)]
        widths = [max(cell.cell_len for cell in column) for column in zip(*lines, strict=True)]
        yield self._line(self._heads, widths)
        for cells, remark in self._rows:
            line = self._line(cells, widths)
            if line.cell_len + len(_GAP) + remark.cell_len <= options.max_width:
                yield Text.assemble(line, _GAP, remark)
            else:
                yield line
                if remark:
                    yield Padding(remark, (0, 0, 0, len(_GAP)))

    def _line(self, cells: list[Text], widths: list[int]) -> Text:
        padded = []
        for cell, width, column in zip(cells, widths, self._columns, strict=True):
            room = Text(" " * (width - cell.cell_len))
            parts = (room, cell) if column.justify == "right" else (cell, room)
            padded.append(Text.assemble(*parts))
        return Text(_GAP).join(padded)


def _text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)
