/** Files of zones and policies that are wrong are refused with line and reason. */

import assert from "node:assert/strict";
import { Database } from "./duckdb.ts";
import { createZoneViews } from "./zones.ts";

const ZONES = "zones:\n- {addresses: 10.0.0.0/16, zone: a}\n- {addresses: 10.1.0.0/16, zone: b}\n";

async function written(name: string, text: string): Promise<string> {
  const path = `${await Deno.makeTempDir()}/${name}`;
  await Deno.writeTextFile(path, text);
  return path;
}

const FAULTS: readonly (readonly [zones: string, policy: string, message: RegExp])[] = [
  [
    "zones:\n- {addresses: 10.0.0.0/8, zone: a}\n- {addresses: 10.1.0.0/16, zone: b}\n",
    "from,to,action\n",
    /line 3: 10\.1\.0\.0\/16 overlaps 10\.0\.0\.0\/8 of line 2/,
  ],
  [ZONES, "from,to,action\na,b,allow\na,c,deny\n", /policy\.csv", line 3: there is no zone "c", needed "\*" or one of a, b, unzoned/],
  [ZONES, "from,to,action\na,b,permit\n", /policy\.csv", line 2: action: "permit", needed allow or deny/],
  [ZONES, "from,to,port,action\na,b,70000,allow\n", /policy\.csv", line 2: port: "70000", needed a port of 0 to 65535/],
];

for (const [zones, policy, message] of FAULTS) {
  Deno.test(`zones and policies are refused with line and reason: ${JSON.stringify(zones + policy)}`, async () => {
    using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: await Deno.makeTempDir() });
    const paths = [await written("zones.yaml", zones), await written("policy.csv", policy)] as const;
    await assert.rejects(createZoneViews(database, ...paths), { name: "SyntaxError", message });
  });
}
