// llrpjs as a reader: answers a client's whole session with messages of its own making, and tells as JSON lines what it
// understood of the requests. Speaks LLRP 1.0.1 only; a message of another version stops its parser for good.
"use strict";

const readline = require("readline");
const { LLRPCore, LLRPServer } = require("llrpjs");

const settings = JSON.parse(process.argv[2]);
const server = new LLRPServer({ host: "127.0.0.1", port: 0 });
const at = "2026-01-01T00:00:00.000Z";
let nextId = 1000;
let keepalive = null;

const say = (what, more) => process.stdout.write(JSON.stringify({ what, ...more }) + "\n");
const status = (code = "M_Success", text = "") => ({ LLRPStatus: { StatusCode: code, ErrorDescription: text } });
const send = (name, data, id = nextId++) => server.send(new LLRPCore[name]({ id, data }));
const event = (kind, what) =>
  send("READER_EVENT_NOTIFICATION", {
    ReaderEventNotificationData: { UTCTimestamp: { Microseconds: at }, [kind]: what },
  });

const capabilities = {
  GeneralDeviceCapabilities: {
    MaxNumberOfAntennaSupported: 2,
    CanSetAntennaProperties: 0,
    HasUTCClockCapability: 1,
    DeviceManufacturerName: 4242,
    ModelName: 7,
    ReaderFirmwareVersion: "js-1",
    ReceiveSensitivityTableEntry: { Index: 1, ReceiveSensitivityValue: 0 },
    GPIOCapabilities: { NumGPIs: 2, NumGPOs: 0 },
    PerAntennaAirProtocol: [1, 2].map((AntennaID) => ({ AntennaID, ProtocolID: ["EPCGlobalClass1Gen2"] })),
  },
  LLRPCapabilities: {
    CanDoRFSurvey: 0,
    CanReportBufferFillWarning: 1,
    SupportsClientRequestOpSpec: 0,
    CanDoTagInventoryStateAwareSingulation: 0,
    SupportsEventAndReportHolding: 1,
    MaxNumPriorityLevelsSupported: 1,
    ClientRequestOpSpecTimeout: 0,
    MaxNumROSpecs: 1,
    MaxNumSpecsPerROSpec: 1,
    MaxNumInventoryParameterSpecsPerAISpec: 1,
    MaxNumAccessSpecs: 1,
    MaxNumOpSpecsPerAccessSpec: 1,
  },
};

const tag = ([epc, antenna, rssi]) => ({
  ...(epc.length === 24 ? { EPC_96: { EPC: epc } } : { EPCData: { EPC: epc } }),
  AntennaID: { AntennaID: antenna },
  PeakRSSI: { PeakRSSI: rssi },
  FirstSeenTimestampUTC: { Microseconds: at },
  LastSeenTimestampUTC: { Microseconds: at },
  TagSeenCount: { TagCount: 1 },
});

const gpi = (GPIPortNum) => ({ GPIPortNum, Config: 1, State: "Low" });
const readerConfig = { ...status(), GPIPortCurrentState: [gpi(1), gpi(2)] };

const reply = (request) => {
  const name = request.getName();
  const id = request.getMessageId();
  const told = request.toLLRPData();
  say("asked", { by: name, data: told.data });
  switch (name) {
    case "KEEPALIVE_ACK":
      return say("ack");
    case "ENABLE_EVENTS_AND_REPORTS":
      return;
    case "GET_READER_CAPABILITIES":
      return send("GET_READER_CAPABILITIES_RESPONSE", { ...status(), ...capabilities }, id);
    case "GET_READER_CONFIG":
      return send("GET_READER_CONFIG_RESPONSE", readerConfig, id);
    case "SET_READER_CONFIG": {
      const spec = told.data.KeepaliveSpec;
      clearInterval(keepalive);
      if (spec && spec.PeriodicTriggerValue) {
        keepalive = setInterval(() => send("KEEPALIVE", {}), spec.PeriodicTriggerValue);
      }
      return send("SET_READER_CONFIG_RESPONSE", status(), id);
    }
    default:
      return send(`${name}_RESPONSE`, status(), id);
  }
};

server.on("connection", () => event("ConnectionAttemptEvent", { Status: "Success" }));
server.on("disconnect", () => {
  clearInterval(keepalive);
  say("gone");
});
server.on("error", (error) => say("error", { why: `${error.name}: ${error.message}` }));
server.on("message", (message) => {
  reply(message);
  // It takes one message out of each segment; what else came with it has to be asked for.
  setImmediate(() => server.onData(Buffer.alloc(0)));
});

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line);
  switch (order.what) {
    case "report":
      return send("RO_ACCESS_REPORT", { TagReportData: order.tags.map(tag) });
    case "gpi":
      return event("GPIEvent", { GPIPortNumber: order.port, GPIEvent: order.high ? 1 : 0 });
    case "antenna":
      return event("AntennaEvent", {
        EventType: order.connected ? "Antenna_Connected" : "Antenna_Disconnected",
        AntennaID: order.antenna,
      });
    case "exception":
      return event("ReaderExceptionEvent", { Message: order.text });
    default:
      return say("error", { why: `no order ${order.what}` });
  }
});

server._server.on("listening", () => say("serving", { port: server._server.address().port }));
server.listen();
