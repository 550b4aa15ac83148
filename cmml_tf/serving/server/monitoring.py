"""Counts and latencies of requests in Prometheus' text format, under TensorFlow Serving's names."""

import bisect
import threading
from collections import Counter, defaultdict

_PREFIX = ":tensorflow:serving:"
_BOUNDS_MICROSECONDS = tuple(10 * 1.8**step for step in range(33))
_MAX_NAMES = 1000
_OTHER = "(other)"


class Metrics:
    """Thread-safe counters of a server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._latency: dict[tuple[str, str, str], list[float]] = defaultdict(
            lambda: [0.0] * (len(_BOUNDS_MICROSECONDS) + 2)
        )

    def record(self, model: str, api: str, entrypoint: str, status: str, seconds: float) -> None:
        """Counts one request; `entrypoint` is GRPC or REST."""
        micros = seconds * 1e6
        bucket = bisect.bisect_left(_BOUNDS_MICROSECONDS, micros)
        with self._lock:
            # Names come from requests: a client that invents them must not fill the memory.
            if (model, status) not in self._counts and len(self._counts) >= _MAX_NAMES:
                model = _OTHER
            self._counts[model, status] += 1
            if status == "OK":
                latency = self._latency[model, api, entrypoint]
                latency[bucket] += 1
                latency[-1] += micros

    def text(self) -> str:
        """All metrics, as Prometheus reads them."""
        lines = [f"# TYPE {_PREFIX}request_count counter"]
        with self._lock:
            for (model, status), requests in sorted(self._counts.items()):
                labels = f'model_name="{_escape(model)}",status="{status}"'
                lines.append(f"{_PREFIX}request_count{{{labels}}} {requests}")
            lines.append(f"# TYPE {_PREFIX}request_latency histogram")
            for (model, api, entrypoint), values in sorted(self._latency.items()):
                labels = f'model_name="{_escape(model)}",API="{api}",entrypoint="{entrypoint}"'
                total = 0.0
                bounds = [f"{bound:.6g}" for bound in _BOUNDS_MICROSECONDS] + ["+Inf"]
                for bound, count in zip(bounds, values[:-1], strict=True):
                    total += count
                    lines.append(
                        f'{_PREFIX}request_latency_bucket{{{labels},le="{bound}"}} {total:.0f}'
                    )
                lines.append(f"{_PREFIX}request_latency_sum{{{labels}}} {values[-1]:.0f}")
                lines.append(f"{_PREFIX}request_latency_count{{{labels}}} {total:.0f}")
        return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
