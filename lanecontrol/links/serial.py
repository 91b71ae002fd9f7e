"""Links over serial ports and ptys, opened with pyserial and read on the event loop."""

from __future__ import annotations

import contextlib
import errno

from lanecontrol.errors import LinkLost
from lanecontrol.links.address import SerialAddress
from lanecontrol.links.buffer import plain_words
from lanecontrol.links.fd import FdLink

_BUSY = (errno.EBUSY, errno.EWOULDBLOCK, errno.EAGAIN)


async def connect_serial(address: SerialAddress) -> FdLink:
    """Open a port exclusively. Raises LinkLost.

    Opening takes no wait: pyserial opens without blocking and sets the line at once.
    """
    try:
        import termios  # not on every system

        import serial  # here, because most lanes have no serial device
    except ImportError as error:
        raise LinkLost("open", f"serial ports need a Unix and the package pyserial; there is no {error.name}") from None
    try:
        port = serial.Serial(
            address.path,
            baudrate=address.baud,
            parity=address.parity,
            bytesize=address.bits,
            stopbits=address.stop,
            rtscts=address.rtscts,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
    except (OSError, ValueError) as error:
        raise LinkLost("open", _words(error)) from error

    def release() -> None:
        with contextlib.suppress(OSError, termios.error):  # a port that was unplugged
            port.reset_output_buffer()  # or the system holds the close until a blocked line has sent it all
        with contextlib.suppress(OSError):
            port.close()

    try:
        return FdLink(port.fileno(), f"serial://{address.path}", release, lambda: int(port.out_waiting))
    except (NotImplementedError, AttributeError, OSError) as error:
        release()
        raise LinkLost(
            "open", "serial ports on the event loop are not supported on this system; use Linux, or a serial server"
        ) from error


def _words(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in _BUSY:
        return "another process has it open"
    if number == errno.EACCES:
        return "permission denied; the user must be in the port's group (dialout on Debian)"
    return plain_words(error) if number else str(error)
