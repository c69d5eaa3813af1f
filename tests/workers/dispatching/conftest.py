import pytest

from tests.workers.grouping import GroupingSite
from tests.workers.site import MakeSite


@pytest.fixture
def grouping(make_site: MakeSite) -> GroupingSite:
    """Grouped by study, for one pipeline."""
    return GroupingSite(make_site)
