/**
 * A fleet whose service edges are known, told as its agents would tell it: services share hosts and so addresses, some hosts have no
 * agent, some agents are silent for minutes, ports and addresses change hands, and an end may see less than went over the wire.
 */

/** Two services that talk, by the names that a graph must have: of an end that no agent ever names, its address. */
export interface TrueEdge {
  readonly client: string;
  readonly server: string;
  readonly port: number;
  connections: number;
  txBytes: number;
  rxBytes: number;
}

export interface Topology {
  /** Rows of `flow`, as CSV with a header. */
  readonly csv: string;
  readonly edges: readonly TrueEdge[];
}

const SERVICES = 60, HOSTS = 24, EDGES = 240, MINUTES = 40;
const START_MS = Date.UTC(2026, 0, 2, 3);
const HEADER =
  "window_start,observer_role,network_transport,client_address,server_address,server_port,client_service_name,server_service_name,connections_opened,bytes_sent,bytes_received";

/** Numbers from 0 to before 1, the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Service {
  readonly name: string;
  readonly host: number;
  readonly port: number;
}

export function makeTopology(seed: number): Topology {
  const next = random(seed), below = (count: number) => Math.floor(next() * count);
  const address = (host: number) => `10.0.0.${host + 1}`, hasAgent = (host: number) => host % 6 !== 5;
  // Half of the services hand their port over to another one in the middle of the time, on the same host.
  const services: Service[] = Array.from({ length: SERVICES }, (_, i) => ({ name: `s${i}`, host: below(HOSTS), port: 1_000 + i }));
  const owner = ({ name, port }: Service, minute: number) => port % 2 === 0 && minute >= MINUTES / 2 ? `${name}-next` : name;
  const silent = new Set(Array.from({ length: HOSTS * 4 }, () => `${below(HOSTS)} ${below(MINUTES)}`));
  const isFirst = (minute: number) => minute % (MINUTES / 2) === 0;
  const reports = (host: number, minute: number) => hasAgent(host) && (isFirst(minute) || !silent.has(`${host} ${minute}`));
  const rows: string[] = [], edges = new Map<string, TrueEdge>();
  const pairs = Array.from({ length: EDGES }, () => [services[below(SERVICES)]!, services[below(SERVICES)]!] as const)
    .filter(([client, server]) => client !== server);
  const unique = [...new Map(pairs.map((pair) => [pair.map(({ name }) => name).join(" "), pair])).values()];
  for (let minute = 0; minute < MINUTES; minute++) {
    const time = new Date(START_MS + minute * 60_000).toISOString();
    const told = new Map<string, { readonly server: Service; readonly client: number; amounts: [number, number, number] }>();
    for (const [client, server] of unique) {
      // Each server is asked, and so tells who it is, in the first minute and in that in which its port was handed over.
      if (!isFirst(minute) && next() < 0.5) continue;
      const amounts: [number, number, number] = [1 + below(5), below(1_000_000), below(1_000_000)];
      const isTold = reports(client.host, minute), isAnswered = reports(server.host, minute);
      if (!isTold && !isAnswered) continue;
      const ends = [client.host, server.host].map(address), name = owner(client, minute);
      if (isTold) rows.push([time, "client", "tcp", ...ends, server.port, name, "", ...amounts].join(","));
      const key = `${client.host} ${server.name}`, of = told.get(key) ?? { server, client: client.host, amounts: [0, 0, 0] };
      of.amounts = [of.amounts[0] + amounts[0], of.amounts[1] + amounts[1], of.amounts[2] + amounts[2]];
      told.set(key, of);
      const clientName = isTold ? name : `unmanaged ${ends[0]}`;
      const serverName = hasAgent(server.host) ? owner(server, minute) : `unmanaged ${ends[1]}`;
      const edge = `${clientName} ${serverName} ${server.port}`;
      const sum = edges.get(edge) ?? { client: clientName, server: serverName, port: server.port, connections: 0, txBytes: 0, rxBytes: 0 };
      sum.connections += amounts[0];
      sum.txBytes += amounts[1];
      sum.rxBytes += amounts[2];
      edges.set(edge, sum);
    }
    // A server knows addresses, not the services behind one; it may have seen less of the bytes that it sent.
    for (const { server, client, amounts } of told.values()) {
      if (!reports(server.host, minute)) continue;
      const seen = [amounts[0], amounts[1], amounts[2] - (reports(client, minute) ? Math.floor(amounts[2] / 10) : 0)];
      rows.push([time, "server", "tcp", address(client), address(server.host), server.port, "", owner(server, minute), ...seen].join(","));
    }
  }
  return { csv: [HEADER, ...rows].join("\n") + "\n", edges: [...edges.values()] };
}
