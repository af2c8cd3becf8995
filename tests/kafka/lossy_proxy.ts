/** A way to a broker that loses answers: it hands every request on, but now and then breaks off instead of bringing the answer. */

export class LossyProxy implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #random: (below: number) => number;
  /** HOST:PORT that it leads to; nothing is handed on before it is known. */
  target = Promise.withResolvers<string>();
  /** Whether answers get lost. */
  isLossy = false;
  lost = 0;

  constructor(random: (below: number) => number) {
    this.#random = random;
    this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) this.#serve(client);
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    const [hostname, port] = (await this.target.promise).split(":");
    let broker: Deno.TcpConn;
    try {
      broker = await Deno.connect({ hostname: hostname!, port: Number(port) });
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      return client.close();
    }
    const requests = client.readable.pipeTo(broker.writable);
    const answers = broker.readable.pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform: (chunk, controller) => {
          if (!this.isLossy || this.#random(10) > 0) return controller.enqueue(chunk);
          this.lost++;
          controller.error(new Error("lost"));
        },
      }),
    ).pipeTo(client.writable);
    await Promise.allSettled([requests, answers]);
  }
}
