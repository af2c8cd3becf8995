/** How clients reach a Kafka cluster: addresses, time limits, login and certificates. */

import type { KafkaUrl } from "./kafka_url.ts";
import { TopicError } from "./topic.ts";

const CONNECT_TIMEOUT_MS = 5_000;
/** A broker that has not answered for so long is asked again on another connection; it knows what it has stored already. */
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * What a client needs to reach the brokers and to be let in.
 *
 * @throws {TopicError} If a file that the URL names cannot be read.
 */
export async function connectionOptions(url: KafkaUrl, text: string) {
  const fileOf = async (path: string) => {
    try {
      return await Deno.readTextFile(path);
    } catch (cause) {
      throw new TopicError(
        `Cannot open topic "${text}": file "${path}" cannot be read; correct its path, or give this user the right to read it`,
        { cause },
      );
    }
  };
  const { login, tls } = url;
  return {
    clientId: "skyfall",
    bootstrapBrokers: [...url.brokers],
    connectTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    ...(login === null
      ? {}
      : { sasl: { mechanism: login.mechanism, username: login.user, password: (await fileOf(login.passwordFile)).replace(/\r?\n$/, "") } }),
    ...(tls === null ? {} : {
      tls: {
        ...(tls.caFile === null ? {} : { ca: await fileOf(tls.caFile) }),
        ...(tls.own === null ? {} : { cert: await fileOf(tls.own.certificateFile), key: await fileOf(tls.own.keyFile) }),
      },
    }),
  };
}
