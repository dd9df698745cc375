"""The one place that reads the clock for business time; leases use Postgres's own."""

from datetime import UTC, datetime


def now() -> datetime:
    """Answer the present moment, aware, UTC."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """Write a moment as it is published: ISO 8601, UTC, ending in Z; fractions only if any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
