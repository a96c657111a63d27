"""The quarantine: rows that broke a rule, kept for people to look at."""

from pathlib import Path

from galeno.ingest.contract import Admission
from galeno.storage.atomic import replacing


def write_quarantine(path: Path, admission: Admission) -> None:
    """Write the quarantined rows as Parquet, readable and writable by their owner only.

    Args:
        path: the file; columns are ROW (1-based data row number), RULES (rules that the row broke, as
            `rule:column`) and the columns as they came. Written even when no row was quarantined.
        admission: what the contract made of the source.

    Raises:
        OutputError: the place cannot be written to.
    """
    with replacing(path, mode=0o600) as temporary:
        admission.quarantine.write_parquet(temporary)
