"""A reader behind TLS, over real sockets: served when its certificate is good, and never otherwise."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from driver_bench import Notebook, session_of
from llrp_reader import Reader, report

from drivers.rfid_llrp import LlrpConfig, LlrpReader
from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.events import TagRead
from lanecontrol.links import LinkOpener
from lanecontrol.links.stream import StreamLink

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")

EPC = "f0000000000000000000beef"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`reader` for localhost and `lane` for us: each signs itself."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("reader", "lane"):
        files = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2")
        names = ("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost")
        command = ("openssl", "req", "-x509", *key, *files, *names)
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@asynccontextmanager
async def served(reader: Reader, certificates: Path, *, ask_who: bool = False) -> AsyncIterator[int]:
    """The reader on a free port, as a server of TLS; gives the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "reader.pem", certificates / "reader.key")
    if ask_who:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates / "lane.pem")
    tasks: set[asyncio.Task[None]] = set()

    def accepted(link: StreamLink) -> None:
        tasks.add(asyncio.get_running_loop().create_task(_serve(reader, link)))

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: StreamLink(on_connect=accepted), "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def _serve(reader: Reader, link: StreamLink) -> None:
    try:
        await reader.serve(link)
    except LinkLost:
        pass
    finally:
        await link.close()


def _driver(url: str) -> LlrpReader:
    config = LlrpConfig.model_validate({"id": "dev", "url": url})
    return LlrpReader(config, LinkOpener().for_device("dev"))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for happens at the sockets
            await asyncio.sleep(0.01)


def test_over_tls_the_reader_is_set_up_read_and_left(certificates: Path) -> None:
    asyncio.run(_read_over_tls(certificates))


async def _read_over_tls(certificates: Path) -> None:
    """Both sides prove who they are, as a port that hands out certificates wants it."""
    reader, notebook = Reader(), Notebook()
    async with served(reader, certificates, ask_who=True) as port:
        files = f"ca={certificates}/reader.pem&cert={certificates}/lane.pem&key={certificates}/lane.key"
        async with session_of(_driver(f"tls://localhost:{port}?{files}"), notebook):
            await _until(lambda: bool(notebook.identities))
            await reader.send(report(EPC) * 400)
            await _until(lambda: len(notebook.of(TagRead)) == 400)
        await _until(lambda: reader.asked[-2:] == [25, 14])
    assert notebook.doubts == []


def test_a_reader_that_nobody_vouches_for_is_a_fault_and_asked_nothing(certificates: Path) -> None:
    asyncio.run(_refused(certificates))


async def _refused(certificates: Path) -> None:
    reader, notebook = Reader(), Notebook()
    async with served(reader, certificates) as port:
        driver = _driver(f"tls://localhost:{port}?ca={certificates}/lane.pem")
        async with session_of(driver, notebook) as bench:
            assert isinstance(await bench.failure(20), ProtocolViolation)
    assert reader.asked == []
    assert notebook.identities == []
