"""Views as JSON, for scripts."""

import json
from typing import Any

from pydantic_core import to_jsonable_python


def to_json(view: object, **further: object) -> str:
    """A view or a list of them; `further` keys are added to that of one."""
    plain: Any = to_jsonable_python(view)
    return json.dumps(plain | to_jsonable_python(further) if further else plain, indent=1)
