"""`when` of a pipeline: which of the instances that come in it takes."""

from typing import Annotated

from pydantic import AfterValidator, model_validator

from shared.settings.fields import Caller, SopClass
from shared.settings.section import Section

_NEVER_IN_A_TERM = frozenset("\\[]")


def _check_term(value: str) -> str:
    term = value.strip(" ").upper()
    if not (1 <= len(term) <= 64 and term.isascii() and term.isprintable()):
        raise ValueError("a term is 1 to 64 printable ASCII characters")
    if _NEVER_IN_A_TERM & set(term):
        raise ValueError("a term has no '\\', '[' or ']'; '*' and '?' stand for what may be there")
    return term


def _check_stored(uid: str) -> str:
    from shared.sop_classes import is_storage  # as `SopClass`, only where it is needed

    if not is_storage(uid):
        raise ValueError("no storage SOP class: no instance ever has it")
    return uid


def _check_some(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("needs at least one value: of none, none can fit")
    return values


Term = Annotated[str, AfterValidator(_check_term)]  # in capitals; `*` and `?` as in file names
StorageSopClass = Annotated[SopClass, AfterValidator(_check_stored)]
AnyOf = AfterValidator(_check_some)


class When(Section):
    """Of the values of a key one has to fit, and of the keys that are there all."""

    modality: Annotated[tuple[Term, ...], AnyOf] | None = None
    body_part: Annotated[tuple[Term, ...], AnyOf] | None = None
    sop_class: Annotated[tuple[StorageSopClass, ...], AnyOf] | None = None
    calling: Annotated[tuple[Caller, ...], AnyOf] | None = None
    otherwise: bool = False

    @model_validator(mode="after")
    def _says_one_thing(self) -> "When":
        keys = self.model_dump(exclude={"otherwise"}, exclude_none=True)
        if self.otherwise and keys:
            raise ValueError(f"otherwise stands alone, without {' and '.join(keys)}")
        if not self.otherwise and not keys:
            raise ValueError(
                "needs modality, body_part, sop_class, calling or otherwise = true;"
                " without `when` a pipeline takes everything"
            )
        return self
