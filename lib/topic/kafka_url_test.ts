/** URLs of Kafka topics. */

import assert from "node:assert/strict";
import { parseKafkaUrl } from "./kafka_url.ts";

Deno.test("parseKafkaUrl() reads brokers, topic, creation, login and TLS", () => {
  const url = "kafka://a.example:9092,[::1]:9093/flows.v1?partitions=12&replication=3&sasl=scram-sha-512&user=collector" +
    "&password_file=/etc/skyfall/password&tls=1&ca=/etc/ca.pem&cert=/etc/own.pem&key=/etc/own.key";
  assert.deepEqual(parseKafkaUrl(url), {
    brokers: [{ host: "a.example", port: 9092 }, { host: "::1", port: 9093 }],
    topic: "flows.v1",
    creation: { partitions: 12, replication: 3 },
    login: { mechanism: "SCRAM-SHA-512", user: "collector", passwordFile: "/etc/skyfall/password" },
    tls: { caFile: "/etc/ca.pem", own: { certificateFile: "/etc/own.pem", keyFile: "/etc/own.key" } },
  });
});

Deno.test("parseKafkaUrl() makes no topic and needs no login where the URL says nothing of them", () => {
  assert.deepEqual(parseKafkaUrl("kafka://a:1/flows"), {
    brokers: [{ host: "a", port: 1 }],
    topic: "flows",
    creation: null,
    login: null,
    tls: null,
  });
});

const WRONG: Readonly<Record<string, RegExp>> = {
  "kafka://a:9092": /needed kafka:\/\/HOST:PORT/,
  "kafka://a:9092/": /needed kafka:\/\/HOST:PORT/,
  "kafka://a/flows": /brokers needed as HOST:PORT/,
  "kafka://a:0/flows": /brokers needed as HOST:PORT/,
  "kafka://user:secret@a:9092/flows": /"kafka:\/\/...@a:9092\/flows": brokers needed as HOST:PORT/,
  "kafka://a:1/flows?password=secret": /password=\.\.\.": "password" is unknown/,
  "kafka://a:1/flows?partitions=0": /partitions "0", needed 1 to 1024/,
  "kafka://a:1/flows?replication=3": /needs "partitions"/,
  "kafka://a:1/flows?sasl=plain": /"sasl", "user" and "password_file" go together/,
  "kafka://a:1/flows?sasl=gssapi&user=u&password_file=f": /sasl "gssapi", needed one of plain, scram-sha-256, scram-sha-512/,
  "kafka://a:1/flows?tls=yes": /tls "yes", needed "1"/,
  "kafka://a:1/flows?ca=f": /need "tls=1"/,
  "kafka://a:1/flows?tls=1&cert=f": /"cert" and "key" go together/,
};

for (const [url, message] of Object.entries(WRONG)) {
  Deno.test(`parseKafkaUrl() refuses ${url}`, () => {
    assert.throws(() => parseKafkaUrl(url), { name: "TopicError", message });
  });
}
