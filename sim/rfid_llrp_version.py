"""Which version of LLRP a connection to the fake reader speaks. Pure.

Every connection begins with 1.0.1. A client of a 1.1 reader may ask for the versions and set another one, once; both
requests and their answers carry the version bits of 1.1 whatever is spoken (LLRP 1.1, sections 9.1 and 17.1.1 to
17.1.4). To a 1.0.1 reader such requests are messages of a version that it does not know.
"""

from __future__ import annotations

from sim.rfid_llrp_wire import (
    OK,
    V1_0_1,
    V1_1,
    Code,
    Fields,
    Frame,
    M,
    Refused,
    in_version,
    message,
    status,
    u8,
)

NAMES = {V1_0_1: "1.0.1", V1_1: "1.1"}


class Versions:
    """One connection's version. `current` is what both sides speak now."""

    def __init__(self, highest: int) -> None:
        self._highest = highest
        self._settled = False
        self.current = V1_0_1

    def answer(self, frame: Frame) -> bytes | None:
        """The answer to a message about versions, or of a wrong one; None for a message to be carried out."""
        about_versions = frame.type in (M.GET_SUPPORTED_VERSION, M.SET_PROTOCOL_VERSION)
        if about_versions and frame.version == V1_1 and self._highest >= V1_1:
            kind, body = self._get() if frame.type == M.GET_SUPPORTED_VERSION else self._set(frame)
            return in_version(message(kind, frame.id, body), V1_1)
        if about_versions or frame.version != self.current:
            refusal = Refused(Code.UNSUPPORTED_VERSION, f"this is spoken here: LLRP {NAMES[self.current]}")
            return in_version(message(M.ERROR_MESSAGE, frame.id, status(refusal)), self.current)
        return None

    def _get(self) -> tuple[M, bytes]:
        return M.GET_SUPPORTED_VERSION_RESPONSE, u8(self.current, self._highest) + OK

    def _set(self, frame: Frame) -> tuple[M, bytes]:
        try:
            self._take(Fields(frame.body))
        except Refused as refusal:
            return M.SET_PROTOCOL_VERSION_RESPONSE, status(refusal)
        return M.SET_PROTOCOL_VERSION_RESPONSE, OK

    def _take(self, fields: Fields) -> None:
        wanted = fields.number(1)
        fields.end()
        if self._settled:
            raise Refused(Code.UNEXPECTED_MESSAGE, "the version of this connection has been set")
        if not V1_0_1 <= wanted <= self._highest:
            raise Refused(Code.UNSUPPORTED_VERSION, f"this reader speaks LLRP up to {NAMES[self._highest]}")
        self.current, self._settled = wanted, True
