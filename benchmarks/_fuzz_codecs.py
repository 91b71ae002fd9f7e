"""Every codec that reads bytes from a device, a camera, the broker or a client, of ours and of the fakes.

Used by `fuzz.py` and by the test that runs its short form. A codec is made anew for each connection, as a session does
it.
"""

from __future__ import annotations

import _fuzz_cameras
import _fuzz_mqtt
import _fuzz_portals
import _fuzz_rfid

CODECS = (*_fuzz_rfid.CODECS, *_fuzz_portals.CODECS, *_fuzz_mqtt.CODECS, *_fuzz_cameras.CODECS)
