/** Signs datagrams, and knows those that were signed: `skyfall_authentication` of skyfall.x, by HMAC-SHA-256 (RFC 2104). */

import { createHash, createHmac, createSecretKey, timingSafeEqual } from "node:crypto";
import { getUint64Be, setUint64Be } from "../u64.ts";
import { COUNTERS_SAMPLE, DATA_SOURCE_AUTHENTICATION, dataFormat } from "./datagram.ts";
import { SKYFALL_AUTHENTICATION } from "./skyfall.gen.ts";

const F = SKYFALL_AUTHENTICATION.fields;
const BODY_BYTES = SKYFALL_AUTHENTICATION.fixedSize;
/** Tag and length, sequence number, data source, number of records; tag and length of the record. */
const BODY_AT = 8 + 12 + 8;
/** What a datagram gets longer by. */
export const AUTHENTICATION_BYTES = BODY_AT + BODY_BYTES;
const MAC_BYTES = F.mac.size;
/** Fewer could be guessed by trying. */
const KEY_BYTES_MIN = 16, KEY_BYTES_MAX = 4_096;

/** Makes HMAC-SHA-256 of a key: 32 bytes, which hold until the next is made. */
export type HmacSha256 = (key: Uint8Array<ArrayBuffer>) => (bytes: Uint8Array<ArrayBuffer>) => Uint8Array;

/** The runtime's own. */
const runtimeHmac: HmacSha256 = (key) => {
  const secret = createSecretKey(key);
  return (bytes) => createHmac("sha256", secret).update(bytes).digest();
};

/** A key that agents and collectors share. */
export class SharedKey {
  readonly id: number;
  readonly #hmac: ReturnType<HmacSha256>;

  /** @throws {SyntaxError} If it is too short to be secret, or too long to be a key. */
  constructor(key: Uint8Array<ArrayBuffer>, hmac = runtimeHmac) {
    if (key.length < KEY_BYTES_MIN || key.length > KEY_BYTES_MAX) {
      throw new SyntaxError(`Cannot use key: ${key.length} bytes, needed ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX}`);
    }
    this.id = createHash("sha256").update(key).digest().readUInt32BE(0);
    this.#hmac = hmac(key);
  }

  /** Valid until the next is made. */
  mac(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
    return this.#hmac(bytes).subarray(0, MAC_BYTES);
  }
}

/**
 * Keys of a file's text: one a line, without the white space around it; the first one signs, all are good.
 *
 * @throws {SyntaxError} If there is none, or one is no key.
 */
export function parseKeys(text: string, hmac = runtimeHmac): SharedKey[] {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (lines.length === 0) throw new SyntaxError("Cannot use key file: it is empty, needed a key a line");
  return lines.map((line) => new SharedKey(new TextEncoder().encode(line), hmac));
}

/** Signs the datagrams of one stream. */
export class DatagramSigner {
  readonly #key: SharedKey;
  readonly #recordTag: number;
  readonly #sessionUnixUs: number;
  #sequence = 0;

  constructor(key: SharedKey, enterprise: number, sessionUnixUs: number) {
    this.#key = key;
    this.#recordTag = dataFormat(enterprise, SKYFALL_AUTHENTICATION.format);
    this.#sessionUnixUs = sessionUnixUs;
  }

  /**
   * Signs the datagram of `length` bytes in `buffer`, which has `AUTHENTICATION_BYTES` of room behind it.
   *
   * @param sampleCountAt Place of its number of samples.
   * @returns Its length with the signature.
   */
  sign(buffer: Uint8Array<ArrayBuffer>, length: number, sampleCountAt: number, sentUnixUs: number): number {
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    view.setUint32(sampleCountAt, view.getUint32(sampleCountAt) + 1);
    const words = [
      COUNTERS_SAMPLE,
      AUTHENTICATION_BYTES - 8,
      ++this.#sequence,
      DATA_SOURCE_AUTHENTICATION,
      1,
      this.#recordTag,
      BODY_BYTES,
    ];
    for (const [i, word] of words.entries()) view.setUint32(length + 4 * i, word);
    const body = length + BODY_AT;
    setUint64Be(view, body + F.session_unix_us.offset, this.#sessionUnixUs);
    setUint64Be(view, body + F.sent_unix_us.offset, sentUnixUs);
    view.setUint32(body + F.key_id.offset, this.#key.id);
    const macAt = body + F.mac.offset;
    buffer.set(this.#key.mac(buffer.subarray(0, macAt)), macAt);
    return macAt + MAC_BYTES;
  }
}

/** What a signed datagram says of itself. */
export interface Signature {
  readonly sessionUnixUs: number;
  readonly sentUnixUs: number;
}

/** The signature at the end of a datagram, or null where there is none that one of the keys has made. */
export function verify(bytes: Uint8Array<ArrayBuffer>, keys: readonly SharedKey[], enterprise: number): Signature | null {
  const start = bytes.length - AUTHENTICATION_BYTES;
  if (start < 0) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const body = start + BODY_AT, macAt = body + F.mac.offset;
  if (view.getUint32(start) !== COUNTERS_SAMPLE || view.getUint32(start + 12) !== DATA_SOURCE_AUTHENTICATION) return null;
  if (view.getUint32(start + 20) !== dataFormat(enterprise, SKYFALL_AUTHENTICATION.format)) return null;
  const keyId = view.getUint32(body + F.key_id.offset), mac = bytes.subarray(macAt);
  if (!keys.some((key) => key.id === keyId && timingSafeEqual(key.mac(bytes.subarray(0, macAt)), mac))) return null;
  return {
    sessionUnixUs: getUint64Be(view, body + F.session_unix_us.offset),
    sentUnixUs: getUint64Be(view, body + F.sent_unix_us.offset),
  };
}
