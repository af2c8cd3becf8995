/** The reference of the agent's configuration file, made of `CONFIG_KEYS`; written by `deno task gen`. */

import { keyTable } from "../lib/config_key.ts";
import { CONFIG_KEYS } from "./config.ts";

/** Markdown of docs/reference/agent_config.md. */
export function configDocument(): string {
  return `<!-- Do not edit; made by \`deno task gen\` from agent/config.ts. -->

# The agent's configuration file

\`agent run --config FILE\` reads a file in YAML 1.2, or in JSON, which is a part of it. Every key may be left out. A flag of
the command line overrides the key of its name. What is wrong is refused with its line:

    Cannot read configuration "agent.yaml", line 4: interim_interval_ms: -5, needed 100 to 60000

On SIGHUP the agent reads the file again and puts into force what the fourth column allows; what needs a restart is named in
the log. A file that is wrong is refused with a log line, and the old settings stay.

${keyTable(CONFIG_KEYS)}

## Example

    collector: flows.example.net:6343
    services:
      - command_line: /srv/shop/
        service_name: shop
    redact:
      - (?<=--customer )\\S+

## What is always blotted out of command lines

Values of options and assignments whose name ends in a word for a secret (\`--password X\`, \`--db-password=X\`, \`DB_PASS=X\`,
\`AWS_SECRET_ACCESS_KEY=X\`, \`--api-key X\`, \`token=X\`), also inside of scripts, JSON texts and addresses' queries; the password of
\`scheme://user:password@host\`; \`Authorization\` and \`Cookie\` headers and bearer tokens; private keys; keys of AWS, GitHub,
GitLab, Slack and Stripe, and JSON Web Tokens, by their form; and the short options with a secret of \`mysql\`, \`mariadb\`,
\`sshpass\`, \`redis-cli\`, \`curl\`, \`wget\` and \`ldapsearch\`. Each becomes \`***\` before the agent keeps, sends or logs anything;
\`agent/redact.ts\` has the list. A secret that is a bare word, with nothing around that says so, cannot be told from any other
word: name it under \`redact\`, or better keep it off the command line, where every user of the host can read it.

Control characters, line separators and marks that turn the direction of writing become spaces in every name.

## What the governor does

Every 10 s it compares the processor time of the agent's process, user and system, with \`cpu_limit_percent\`. Over the limit it
goes a step further; after three windows in a row under half of the limit, a step back.

| Step | What is left out | What is lost |
| --- | --- | --- |
| \`interim_interval_x2\`, \`_x4\`, ... up to 60 s | some reports of open conversations | nothing: the next report tells the whole period |
| \`ends_only\` | all reports of open conversations | nothing: the end of a conversation tells all of it |
| \`one_in_2\`, \`_4\`, ... \`_64\` | conversations, all but one in N | their flows; each is counted in \`drops\` of every sample that follows, and in \`skyfall_agent_governor_dropped_flows_total\` |

Each change is a warning in the log (\`governor changed step\`) and moves \`skyfall_agent_governor_step\`.

The kernel's time in the agent's own programs is not part of the measured cost: it is spent in the processes that talk. The
kernel measures it only with \`kernel.bpf_stats_enabled\`, which slows every program on the host. \`deno task bench kernel\`
measures it so: some microseconds a connection.

## Metrics

\`metrics_listen\` serves every counter of the agent's ledger as \`skyfall_agent_NAME_total\`, and \`skyfall_agent_live_sockets\`,
\`skyfall_agent_governor_step\` and \`skyfall_agent_cpu_percent\`; beside them \`skyfall_agent_lost_total\` by place, and by how much the
agent's counts differ from the kernel's: [reconciliation.md](reconciliation.md). If the port is taken, the agent logs that and observes
without.
`;
}
