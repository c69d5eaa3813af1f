"""Exports on a screen: which job, where to, and why it has not arrived."""

from rich.text import Text

from deploy.screens.jobs_table import progress
from deploy.screens.listing import Listing
from deploy.screens.tables import number, whole
from deploy.screens.words import moment, plain
from shared.destination_state import DestinationState
from shared.registry.exports import ExportView

_STYLES = {DestinationState.FAILED: "red", DestinationState.DISCARDED: "dim"}


def exports_table(exports: list[ExportView]) -> Listing:
    listing = Listing(
        *map(whole, ("job", "destination", "state", "made", "from", "pipeline")),
        *map(number, ("delivered", "of")),
    )
    for each in exports:
        state = each.progress.state
        remark = each.progress.reason
        if state in (DestinationState.PENDING, DestinationState.RETRYING):
            remark = progress(each.progress, each.waits)
        listing.add(
            each.job,
            each.destination,
            Text(state, style=_STYLES.get(state, "")),
            moment(each.made),
            plain(each.calling_ae_title),
            each.pipeline,
            str(each.progress.delivered),
            str(each.progress.total or ""),
            remark=Text(plain(remark), style="dim"),
        )
    return listing
