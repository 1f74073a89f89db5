// One request of the published CoAP client.
//
//   node coap.js PORT REQUEST
//
// REQUEST is the JSON of what the client's `request` takes, with `payload`, and `block` for
// sending that in blocks (the value of the option). Each line out is an answer or a
// notification: {"code":…,"observe":…,"payload":…}. With `observe` it ends with its input.

const coap = require("coap");

const [port, wanted] = process.argv.slice(2);
const { payload, block, ...options } = JSON.parse(wanted);

const say = (answer, body) => {
  const observe = answer.headers.Observe ?? null;
  process.stdout.write(`${JSON.stringify({ code: answer.code, observe, payload: String(body) })}\n`);
};

const request = coap.request({ hostname: "127.0.0.1", port, ...options });
if (block !== undefined) {
  request.setOption("Block1", Buffer.of(block));
}
request.on("error", (error) => {
  process.stderr.write(`${error}\n`);
  process.exit(1);
});
request.on("response", (answer) => {
  if (!options.observe) {
    say(answer, answer.payload);
    process.exit(0);
  }
  answer.on("data", (body) => say(answer, body));
  process.stdin.on("end", () => {
    answer.close();
    setTimeout(() => process.exit(0), 200);
  });
  process.stdin.resume();
});
request.end(payload);
