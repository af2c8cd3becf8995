/** Keeps secrets out of command lines, and control characters out of everything that a process can name itself. */

export const BLOT = "***";

/** What may be looked at; the kernel hands out less. It bounds the time that expressions take. */
const COMMAND_LINE_CHARACTERS_MAX = 4_096;

/** Ends of names whose values are secrets; `pass` and the like only as a word of their own. */
const SECRET =
  "(?:(?:^|[-_.\\s\"'?&;{,])(?:pass|pwd|pw|auth|sas|sig)|passwd|password|passphrase|passcode|secret|token|credentials?|bearer" +
  "|api[-_]?key|access[-_]?key|secret[-_]?key|private[-_]?key|account[-_]?key|encryption[-_]?key|auth[-_]?key|master[-_]?key" +
  "|secret[-_]?key[-_]?base|signature|authorization|cookie)";
const SECRET_NAME = new RegExp(`${SECRET}$`, "i");
/** `NAME=VALUE` as a whole argument: an option, an assignment for env(1) or a Java property. */
const ASSIGNMENT = /^((?:-{1,2}|\/)?[A-Za-z_][\w.-]*)=/;
const OPTION = /^-{1,2}[A-Za-z][\w.-]*$/;

/** Secrets inside of an argument, such as a shell's script, a JSON text, a header or an address; in this order. */
const INSIDE: readonly RegExp[] = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*/g,
  /(?<=\bauthorization["']?\s*[:=]\s*["']?)(?:(?:basic|bearer|token|digest|negotiate)\s+)?[^\s"']+/gi,
  /(?<=\bbearer\s+)[^\s"']+/gi,
  /(?<=\bcookie["']?\s*:\s*)[^\s"'][^"']*/gi,
  new RegExp(`(?<=${SECRET}["']?\\s*[=:]\\s*)(?:"[^"]*"?|'[^']*'?|[^\\s"'&;,}]+)`, "gi"),
  new RegExp(`(?<=(?:^|\\s)-{1,2}[\\w.-]*${SECRET}\\s+)(?!--)(?:"[^"]*"?|'[^']*'?|\\S+)`, "gi"),
  // The password of an address, also where the kernel cut the line before its "@"; a port is none.
  /(?<=:\/\/[^\s:\/@\[]*:)(?!\d{1,5}(?:[\s\/?#"']|$))(?:[^\s\/"']*(?=@)|[^\s@"']+(?=@)|[^\s\/@"']+$)/g,
  // Keys that can be told by their form: AWS, GitHub, GitLab, Slack, Stripe, and JSON Web Tokens.
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{20,}|\bxox[abeoprs]-[\w-]{10,}|\b[rs]k_live_\w{10,}/g,
  /\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?/g,
];

/** Programs whose short options carry a secret: attached to the option, or as the next argument. */
const PROGRAMS: readonly { readonly name: RegExp; readonly option: RegExp }[] = [
  { name: /^(?:mysql|mariadb)/, option: /^-p(?=.)/ },
  { name: /^sshpass$/, option: /^-p/ },
  { name: /^(?:redis-cli|valkey-cli)$/, option: /^-a/ },
  { name: /^(?:curl|wget|http|https|ab|wrk)$/, option: /^(?:-u|-U|--user=?|--proxy-user=?)/ },
  { name: /^(?:ldapsearch|ldapmodify|ldapadd|ldappasswd)$/, option: /^-w/ },
];

/**
 * A command line as it may be kept: arguments joined by single spaces, secrets replaced by `***`, control characters by
 * spaces.
 *
 * @param line Arguments separated by NUL.
 * @param expressions Global expressions of the operator, applied to the joined line.
 */
export function redactCommandLine(line: string, expressions: readonly RegExp[]): string {
  const words = line.slice(0, COMMAND_LINE_CHARACTERS_MAX).split("\0").map(printable);
  const program = words[0]!.split("/").at(-1)!;
  const shortOption = PROGRAMS.find(({ name }) => name.test(program))?.option ?? null;
  const joined = words.map((word, i) => redactArgument(word, words[i - 1] ?? "", shortOption)).join(" ");
  return expressions.reduce((text, expression) => text.replace(expression, BLOT), joined);
}

function redactArgument(word: string, before: string, shortOption: RegExp | null): string {
  if (word === "") return word;
  const name = ASSIGNMENT.exec(word)?.[1];
  if (name !== undefined && SECRET_NAME.test(name)) return `${name}=${BLOT}`;
  if (OPTION.test(before) && SECRET_NAME.test(before) && !word.startsWith("--")) return BLOT;
  if (shortOption !== null) {
    const option = shortOption.exec(word)?.[0];
    if (option !== undefined && option !== word) return `${option}${BLOT}`;
    if (shortOption.exec(before)?.[0] === before && before !== "") return BLOT;
  }
  return INSIDE.reduce((text, expression) => text.replace(expression, BLOT), word);
}

/**
 * Text without control characters, line separators and marks that turn the direction of writing: these become spaces, so
 * that no name can forge a line, colour a terminal or hide what it is. Half of a surrogate pair becomes U+FFFD.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu, " ").toWellFormed();
}
