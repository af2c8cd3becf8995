/** What the agent can be told, validated once. */

import { z } from "zod";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import type { HostPort } from "../lib/ip_address.ts";

/** Names processes: the first rule whose expression matches the command line gives the service its name. */
export interface ServiceRule {
  readonly command_line: RegExp;
  readonly service_name: string;
}

export interface AgentConfig {
  readonly collector: HostPort;
  readonly enterprise: number;
  /** Whether flows are restated in the standard structures that other readers know. */
  readonly interop: boolean;
  /** How often conversations that go on are reported. */
  readonly interimIntervalMs: number;
  readonly serviceRules: readonly ServiceRule[];
}

export const DEFAULT_CONFIG = {
  enterprise: DEFAULT_ENTERPRISE,
  interop: false,
  interimIntervalMs: 10_000,
  serviceRules: [],
} as const satisfies Omit<AgentConfig, "collector">;

const SERVICE_NAME_BYTES_MAX = 64;

const File = z.strictObject({
  services: z.array(z.strictObject({ command_line: z.string().min(1), service_name: z.string().min(1).max(SERVICE_NAME_BYTES_MAX) })),
});

/**
 * Reads the service rules of a configuration file: `{ "services": [{ "command_line": EXPRESSION, "service_name": NAME }] }`.
 *
 * @throws {SyntaxError} If the file is no JSON of this form, or an expression is none; the message names the place.
 */
export function parseServiceRules(path: string, text: string): ServiceRule[] {
  const parsed = File.safeParse(parseJson(path, text));
  if (!parsed.success) throw new SyntaxError(`Cannot read configuration "${path}": ${z.prettifyError(parsed.error)}`);
  return parsed.data.services.map((rule, i) => {
    try {
      return { command_line: new RegExp(rule.command_line), service_name: rule.service_name };
    } catch (cause) {
      throw new SyntaxError(`Cannot read configuration "${path}": services[${i}].command_line is no regular expression`, { cause });
    }
  });
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SyntaxError(`Cannot read configuration "${path}": it is no JSON`, { cause });
  }
}
