// The published MQTT client for Node: subscribes, publishes one value, says what it heard.
//
//   node mqtt.js URL VERSION TOKEN
//
// VERSION is 3, 4 or 5. Each line out is {"subscribed":[…]}, {"published":true} or
// {"topic":…,"payload":…}; the process ends after the first message.

const mqtt = require("mqtt");

const [url, version, token] = process.argv.slice(2);
const topic = `v2/things/${token}`;
const say = (happening) => process.stdout.write(`${JSON.stringify(happening)}\n`);

const client = mqtt.connect(url, {
  protocolVersion: Number(version),
  protocolId: version === "3" ? "MQIsdp" : "MQTT",
  rejectUnauthorized: false,
  reconnectPeriod: 0,
});
const fail = (error) => {
  process.stderr.write(`${error}\n`);
  process.exit(1);
};
client.on("error", fail);
client.on("message", (heard, payload) => {
  say({ topic: heard, payload: String(payload) });
  client.end(false, () => process.exit(0));
});
client.on("connect", () => {
  client.subscribe(topic, { qos: 1 }, (error, granted) => {
    if (error) {
      fail(error);
    }
    say({ subscribed: granted.map((one) => one.qos) });
    client.publish(`${topic}/resources/temperature`, "21.5", { qos: 1 }, (refused) => {
      if (refused) {
        fail(refused);
      }
      say({ published: true });
    });
  });
});
