"""Figures for Prometheus: counts and times, no names and no ids."""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from galeno.service.answers import Answer
from galeno.service.asked import StoredRanking

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Folder in which several workers share their figures; set before this module is first imported."""
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """What this worker counted; with several workers, what all of them did."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "galeno_request_seconds",
            "Time of requests.",
            ["route", "method", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._diagnoses = Counter(
            "galeno_diagnoses",
            "Diagnoses made.",
            ["study", "version", "review"],
            registry=self.registry,
        )
        self._rankings = Counter(
            "galeno_rankings",
            "Rankings of rare diseases made.",
            ["version"],
            registry=self.registry,
        )
        self._problems = Gauge(
            "galeno_model_problems",
            "Models that could not be loaded.",
            registry=self.registry,
            multiprocess_mode="max",
        )

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request that was answered; route is its template, empty where there is none."""
        self._requests.labels(route or "none", method, str(status)).observe(seconds)

    def diagnosed(self, answer: Answer) -> None:
        """A diagnosis that was made."""
        diagnosis = answer.diagnosis
        review = "yes" if diagnosis.needs_review else "no"
        self._diagnoses.labels(answer.study, diagnosis.version or "", review).inc()

    def ranked(self, ranking: StoredRanking) -> None:
        """A ranking of rare diseases that was made."""
        self._rankings.labels(ranking.version).inc()

    def told(self, problems: int) -> None:
        """Models that could not be loaded now."""
        self._problems.set(problems)

    def render(self) -> bytes:
        """All figures in Prometheus' text format."""
        if not os.environ.get(SHARED):
            return generate_latest(self.registry)
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return generate_latest(shared)
