"""`make fuzz`: libFuzzer, by atheris, on the target; its options are libFuzzer's own."""

import sys

import atheris

with atheris.instrument_imports(include=["shared.upper_layer", "receiver.admission"]):
    from tests.fuzz import target


def test_one_input(data: bytes) -> None:
    target.run(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
