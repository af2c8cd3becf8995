/** The traffic's protocol: a request says how large its reply is and who closes; both ends count every application byte. */

/** What one process counted at one server port. */
export interface PortCounts {
  /** Connections that were established. */
  connections: number;
  /** Attempts that the peer refused. */
  refused: number;
  sent_bytes: number;
  received_bytes: number;
}

/** What the server does after its reply. */
export const THEN = { goOn: 0, replyAfterEnd: 1, close: 2 } as const;

export interface Request {
  readonly bodyBytes: number;
  readonly replyBytes: number;
  readonly then: number;
}

export const HEAD_BYTES = 12;
const PIECE = new Uint8Array(64 * 1024);

export function noCounts(): PortCounts {
  return { connections: 0, refused: 0, sent_bytes: 0, received_bytes: 0 };
}

/** The head and the body of a request. */
export function encodeRequest({ bodyBytes, replyBytes, then }: Request): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEAD_BYTES + bodyBytes);
  new Uint32Array(bytes.buffer, 0, 3).set([bodyBytes, replyBytes, then]);
  return bytes;
}

export async function sendAll(connection: Deno.Conn, bytes: Uint8Array, counts: PortCounts): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const step = await connection.write(bytes.subarray(at));
    at += step;
    counts.sent_bytes += step;
  }
}

export async function sendZeros(connection: Deno.Conn, bytes: number, counts: PortCounts): Promise<void> {
  for (let left = bytes; left > 0; left -= PIECE.length) await sendAll(connection, PIECE.subarray(0, Math.min(left, PIECE.length)), counts);
}

/** False if the peer closes before the first byte. */
export async function receiveExactly(connection: Deno.Conn, into: Uint8Array<ArrayBuffer>, counts: PortCounts): Promise<boolean> {
  for (let at = 0; at < into.length;) {
    const step = await connection.read(into.subarray(at));
    if (step === null && at === 0) return false;
    if (step === null) throw new Error(`Cannot receive: the peer closed after ${at} of ${into.length} bytes`);
    at += step;
    counts.received_bytes += step;
  }
  return true;
}

export async function receiveBytes(connection: Deno.Conn, bytes: number, counts: PortCounts): Promise<void> {
  const piece = new Uint8Array(Math.min(bytes, PIECE.length));
  for (let left = bytes; left > 0;) {
    const part = piece.subarray(0, Math.min(left, piece.length));
    if (!await receiveExactly(connection, part, counts)) throw new Error(`Cannot receive: the peer closed, ${left} bytes are missing`);
    left -= part.length;
  }
}
