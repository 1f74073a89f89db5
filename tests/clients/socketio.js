// One Socket.IO client of a published generation, told on its standard input what to do.
//
//   node socketio.js URL GENERATION TRANSPORTS
//
// A line in is one of {"on":NAME}, {"emit":[NAME,ARGUMENT],"ack":true} and {"close":true}; a line
// out is what happened: {"event":NAME,"argument":…}, {"ack":…} or {"upgrade":NAME}.

const readline = require("readline");

const [url, generation, transports] = process.argv.slice(2);
const io = require(`socket.io-client-${generation}`);

const options = { forceNew: true, reconnection: false };
if (transports !== "default") {
  options.transports = transports.split(",");
}

const say = (happening) => process.stdout.write(`${JSON.stringify(happening)}\n`);
const plain = (argument) => (argument instanceof Error ? String(argument) : argument ?? null);

const socket = io(`${url}/v2`, options);
const on = (name) => socket.on(name, (argument) => say({ event: name, argument: plain(argument) }));

socket.on("connect", () => say({ event: "connect", argument: socket.io.engine.transport.name }));
["disconnect", "connect_error", "error", "authenticate", "subscribe", "unsubscribe"].forEach(on);
socket.io.engine.on("upgrade", (transport) => say({ upgrade: transport.name }));

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const wanted = JSON.parse(line);
    if (wanted.on) {
      on(wanted.on);
    } else if (wanted.emit) {
      const answer = wanted.ack ? [(document) => say({ ack: document })] : [];
      socket.emit(...wanted.emit, ...answer);
    } else {
      socket.close();
    }
  })
  .on("close", () => process.exit(0));
