"""pyllrp as a client: its own tag inventory, a read of the TID, settings; told as JSON lines."""

# mypy: disable-error-code="import-not-found,misc"
from __future__ import annotations

import json
import sys
from typing import Any

from pyllrp import TagInventory as inventory_module
from pyllrp import pyllrp as llrp
from pyllrp.LLRPConnector import LLRPConnector

SETTINGS = json.loads(sys.argv[1])


def say(what: str, **more: Any) -> None:
    sys.stdout.write(json.dumps({"what": what, **more}) + "\n")
    sys.stdout.flush()


class Connector(LLRPConnector):
    """The library's own, which always takes port 5084 when it makes inventories."""

    def connect(self, host: str, port: int = 0) -> Any:
        return super().connect(host, SETTINGS["port"])


def inventory() -> None:
    """The library's own inventory: immediate start, attempts to see all tags, one report at the end."""
    inventory_module.LLRPConnector = Connector
    taken = inventory_module.TagInventory("127.0.0.1", transmitPower=1)
    taken.readWaitMilliseconds = 2000
    taken.Connect()
    found, others = taken.GetTagInventory()
    for tag in taken.tagDetail:
        say("tag", epc=tag["Tag"].lower(), antenna=tag["AntennaID"], rssi=tag["PeakRSSI"], keys=sorted(tag))
    say("inventory", epcs=sorted(each.lower() for each in found), others=len(others))
    taken.Disconnect()


def read_tid() -> None:
    """An AccessSpec that reads the TID of the next tag, while a ROSpec of ours runs."""
    connector = Connector()
    connector.connect("127.0.0.1")

    def told(_: Any, report: Any) -> None:
        for result in report.getAllParametersByClass(llrp.C1G2ReadOpSpecResult_Parameter):
            say("tid", result=result.Result, data="".join(f"{word:04x}" for word in result.ReadData))

    connector.addHandler(llrp.RO_ACCESS_REPORT_Message, told)
    for message in (
        llrp.GET_READER_CAPABILITIES_Message(RequestedData=llrp.GetReaderCapabilitiesRequestedData.All),
        llrp.GET_READER_CONFIG_Message(RequestedData=llrp.GetReaderConfigRequestedData.All),
        llrp.DELETE_ROSPEC_Message(ROSpecID=0),
        access_spec(),
        llrp.ENABLE_ACCESSSPEC_Message(AccessSpecID=7),
        llrp.GET_ACCESSSPECS_Message(),
        rospec(),
        llrp.GET_ROSPECS_Message(),
        llrp.ENABLE_ROSPEC_Message(ROSpecID=9),
    ):
        answer = connector.transact(message)
        say("answer", to=type(message).__name__, by=type(answer).__name__, success=bool(answer.success()))
    connector.startListener()
    for line in sys.stdin:
        if json.loads(line)["what"] == "leave":
            break
    connector.stopListener()
    say("left", by=type(connector.disconnect()).__name__)


def access_spec() -> Any:
    target = llrp.C1G2TargetTag_Parameter(MB=1, Match=True, Pointer=0x20, TagMask=b"", TagData=b"")
    read = llrp.C1G2Read_Parameter(OpSpecID=3, AccessPassword=0, MB=2, WordPointer=0, WordCount=6)
    command = [llrp.C1G2TagSpec_Parameter(Parameters=[target]), read]
    stop = llrp.AccessSpecStopTrigger_Parameter(
        AccessSpecStopTrigger=llrp.AccessSpecStopTriggerType.Null, OperationCountValue=0
    )
    spec = llrp.AccessSpec_Parameter(
        AccessSpecID=7,
        AntennaID=0,
        ProtocolID=llrp.AirProtocols.EPCGlobalClass1Gen2,
        CurrentState=False,
        ROSpecID=0,
        Parameters=[stop, llrp.AccessCommand_Parameter(Parameters=command)],
    )
    return llrp.ADD_ACCESSSPEC_Message(Parameters=[spec])


def rospec() -> Any:
    boundary = [
        llrp.ROSpecStartTrigger_Parameter(ROSpecStartTriggerType=llrp.ROSpecStartTriggerType.Immediate),
        llrp.ROSpecStopTrigger_Parameter(ROSpecStopTriggerType=llrp.ROSpecStopTriggerType.Null),
    ]
    antennas = [
        llrp.AISpecStopTrigger_Parameter(AISpecStopTriggerType=llrp.AISpecStopTriggerType.Null),
        llrp.InventoryParameterSpec_Parameter(
            InventoryParameterSpecID=1, ProtocolID=llrp.AirProtocols.EPCGlobalClass1Gen2
        ),
    ]
    report = llrp.ROReportSpec_Parameter(
        ROReportTrigger=llrp.ROReportTriggerType.Upon_N_Tags_Or_End_Of_ROSpec,
        N=1,
        Parameters=[llrp.TagReportContentSelector_Parameter(EnableAntennaID=True, EnableAccessSpecID=True)],
    )
    spec = llrp.ROSpec_Parameter(
        ROSpecID=9,
        CurrentState=llrp.ROSpecState.Disabled,
        Parameters=[
            llrp.ROBoundarySpec_Parameter(Parameters=boundary),
            llrp.AISpec_Parameter(AntennaIDs=[0], Parameters=antennas),
            report,
        ],
    )
    return llrp.ADD_ROSPEC_Message(Parameters=[spec])


if __name__ == "__main__":
    {"inventory": inventory, "read_tid": read_tid}[SETTINGS["task"]]()
