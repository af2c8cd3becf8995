/** A small graph, for the tests of what is written of graphs. */

import type { Answer } from "../portable_sql.ts";

/** Everything that is special in one of the formats. */
export const HOSTILE = "a\"b'<c>&[d]|{e}\\n#;\n%% f --> g\u0001é";

export const GRAPH: Answer = {
  columns: ["client_service", "server_service", "server_port", "network_transport", "tx_bytes", "rx_bytes", "srtt_us"].map((name) => ({
    name,
    isNumber: !/service|transport/.test(name),
  })),
  rows: [
    {
      client_service: "web",
      server_service: HOSTILE,
      server_port: 80,
      network_transport: "tcp",
      tx_bytes: "1024",
      rx_bytes: "512",
      srtt_us: 1_500,
    },
    {
      client_service: "web",
      server_service: "db",
      server_port: 5_432,
      network_transport: "tcp",
      tx_bytes: "1",
      rx_bytes: "1",
      srtt_us: null,
    },
  ],
};

