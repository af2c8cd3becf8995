/** Cells of hosts: network namespaces with the services of cell.ts in them, and the network between them (bench/load/wire.c). */

import { TextLineStream } from "../../chain/text_line_stream.ts";
import { compiled } from "../load.ts";
import { outputOf } from "../processes.ts";
import { addressIn, CELL_HOSTS, HOSTS, nameIn, type Service, serviceNamed, SERVICES } from "./cell.ts";

/** How packets go from one host to another. */
export interface Path {
  readonly delayUs: number;
  readonly lossPpm: number;
  readonly reorderPpm: number;
  /** 0: as many as there are. */
  readonly bytesPerSecond: number;
}

const HEALTHY: Path = { delayUs: 1_000, lossPpm: 0, reorderPpm: 0, bytesPerSecond: 0 };
const CPU_GROUPS = "/sys/fs/cgroup/cpu";
/** Of a host without processor time: 1 ms, the least that there is, in so long. */
const STARVED_PERIOD_US = 1_000_000;
const STARVED_QUOTA_US = 1_000;

/** What this host lacks for cells, or null. */
export async function missingCells(): Promise<string | null> {
  try {
    await Deno.stat("/dev/net/tun");
    await Deno.stat(`${CPU_GROUPS}/cpu.cfs_quota_us`);
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "no TUN devices, or no control groups of processor time (version 1)";
    throw error;
  }
}

/** A program that is told what to do on standard input. */
class Told implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #output: ReadableStream<string>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #rest = Promise.resolve();
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

  constructor(command: string, args: readonly string[]) {
    this.#child = new Deno.Command(command, { args: [...args], stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    this.#lines = this.#output.getReader();
    this.#input = this.#child.stdin.getWriter();
  }

  async say(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  /** @throws {Error} If it says anything else next. */
  async hear(expected: string): Promise<void> {
    const { value } = await this.#lines.read();
    if (value !== expected) throw new Error(`Cannot use a program of the bench: it said "${value}", needed "${expected}"`);
  }

  /** From now on nobody waits for what it says. */
  goOn(): void {
    this.#lines.releaseLock();
    this.#rest = this.#output.pipeTo(new WritableStream());
  }

  /** Kills it, as one without processor time would not end by itself soon. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#rest;
  }
}

/** One application. What is done to it lasts until `heal()`. */
export class Cell {
  readonly #index: number;
  readonly #wire: Told;
  readonly #services: ReadonlyMap<string, Told>;
  readonly #groupOf: (host: number) => string;

  constructor(index: number, wire: Told, services: ReadonlyMap<string, Told>, groupOf: (host: number) => string) {
    this.#index = index;
    this.#wire = wire;
    this.#services = services;
    this.#groupOf = groupOf;
  }

  /** In both directions. */
  async setPath(one: number, other: number, path: Partial<Path>): Promise<void> {
    const { delayUs, lossPpm, reorderPpm, bytesPerSecond } = { ...HEALTHY, ...path };
    for (const [from, to] of [[one, other], [other, one]] as const) {
      const ends = `${this.#index * CELL_HOSTS + from} ${this.#index * CELL_HOSTS + to}`;
      await this.#wire.say(`path ${ends} ${delayUs} ${lossPpm} ${reorderPpm} ${bytesPerSecond}`);
    }
  }

  /** A line of bench/load/service.c. */
  async order(service: string, line: string): Promise<void> {
    await this.#services.get(service)!.say(line);
  }

  async starve(host: number): Promise<void> {
    await Deno.writeTextFile(`${this.#groupOf(host)}/cpu.cfs_period_us`, String(STARVED_PERIOD_US));
    await Deno.writeTextFile(`${this.#groupOf(host)}/cpu.cfs_quota_us`, String(STARVED_QUOTA_US));
  }

  async heal(): Promise<void> {
    for (const host of HOSTS) {
      await Deno.writeTextFile(`${this.#groupOf(host)}/cpu.cfs_quota_us`, "-1");
      for (const other of HOSTS) if (other > host) await this.setPath(host, other, HEALTHY);
    }
    for (const service of this.#services.keys()) await this.order(service, "heal");
  }
}

/** Cells that run until disposal. */
export class Yard implements AsyncDisposable {
  readonly #name = `skyfall-${Deno.pid}`;
  readonly #stack = new AsyncDisposableStack();
  readonly cells: Cell[] = [];

  private constructor() {}

  /** Resolves when every service of so many cells answers and asks. */
  static async start(cells: number): Promise<Yard> {
    const yard = new Yard();
    try {
      await yard.#start(cells);
    } catch (error) {
      await yard[Symbol.asyncDispose]();
      throw error;
    }
    return yard;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #start(cells: number): Promise<void> {
    const program = await compiled("service"), wireProgram = await compiled("wire");
    const hosts = Array.from({ length: cells }, (_, cell) => HOSTS.map((host) => ({ cell, host }))).flat();
    for (const { cell, host } of hosts) await this.#makeHost(cell, host);
    const wire = this.#stack.use(new Told(wireProgram, []));
    for (const { cell, host } of hosts) {
      await wire.say(`host ${cell * CELL_HOSTS + host} /run/netns/${this.#namespace(cell, host)}`);
      await wire.hear("ok");
      await this.#connectHost(cell, host);
    }
    wire.goOn();
    const started: Told[] = [];
    for (let index = 0; index < cells; index++) {
      const services = new Map(SERVICES.map((service) => [service.name, this.#startService(program, index, service)] as const));
      started.push(...services.values());
      const cell = new Cell(index, wire, services, (host) => this.#group(index, host));
      for (const one of HOSTS) for (const other of HOSTS) if (other > one) await cell.setPath(one, other, HEALTHY);
      this.cells.push(cell);
    }
    for (const service of started) await service.hear("ready");
    for (const service of started) await service.say("begin");
  }

  #startService(program: string, cell: number, { name, host, port, asks }: Service): Told {
    const asked = asks.flatMap(({ server, requestBytes, replyBytes }) => {
      const target = serviceNamed(server);
      return [addressIn(cell, target.host), target.port, requestBytes, replyBytes].map(String);
    });
    const script = `echo $$ >${this.#group(cell, host)}/cgroup.procs; exec "$@"`;
    const command = ["sh", "-ec", script, "sh", program, nameIn(cell, name), String(port), ...asked];
    return this.#stack.use(new Told("nsenter", [`--net=/run/netns/${this.#namespace(cell, host)}`, ...command]));
  }

  #namespace(cell: number, host: number): string {
    return `${this.#name}-${cell}-${host}`;
  }

  #group(cell: number, host: number): string {
    return `${CPU_GROUPS}/${this.#namespace(cell, host)}`;
  }

  async #makeHost(cell: number, host: number): Promise<void> {
    const namespace = this.#namespace(cell, host), group = this.#group(cell, host);
    await outputOf("ip", "netns", "add", namespace);
    this.#stack.defer(() => outputOf("ip", "netns", "delete", namespace).then(() => undefined));
    await Deno.mkdir(group);
    this.#stack.defer(() => Deno.remove(group));
  }

  async #connectHost(cell: number, host: number): Promise<void> {
    const script = `ip link set lo up; ip address add ${
      addressIn(cell, host)
    }/32 dev wire; ip link set wire up; ip route add default dev wire`;
    await outputOf("nsenter", `--net=/run/netns/${this.#namespace(cell, host)}`, "sh", "-ec", script);
  }
}
