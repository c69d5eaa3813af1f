"""The receiver's counts and state in the words of Prometheus; made when somebody asks."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from receiver.tally import COMMIT_BOUNDS, Counts
from receiver.vitals import Vitals


def registry(vitals: Vitals) -> CollectorRegistry:
    """One of its own: the library's global one would mix what several receivers count."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    made.register(_ReceiverCollector(vitals))
    return made


class _ReceiverCollector(Collector):
    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals

    def collect(self) -> Iterator[Metric]:
        counts, dropped = (
            self._vitals.services.tally.counts(),
            self._vitals.services.reporter.dropped,
        )
        yield from _counted(counts)
        yield CounterMetricFamily(
            "penstock_association_records_dropped",
            "Records of ended associations that Redis never got.",
            dropped,
        )
        yield from self._gauges()

    def describe(self) -> Iterator[Metric]:
        return iter(())  # nothing is to be read before it is asked for

    def _gauges(self) -> Iterator[Metric]:
        state, usage = self._vitals.state(), self._vitals.usage()
        for name, words, value in (
            ("associations_open", "Associations open now.", state.associations),
            ("associations_limit", "Associations that may be open at once.", state.limit),
            (
                "connections_half_open",
                "Connections that have not asked for an association.",
                state.half_open,
            ),
            ("storage_used_bytes", "Space used on the storage's file system.", usage.used),
            ("storage_free_bytes", "Space free on the storage's file system.", usage.free),
            ("storage_full", "1 while storage is refused for want of space.", state.storage_full),
            ("draining", "1 from the signal to stop on.", state.draining),
        ):
            yield GaugeMetricFamily(f"penstock_{name}", words, float(value))


def _counted(counts: Counts) -> Iterator[Metric]:
    associations = CounterMetricFamily(
        "penstock_associations", "Ended associations, refused ones too.", labels=("end", "cause")
    )
    for (end, cause), count in counts.associations.items():
        associations.add_metric((end, cause), count)
    yield associations
    statuses = CounterMetricFamily(
        "penstock_c_store_responses", "C-STORE responses by status.", labels=("status",)
    )
    for status, count in counts.statuses.items():
        statuses.add_metric((f"{status:04X}",), count)
    yield statuses
    yield CounterMetricFamily("penstock_instances", "Instances kept.", counts.instances)
    yield CounterMetricFamily("penstock_instance_bytes", "Size of their files.", counts.bytes)
    bounds = [*map(str, map(float, COMMIT_BOUNDS)), "+Inf"]
    yield HistogramMetricFamily(
        "penstock_commit_seconds",
        "From A-RELEASE-RQ until the delivery is durable.",
        buckets=list(zip(bounds, accumulate(counts.commits), strict=True)),
        sum_value=counts.commit_seconds,
    )
