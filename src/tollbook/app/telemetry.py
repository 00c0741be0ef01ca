"""OpenTelemetry: the SDK makes a span for each request; here they are sent where the standard variables say.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from collections.abc import Callable, Mapping
from typing import Final

from tollbook.core.errors import UsageError

_WHERE: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def export_spans(environment: Mapping[str, str]) -> Callable[[], None]:
    """Sends spans over OTLP/HTTP if one of the variables names an endpoint; else does nothing.

    Returns: what is to be called in the end, so that the last spans are sent too.

    Raises:
        UsageError: it does, and the packages for it are not there.
    """
    named = [name for name in _WHERE if environment.get(name)]
    if not named or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return lambda: None
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as fault:
        raise UsageError(
            f"{named[0]} is set, and OpenTelemetry's exporter is not installed: pip install '.[otel]'."
        ) from fault
    # The environment's own name goes before ours; the exporter reads every other variable itself.
    name = environment.get("OTEL_SERVICE_NAME") or "tollbook"
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.shutdown
