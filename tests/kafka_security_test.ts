/** Kafka topics behind TLS and logins, and what is said where these do not fit. */

import assert from "node:assert/strict";
import { openConsumer, openProducer } from "../lib/topic/open.ts";
import { Broker, PASSWORD, type Security, USER } from "../tools/kafka.ts";
import { firstMissing, missingCommand, testWith } from "./require.ts";

const missing = firstMissing(
  await missingCommand("java", "-version"),
  await missingCommand("mvn", "--version"),
  await missingCommand("openssl", "version"),
);

async function passwordFile(password: string): Promise<string> {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, `${password}\n`);
  return path;
}

async function login(mechanism: string, password = PASSWORD): Promise<string> {
  return `sasl=${mechanism}&user=${USER}&password_file=${await passwordFile(password)}`;
}

async function assertRoundTrip(url: string): Promise<void> {
  await using producer = await openProducer(`${url}&partitions=1`);
  await producer.publish([{ partition: 0, value: Uint8Array.of(1, 2, 3) }]);
  await using consumer = await openConsumer(url);
  assert.deepEqual((await consumer.read(0, 0n, 1)).map(({ value }) => [...value]), [[1, 2, 3]]);
}

/** Starts a broker, and registers what it must do as steps. */
function testBroker(security: Security, steps: Readonly<Record<string, (broker: Broker) => Promise<void>>>): void {
  testWith(missing, `a Kafka broker with ${security}`, async (t) => {
    await using broker = await Broker.start(security);
    for (const [name, step] of Object.entries(steps)) await t.step(name, () => step(broker));
  });
}

async function assertRefused(url: string, message: RegExp): Promise<void> {
  await assert.rejects(openProducer(url), { name: "TopicError", message });
}

testBroker("SASL_SSL", {
  "takes a login of each mechanism over TLS": async (broker) => {
    for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"]) {
      await assertRoundTrip(broker.url(mechanism, `?${broker.tlsQuery}&${await login(mechanism)}`));
    }
  },
  "refuses a wrong password": async (broker) => {
    for (const mechanism of ["plain", "scram-sha-512"]) {
      const url = broker.url("flows", `?${broker.tlsQuery}&${await login(mechanism, "wrong")}`);
      await assertRefused(url, /the broker refuses the user or the password; correct user= and the file of password_file=/);
    }
  },
  "is not trusted without its authority's certificate": async (broker) => {
    await assertRefused(broker.url("flows", `?tls=1&${await login("plain")}`), /not trusted; name the authority's with ca=PATH/);
  },
  "is said to want TLS where none is spoken": async (broker) => {
    await assertRefused(broker.url("flows", `?${await login("plain")}`), /add "tls=1"/);
  },
  "is said to want a login where none is given": async (broker) => {
    await assertRefused(broker.url("flows", `?${broker.tlsQuery}`), /"sasl="/);
  },
});

testBroker("SASL_PLAINTEXT", {
  "takes a login without TLS": async (broker) => {
    await assertRoundTrip(broker.url("flows", `?${await login("scram-sha-256")}`));
  },
  "is said to speak no TLS": async (broker) => {
    await assertRefused(broker.url("flows", `?tls=1&ca=${await passwordFile("")}`), /speaks no TLS there; leave "tls=1" out/);
  },
});

testBroker("SSL", {
  "takes a client by its certificate": async (broker) => {
    await assertRoundTrip(broker.url("flows", `?${broker.tlsQuery}&${broker.certificateQuery}`));
  },
  "refuses a client without one": async (broker) => {
    await assertRefused(broker.url("flows", `?${broker.tlsQuery}`), /"?cert=/);
  },
  "is refused under a name that its certificate is not for": async ({ port, tlsQuery, certificateQuery }) => {
    await assertRefused(`kafka://127.0.0.1:${port}/flows?${tlsQuery}&${certificateQuery}`, /certificate is for another host name/);
  },
});

Deno.test("openProducer() names the password file that cannot be read, and shows no password", async () => {
  await assertRefused("kafka://127.0.0.1:1/flows?sasl=plain&user=u&password_file=/nowhere", /file "\/nowhere" cannot be read/);
});
