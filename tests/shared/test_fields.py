import pytest
from pydantic import TypeAdapter, ValidationError

from shared.settings.fields import Bytes, format_size

SIZE: TypeAdapter[int] = TypeAdapter(Bytes)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1kB", 1000), ("0.5 MB", 500_000), ("2GB", 2 * 10**9), ("1.25TB", 1_250_000_000_000)],
)
def test_a_size_is_a_number_and_a_unit(text: str, size: int) -> None:
    assert SIZE.validate_python(text) == size
    assert SIZE.validate_python(format_size(size)) == size


@pytest.mark.parametrize("value", ["2", 2, "2 G", "-1GB", "2gb", "GB", ""])
def test_anything_else_is_no_size(value: object) -> None:
    with pytest.raises(ValidationError, match="a size is a number and a unit"):
        SIZE.validate_python(value)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0kB"), (1, "0.001kB"), (1500, "1.5kB"), (999_999_999_999, "999.999999999GB")],
)
def test_a_size_is_written_exactly(size: int, text: str) -> None:
    assert format_size(size) == text
    assert SIZE.validate_python(text) == size
