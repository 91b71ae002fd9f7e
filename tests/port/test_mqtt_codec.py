"""The MQTT codec: bytes of brokers, real ones and hostile ones. Expected bytes are put together from the standard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.port.mqtt_codec import Decoder
from lanecontrol.port.mqtt_encode import (
    Hello,
    Unsendable,
    encode_connect,
    encode_disconnect,
    encode_puback,
    encode_publish,
    encode_subscribe,
)
from lanecontrol.port.mqtt_packets import (
    MALFORMED,
    PACKET_TOO_LARGE,
    PROTOCOL_ERROR,
    QOS_UNSUPPORTED,
    TOPIC_INVALID,
    V5,
    V311,
    Connack,
    Disconnect,
    Packet,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Violation,
)
from lanecontrol.port.transport import Message, Received

LIMIT = 4096


def decode(hexes: str, protocol: int = V5) -> list[Packet]:
    return Decoder(protocol, LIMIT).feed(bytes.fromhex(hexes))


def test_a_connack_of_mqtt_5_tells_its_limits() -> None:
    # receive maximum 20, maximum packet size 2000, maximum QoS 1, no retain, server keep alive 30, a reason
    properties = "210014 27000007d0 2401 2500 13001e 1f00026f6b"
    body = "01 00 " + f"{len(bytes.fromhex(properties)):02x}" + properties
    packet = f"20 {len(bytes.fromhex(body)):02x} {body}"
    assert decode(packet) == [Connack(True, 0, 20, 2000, 1, False, 30, "ok")]


def test_what_a_connack_leaves_out_has_the_default_of_the_standard() -> None:
    assert decode("2003 00 00 00") == [Connack(False, 0, 65_535, None, 2, True, None, "")]


@pytest.mark.parametrize(("old", "new"), [(1, 0x84), (2, 0x85), (3, 0x88), (4, 0x86), (5, 0x87)])
def test_a_refusal_of_mqtt_3_1_1_is_told_in_the_codes_of_mqtt_5(old: int, new: int) -> None:
    assert decode(f"2002 00 0{old}", V311) == [Connack(False, new)]


def test_a_broker_that_knows_only_mqtt_3_1_1_is_understood_when_it_refuses_mqtt_5() -> None:
    assert decode("2002 00 01", V5) == [Connack(False, 0x84)]


def test_pubacks_in_all_their_forms() -> None:
    assert decode("4002 1234") == [Puback(0x1234, 0)]
    assert decode("4003 1234 87") == [Puback(0x1234, 0x87)]
    assert decode("4004 1234 10 00") == [Puback(0x1234, 0x10)]
    assert decode("4009 1234 97 05 1f 0002 6869") == [Puback(0x1234, 0x97)]
    assert decode("4002 0001 4002 0002 d000 4002 0003") == [Puback(1, 0), Puback(2, 0), Pingresp(), Puback(3, 0)]


def test_a_message_with_every_property_we_use() -> None:
    properties = bytes.fromhex("02 0000003c 03 0003 612f62 08 0003 722f31 09 0002 ff00 26 0001 6b 0001 76")
    body = b"\x00\x03x/y\x00\x07" + bytes((len(properties),)) + properties + b"hello"
    [packet] = Decoder(V5, LIMIT).feed(bytes((0x3B, len(body))) + body)
    expected = Received("x/y", b"hello", 1, True, True, "a/b", "r/1", b"\xff\x00", (("k", "v"),), 60)
    assert packet == Publish(7, expected)


def test_a_message_of_mqtt_3_1_1() -> None:
    assert decode("3205 0001 78 0009", V311) == [Publish(9, Received("x", b"", 1, False, False))]
    assert decode("3005 0001 78 6869", V311) == [Publish(0, Received("x", b"hi", 0, False, False))]


def test_suback_pingresp_and_disconnect() -> None:
    assert decode("9005 0001 00 01 87") == [Suback(1, (1, 0x87))]
    assert decode("9004 0001 01 80", V311) == [Suback(1, (1, 0x80))]
    assert decode("e000") == [Disconnect(0)]
    assert decode("e001 8e") == [Disconnect(0x8E)]
    assert decode("e007 8b 05 1f 0002 6279") == [Disconnect(0x8B, "by")]


@pytest.mark.parametrize(
    ("hexes", "code", "what"),
    [
        ("00 00", PROTOCOL_ERROR, "type 0, reserved"),
        ("10 00", PROTOCOL_ERROR, "a CONNECT from a broker"),
        ("50 02 0001", PROTOCOL_ERROR, "PUBREC, of QoS 2"),
        ("62 02 0001", MALFORMED, "PUBREL"),
        ("41 02 0001", MALFORMED, "flags in a PUBACK"),
        ("40 02 0000", PROTOCOL_ERROR, "packet identifier 0"),
        ("40 01 00", MALFORMED, "half a packet identifier"),
        ("40 05 0001 00 05 00", MALFORMED, "properties beyond the packet"),
        ("34 04 0001 78 00", QOS_UNSUPPORTED, "QoS 2"),
        ("36 04 0001 78 00", QOS_UNSUPPORTED, "QoS 3"),
        ("30 04 0001 2b 00", PROTOCOL_ERROR, "a wildcard in a topic"),
        ("30 03 0000 00", PROTOCOL_ERROR, "no topic"),
        ("30 04 0001 ff 00", MALFORMED, "a topic that is not UTF-8"),
        ("30 04 0001 00 00", MALFORMED, "U+0000 in a topic"),
        ("30 04 0009 78 00", MALFORMED, "a topic beyond the packet"),
        ("30 07 0001 78 03 230001", PROTOCOL_ERROR, "a topic alias"),
        ("30 06 0001 78 02 7f00", MALFORMED, "an unknown property"),
        ("30 0e 0001 78 0a 0200000001 0200000001", PROTOCOL_ERROR, "a property twice"),
        ("20 06 00 00 03 210000", PROTOCOL_ERROR, "receive maximum 0"),
        ("20 03 02 00 00", MALFORMED, "unknown CONNACK flags"),
        ("90 03 0001 00", PROTOCOL_ERROR, "a SUBACK without codes"),
        ("40 ff ff ff ff 01", MALFORMED, "a length of five bytes"),
        ("30 81 20", PACKET_TOO_LARGE, "more than we said we take"),
        ("40 06 0001 00 ff ff ff", MALFORMED, "a property length of too many bytes"),
    ],
)
def test_what_a_broker_may_not_send_is_named_and_ends_the_decoder(hexes: str, code: int, what: str) -> None:
    decoder = Decoder(V5, LIMIT)
    *_, last = decoder.feed(bytes.fromhex(hexes))
    assert isinstance(last, Violation), what
    assert last.code == code, what
    assert decoder.feed(b"\xd0\x00") == []
    assert decoder.held == 0


def test_mqtt_3_1_1_has_no_disconnect_from_a_broker_and_no_long_puback() -> None:
    assert isinstance(decode("e000", V311)[0], Violation)
    assert isinstance(decode("4003 0001 00", V311)[0], Violation)


@given(st.binary(max_size=600), st.sampled_from([V5, V311]))
def test_no_bytes_make_the_decoder_raise_or_hold_more_than_one_packet(data: bytes, protocol: int) -> None:
    decoder = Decoder(protocol, 64)
    for at in range(0, len(data), 7):
        decoder.feed(data[at : at + 7])
        assert decoder.held <= 64 + 5


good_packets = st.sampled_from(
    [
        bytes.fromhex(text)
        for text in (
            "40020001",
            "4003000210",
            "d000",
            "900500010001 87",
            "3208 0003 782f79 0007 00",
            "300a 0001 78 00 68656c6c6f21",
            "3110 0001 78 09 02 0000003c 03 0001 61 6869 6a",
        )
    ]
)


@given(st.lists(good_packets, max_size=12), st.data())
def test_packets_come_out_the_same_however_the_bytes_are_cut(packets: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(packets)
    whole = Decoder(V5, LIMIT).feed(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder = Decoder(V5, LIMIT)
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [packet for piece in pieces for packet in decoder.feed(piece)] == whole
    assert len(whole) == len(packets)
    assert decoder.held == 0


@given(st.binary(min_size=1, max_size=40), st.lists(good_packets, min_size=1, max_size=3))
def test_garbage_after_good_packets_never_costs_the_good_ones(garbage: bytes, packets: list[bytes]) -> None:
    found = Decoder(V5, LIMIT).feed(b"".join(packets) + garbage)
    assert found[: len(packets)] == [Decoder(V5, LIMIT).feed(packet)[0] for packet in packets]


def test_a_large_packet_fed_byte_by_byte_is_looked_at_once() -> None:
    body = b"\x00\x01x\x00" + b"p" * 100_000
    size = len(body)
    packet = bytes((0x30, size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14)) + body
    decoder = Decoder(V5, 1 << 20)
    found = [made for at in range(len(packet)) for made in decoder.feed(packet[at : at + 1])]
    assert [made.message.payload for made in found if isinstance(made, Publish)] == [b"p" * 100_000]


# --- what we say -----------------------------------------------------------------------------------------------------


def test_connect_in_both_versions() -> None:
    will = Message("s", b"lost", retain=True)
    five = encode_connect(Hello("id", V5, 15, True, "u", "p", will, 64, 4096))
    assert five == bytes.fromhex(
        "1027 0004 4d515454 05 ee 000f 08 210040 2700001000 0002 6964 00 0001 73 0004 6c6f7374 0001 75 0001 70"
    )
    old = encode_connect(Hello("id", V311, 15, False))
    assert old == bytes.fromhex("100e 0004 4d515454 04 00 000f 0002 6964")


def test_a_session_that_is_not_started_clean_is_kept_by_the_broker() -> None:
    assert b"\x11\x00\x01\x51\x80" in encode_connect(Hello("id", V5, clean_start=False))


def test_publish_in_both_versions() -> None:
    message = Message("x/y", b"hi", retain=True)
    assert encode_publish(message, 0x0102, V5) == bytes.fromhex("330a 0003 782f79 0102 00 6869")
    assert encode_publish(message, 0x0102, V311) == bytes.fromhex("3309 0003 782f79 0102 6869")
    assert encode_publish(Message("x", b"", qos=0), 0, V311) == bytes.fromhex("3003 0001 78")


def test_subscribe_puback_and_disconnect() -> None:
    assert encode_subscribe(["a/#"], 1, V5, retain_as_published=True) == bytes.fromhex("8209 0001 00 0003 612f23 09")
    assert encode_subscribe(["a", "b"], 1, V311, retain_as_published=True) == bytes.fromhex(
        "820a 0001 0001 61 01 0001 62 01"
    )
    assert encode_puback(0xABCD) == bytes.fromhex("4002 abcd")
    assert encode_disconnect(V5, 4) == bytes.fromhex("e001 04")
    assert encode_disconnect(V311, 4) == encode_disconnect(V5) == bytes.fromhex("e000")


@given(
    st.text(max_size=20),
    st.binary(max_size=300),
    st.text(max_size=10),
    st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3),
    st.one_of(st.none(), st.integers(-5, 2**40)),
)
def test_whatever_can_be_sent_comes_back_the_same(
    topic: str, payload: bytes, text: str, pairs: list[tuple[str, str]], expiry_s: int | None
) -> None:
    message = Message(topic, payload, 1, False, text, text, payload[:9], expiry_s, tuple(pairs))
    try:
        sent = encode_publish(message, 3, V5)
    except Unsendable as bad:
        assert bad.code in (TOPIC_INVALID, MALFORMED, PACKET_TOO_LARGE)
        return
    [back] = Decoder(V5, LIMIT).feed(sent)
    assert isinstance(back, Publish)
    found = back.message
    assert (found.topic, found.payload, found.content_type, found.response_topic) == (topic, payload, text, text)
    assert (found.correlation, found.user_properties) == (payload[:9], tuple(pairs))
    assert found.expiry_s == (None if expiry_s is None else min(max(expiry_s, 0), 2**32 - 1))


@pytest.mark.parametrize("topic", ["", "a/+", "#", "x" * 65_536, "\0", "\ud800"])
def test_a_topic_that_cannot_be_published_to_is_refused_here(topic: str) -> None:
    with pytest.raises(Unsendable):
        encode_publish(Message(topic, b""), 1, V5)
