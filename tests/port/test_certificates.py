"""The lane's own certificate: its last day is read from the file, and whoever cannot read it says nothing wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lanecontrol.port.certificates import days_left, own_certificate

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def certificate(path: Path, days: float) -> Path:
    """One that ends so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "booth-07")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize("days", [365, 29, 0, -3])
def test_days_left_are_read_from_the_file(tmp_path: Path, days: int) -> None:
    assert days_left(str(certificate(tmp_path / "a.pem", days)), NOW.timestamp()) == pytest.approx(days, abs=0.001)


@pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_file_that_is_no_certificate_has_no_days(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pem"
    path.write_bytes(content)
    assert days_left(str(path), 0.0) is None
    assert days_left(str(tmp_path / "missing.pem"), 0.0) is None


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("mqtts://h:8883?ca=%2Fetc%2Fca.pem&cert=%2Fetc%2Fa.pem&key=%2Fetc%2Fa.key", "/etc/a.pem"),
        ("mqtts://h:8883?ca=%2Fetc%2Fca.pem", ""),
        ("mqtt://h:1883", ""),
    ],
)
def test_the_file_stands_in_the_url(url: str, file: str) -> None:
    assert own_certificate(url) == file
