"""When the lane's own certificate for the port's broker runs out: told in time, since nobody looks at it before.

The housekeeper asks now and then; `doctor` asks too. The file is read anew each time: it may have been replaced.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

WARN_DAYS = 30.0
DAY_S = 86_400.0


def own_certificate(url: str) -> str:
    """The file of our certificate in a broker's url; empty without one."""
    return next(iter(parse_qs(urlsplit(url).query).get("cert", [])), "")


def expires_utc_s(file: str) -> float:
    """When the first certificate in a PEM file ends, UTC seconds. Raises OSError, and ValueError for no certificate."""
    from cryptography import x509  # only where there is a certificate: it takes its time to load

    return x509.load_pem_x509_certificate(Path(file).read_bytes()).not_valid_after_utc.timestamp()


def days_left(file: str, now_utc_s: float) -> float | None:
    """Days until it ends, negative afterwards; None when the file cannot be read (connecting will say why)."""
    try:
        return (expires_utc_s(file) - now_utc_s) / DAY_S
    except (OSError, ValueError):
        return None
