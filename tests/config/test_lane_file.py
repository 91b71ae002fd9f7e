"""The lane file: what loads, what it is made of, and which secrets, places to listen and files belong to it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest
from lane_text import LANE, problems, the_problem, with_line

from lanecontrol.config import Loaded, load, load_text
from lanecontrol.config.document import read
from lanecontrol.config.model import LaneFile, LimitsSection
from lanecontrol.config.schema import lane_schema, lane_schema_text, own_kinds
from lanecontrol.config.secrets import find_secret, stand_in
from lanecontrol.config.wording import hushed
from lanecontrol.errors import ConfigError
from lanecontrol.evidence.files import EvidenceLimits
from lanecontrol.lane import setup

CONFIGS = Path(__file__).parents[2] / "configs"

# --- what is right ---------------------------------------------------------------------------------------------------


def test_the_shipped_sentri_lane_loads_with_its_port_file() -> None:
    loaded = load(CONFIGS / "sentri.yaml")
    assert loaded.setup.port == "SYS"
    assert loaded.setup.lane == "07"
    assert [zone.name for zone in loaded.setup.zones] == ["portal", "approach", "booth", "exit"]
    assert [device.kind for device in loaded.devices] == ["io.modbus", "rpm.rapiscan", "rfid.llrp"]
    assert loaded.brokers[0].client_id == "lanecontrol-SYS-07"
    assert not loaded.simulated


def test_a_minimal_lane_has_the_defaults_of_the_lane_core() -> None:
    loaded = load_text(LANE)
    assert loaded.setup.limits == setup.Limits()
    assert loaded.setup.gate is None
    assert loaded.setup.device_kinds == (("io1", "io.modbus"),)
    assert loaded.store.path == Path("state")


@pytest.mark.parametrize(
    ("section", "plain"),
    [
        ("zones", setup.Zone),
        ("loops", setup.Loop),
        ("portals", setup.Portal),
        ("antennas", setup.Antenna),
        ("cameras", setup.Camera),
        ("signal", setup.Signal),
        ("gate", setup.Gate),
        ("booth_button", setup.BoothButton),
        ("lane_signal", setup.LaneSignal),
        ("beacon", setup.Beacon),
        ("emergency_button", setup.EmergencyButton),
        ("tags", setup.TagRule),
    ],
)
def test_every_section_says_exactly_what_the_lane_core_takes(section: str, plain: type) -> None:
    from lanecontrol.config.lenient import sections_in

    (model,) = sections_in(LaneFile.model_fields[section].annotation)
    wanted = {field.name: field.default for field in dataclasses.fields(plain)}
    assert model.model_fields.keys() == wanted.keys()
    for name, field in model.model_fields.items():
        if not field.is_required():
            assert (field.get_default(call_default_factory=True) or "") == (wanted[name] or "")


def test_every_limit_of_the_lane_core_can_be_set() -> None:
    assert LimitsSection.model_fields.keys() == {field.name for field in dataclasses.fields(setup.Limits)}
    assert load_text(LANE + "limits: {assess_after_s: 3.5}\n").setup.limits.assess_after_s == 3.5


def test_the_same_file_has_the_same_hash_and_a_comment_does_not_change_it() -> None:
    assert load_text(LANE).config_hash == load_text("# a remark\n" + LANE).config_hash
    assert load_text(LANE).config_hash != load_text(LANE.replace("end_m: 29", "end_m: 30")).config_hash


def test_the_rules_have_a_hash_that_an_address_does_not_change() -> None:
    other_address = load_text(LANE.replace("192.0.2.21", "192.0.2.22"))
    other_rule = load_text(LANE + "limits: {assess_after_s: 3}\n")
    assert other_address.setup.rules_hash == load_text(LANE).setup.rules_hash
    assert other_rule.setup.rules_hash != load_text(LANE).setup.rules_hash


def test_the_equipment_has_a_hash_of_what_is_commanded_and_through_which_contacts() -> None:
    same = load_text(LANE).setup.equipment_hash
    other_camera = LANE.replace("brokers:", "  - {kind: lpr.axis, id: cam1, url: 'listen://127.0.0.1:8151'}\nbrokers:")
    assert load_text(other_camera).setup.equipment_hash == same
    for changed in (
        LANE.replace("192.0.2.21", "192.0.2.22"),
        LANE.replace("green: signal_green, red: signal_red", "green: signal_red, red: signal_green"),
        LANE.replace("signal_green: 0", "signal_green: 5"),
    ):
        assert load_text(changed).setup.equipment_hash != same


def test_a_simulated_modules_address_is_not_in_the_hash_of_the_equipment() -> None:
    simulated = LANE + "simulated: true\n"
    moved = simulated.replace("192.0.2.21", "192.0.2.22")
    assert load_text(moved).setup.equipment_hash == load_text(simulated).setup.equipment_hash


def test_a_simulated_lane_has_a_client_id_that_cannot_throw_a_real_one_out() -> None:
    assert load_text(LANE + "simulated: true\n").brokers[0].client_id == "sim-lanecontrol-SYS-07"


def test_without_a_key_of_the_site_the_hash_key_is_new_in_each_run() -> None:
    assert load_text(LANE).hash_key != load_text(LANE).hash_key


def test_the_key_of_the_hashes_changes_as_often_as_the_site_wants() -> None:
    keys = load_text(LANE + "privacy: {hash_key: 'a key of sixteen and more', rotate_h: 1}\n").hash_keys
    assert keys(lambda: 7200.0)() == keys(lambda: 10_799.0)() != keys(lambda: 10_800.0)()


# --- port file and lane overlay --------------------------------------------------------------------------------------


def overlay(folder: Path, port: str, lane: str) -> Loaded:
    (folder / "port.yaml").write_text(port)
    (folder / "lane.yaml").write_text(lane)
    return load(folder / "lane.yaml")


def test_a_lane_file_changes_one_key_of_a_device_in_the_port_file(tmp_path: Path) -> None:
    lane = 'extends: port.yaml\ndevices:\n  - {id: io1, url: "tcp://192.0.2.99:502"}\n'
    loaded = overlay(tmp_path, LANE, lane)
    assert [device.url for device in loaded.devices] == ["tcp://192.0.2.99:502"]
    assert loaded.devices[0].inputs == {"loop_booth": 0, "button": 1}  # type: ignore[attr-defined]


def test_a_lane_file_adds_devices_and_replaces_other_lists(tmp_path: Path) -> None:
    lane = """\
