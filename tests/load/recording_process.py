"""Finding the process that records into a folder."""

from pathlib import Path

__all__ = ["process_recording"]


def process_recording(module: str, records: Path) -> int | None:
    """Return the pid of the program ``module`` that writes into the file ``records``; None where there is none."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if module.encode() in arguments and str(records).encode() in arguments:
            return int(entry.name)
    return None
