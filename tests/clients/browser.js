// What the pages of the browser tests do. `tell` hands a document to the test, in order.

function listen(url) {
  const stream = new EventSource(url);
  for (const type of ["subscribed", "values", "object", "gap", "end"]) {
    stream.addEventListener(type, ({ data, lastEventId }) => {
      tell({ type, data: JSON.parse(data), cursor: lastEventId });
    });
  }
  return stream;
}

async function newTicket(api, session) {
  const answer = await fetch(`${api}/v2/me/tickets`, {
    method: "POST",
    headers: { Authorization: session },
  });
  return (await answer.json()).ticket;
}

function converse(url, messages) {
  const socket = new WebSocket(url);
  socket.onopen = () => messages.forEach((message) => socket.send(JSON.stringify(message)));
  socket.onmessage = ({ data }) => tell(JSON.parse(data));
  socket.onclose = ({ code, wasClean }) => tell({ type: "closed", code, wasClean });
  return socket;
}

// The library's global `io` is of whatever version the page has loaded.
function subscribe(url, { transports, session, resource }) {
  const options = { forceNew: true, reconnection: false, ...(transports && { transports }) };
  const socket = io(`${url}/v2`, options);
  socket.on("connect", () => {
    socket.emit("authenticate", { sessionToken: session });
    socket.emit("subscribe", { resource });
  });
  for (const type of ["authenticate", "subscribe", "error", "connect_error", "disconnect", resource]) {
    socket.on(type, (data) => tell({ type, data: data instanceof Error ? String(data) : data }));
  }
  const { engine } = socket.io;
  engine.on("upgrade", ({ name }) => tell({ type: "upgrade", data: name }));
  return socket;
}