extends: port.yaml
devices: [{kind: rpm.rapiscan, id: rpm1, url: "tcp://192.0.2.31:1600"}]
brokers: [{url: "mqtt://192.0.2.11:1883"}]
"""
    loaded = overlay(tmp_path, LANE, lane)
    assert [device.id for device in loaded.devices] == ["io1", "rpm1"]
    assert [broker.url for broker in loaded.brokers] == ["mqtt://192.0.2.11:1883"]


def test_a_problem_is_told_in_the_file_it_comes_from(tmp_path: Path) -> None:
    port = LANE.replace("end_m: 29}", "end_m: wide}")
    with pytest.raises(ConfigError) as raised:
        overlay(tmp_path, port, "extends: port.yaml\nlane: {id: 07}\n")
    told = [(Path(problem.file).name, problem.line) for problem in raised.value.problems]
    assert told == [("lane.yaml", 2), ("port.yaml", 5)]


def test_a_file_that_extends_itself_in_the_end_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="extends itself in the end"):
        overlay(tmp_path, "extends: lane.yaml\n" + LANE, "extends: port.yaml\n")


def test_a_missing_port_file_is_told_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "lane.yaml").write_text("extends: prot.yaml\n" + LANE)
    with pytest.raises(ConfigError, match=r"lane\.yaml:1:10: there is no file .*prot\.yaml"):
        load(tmp_path / "lane.yaml")


def test_a_folder_in_the_place_of_the_port_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "lane.yaml").write_text("extends: .\n" + LANE)
    with pytest.raises(ConfigError, match=r"lane\.yaml:1:10: .* is a folder, name the file in it"):
        load(tmp_path / "lane.yaml")


# --- secrets ---------------------------------------------------------------------------------------------------------

WITH_SECRET = LANE.replace("mqtt://192.0.2.10:1883", "mqtt://192.0.2.10:1883\n    password: !secret mqtt-password")


def test_a_secret_comes_from_the_credentials_before_the_environment(tmp_path: Path) -> None:
    (tmp_path / "mqtt-password").write_text("from systemd\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "LANECONTROL_SECRET_MQTT_PASSWORD": "from the environment"}
    assert find_secret("mqtt-password", environ) == "from systemd"
    del environ["CREDENTIALS_DIRECTORY"]
    assert find_secret("mqtt-password", environ) == "from the environment"
    assert find_secret("../mqtt-password", environ) is None


def test_a_secret_reaches_the_broker_settings_and_no_text() -> None:
    loaded = load_text(WITH_SECRET, secret=lambda name: f"value of {name}")
    assert loaded.brokers[0].password == "value of mqtt-password"
    assert load_text(WITH_SECRET, secret=stand_in).config_hash == loaded.config_hash


def test_an_unknown_secret_is_a_problem_that_names_where_it_may_be_given() -> None:
    (problem,) = problems(WITH_SECRET, secret=lambda name: None)
    assert "LANECONTROL_SECRET_MQTT_PASSWORD" in problem.remedy


def test_a_wrong_secret_or_password_is_told_without_its_value() -> None:
    text = LANE + "privacy: {hash_key: hunter2}\n"
    text = text.replace("1883\n", "1883\n    password: {hunter3: 1}\n    passwrd: hunter4\n")
    told = "\n".join(map(str, problems(text)))
    assert "hash_key" in told
    assert "hunter" not in told


# --- the schema for editors ------------------------------------------------------------------------------------------


def test_the_shipped_schema_is_fresh() -> None:
    assert (CONFIGS / "lane.schema.json").read_text() == lane_schema_text(own_kinds()), "run ./lane generate"


def plain_file(path: Path) -> object:
    from lanecontrol.config.document import plain, read

    return plain(read(path.read_text(), str(path), []), lambda leaf: leaf.secret)


@pytest.mark.parametrize("name", ["port.yaml", "sentri.yaml", "fast.yaml"])
def test_the_shipped_files_fit_the_schema(name: str) -> None:
    jsonschema.Draft202012Validator(lane_schema()).validate(plain_file(CONFIGS / name))


def test_the_schema_finds_a_misspelt_key_of_a_device() -> None:
    document = json.loads(json.dumps(plain_file(CONFIGS / "sentri.yaml")))
    document["devices"][0]["pol_ms"] = 5
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(lane_schema()).validate(document)


# --- devices that connect to us --------------------------------------------------------------------------------------


def with_camera(url: str, number: int = 1) -> str:
    stanza = f"  - {{kind: lpr.axis, id: lpr{number}, url: '{url}'}}\n"
    return LANE.replace("brokers:", f"{stanza}brokers:", 1)


@pytest.mark.parametrize(
    "url", ["listen://0.0.0.0:8081", "tls-listen://[::]:8443?cert=lane.pem&key=lane.key&ca=ca.pem"]
)
def test_a_device_that_connects_to_us_has_the_place_where_we_listen(url: str) -> None:
    loaded = load_text(with_camera(url))
    assert loaded.devices[1].url == url


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (with_camera("tcp://192.0.2.60:80"), "15:37: this device connects to us: its url says where we listen, write"),
        (with_camera("listen://0.0.0.0"), "15:37: the port is missing, write listen://address:port"),
        (with_camera("listen://0.0.0.0:0"), "15:37: the port is zero"),
        (with_camera("tls-listen://0.0.0.0:8443"), "15:37: a TLS listener needs a certificate of its own"),
        (with_camera("mem://lpr1"), "15:37: a mem:// device is a fake"),
        (with_line("tcp://192.0.2.21:502", "listen://0.0.0.0:502"), "12:10: we connect to this device: its url says"),
    ],
)
def test_a_wrong_place_to_listen_is_told_with_its_place_in_the_file(text: str, told: str) -> None:
    assert any(str(problem).startswith(f"lane.yaml:{told}") for problem in problems(text))


@pytest.mark.parametrize("other", ["listen://0.0.0.0:8081", "listen://192.0.2.1:8081", "tls-listen://[::]:8081?cert=a"])
def test_two_devices_cannot_come_to_the_same_port(other: str) -> None:
    text = with_camera("listen://0.0.0.0:8081").replace(
        "brokers:", f"  - {{kind: lpr.axis, id: lpr2, url: '{other}'}}\nbrokers:", 1
    )
    assert the_problem(text).startswith("lane.yaml:16:37: the port 8081 is the one that 'lpr1' is listened for at")


def test_two_devices_may_come_to_the_same_port_of_different_addresses() -> None:
    text = with_camera("listen://192.0.2.1:8081").replace(
        "brokers:", "  - {kind: lpr.axis, id: lpr2, url: 'listen://192.0.2.2:8081'}\nbrokers:", 1
    )
    assert len(load_text(text).devices) == 3


# --- pictures --------------------------------------------------------------------------------------------------------


def test_pictures_are_kept_by_default_and_within_what_the_lane_file_says() -> None:
    assert load_text(LANE).evidence == EvidenceLimits()
    loaded = load_text(LANE + "evidence: {quota_gib: 2, keep_days: 10, least_hours: 1, spare_gib: 0.5}\n")
    assert loaded.evidence.quota_bytes == 2 * 1024**3
    assert loaded.evidence.keep_s == 10 * 86400
    assert loaded.evidence.least_s == 3600
    assert loaded.evidence.spare_bytes == 1024**3 // 2


def test_a_file_for_other_peoples_eyes_shows_no_key_in_clear_and_no_plate() -> None:
    text = (
        "store: {path: s, keys: [a key of more than sixteen]}\n"
        "privacy: {hash_key: !secret hashes}\n"
        "other: {keys: [!secret new, !secret old]}\n"
        "devices: [{id: cam1, fixes: {7KRM4B2: 7KRM482}}]\n"
    )
    shown = hushed(read(text, "lane.yaml", []))
    assert shown["store"]["keys"] == shown["devices"][0]["fixes"] == "(not shown)"
    assert shown["privacy"]["hash_key"] == "!secret hashes"
    assert shown["other"]["keys"] == ["!secret new", "!secret old"]
