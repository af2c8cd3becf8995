/** A TCP connection that carries frames and counts its bytes, as the demo's processes tell them. */

/** What a process counted on one side of an edge, in application bytes. */
export interface EdgeCounts {
  connections: number;
  sent_bytes: number;
  received_bytes: number;
}

const LENGTH_BYTES = 4;
const FRAME_BYTES_MAX = 1 << 20;

/** Frames of `length (4 bytes, big-endian), body` over one connection. */
export class CountedConnection implements Disposable {
  readonly #connection: Deno.Conn;
  readonly #counts: EdgeCounts;

  constructor(connection: Deno.Conn, counts: EdgeCounts) {
    this.#connection = connection;
    this.#counts = counts;
    counts.connections++;
  }

  /** Sends a frame of `bytes` bytes. */
  async send(bytes: number): Promise<void> {
    const frame = new Uint8Array(LENGTH_BYTES + bytes);
    new DataView(frame.buffer).setUint32(0, bytes);
    for (let written = 0; written < frame.length;) {
      const step = await this.#connection.write(frame.subarray(written));
      written += step;
      this.#counts.sent_bytes += step;
    }
  }

  /** Size of the next frame's body, or null when the peer has closed. */
  async receive(): Promise<number | null> {
    const head = await this.#read(LENGTH_BYTES);
    if (head === null) return null;
    const bytes = new DataView(head.buffer).getUint32(0);
    if (bytes > FRAME_BYTES_MAX) throw new RangeError(`Cannot receive frame: ${bytes} bytes, needed at most ${FRAME_BYTES_MAX}`);
    if (await this.#read(bytes) === null) throw new Error(`Cannot receive frame: the peer closed before its ${bytes} bytes`);
    return bytes;
  }

  async #read(bytes: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const buffer = new Uint8Array(bytes);
    for (let length = 0; length < bytes;) {
      const step = await this.#connection.read(buffer.subarray(length));
      if (step === null && length === 0) return null;
      if (step === null) throw new Error(`Cannot receive frame: the peer closed after ${length} of ${bytes} bytes`);
      length += step;
      this.#counts.received_bytes += step;
    }
    return buffer;
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}
