/** The report's file: a page, its style, its code and what it draws, all in one, which asks nobody for anything. */

import type { ReportData } from "./report_data.ts";

/** JSON inside a script element must not hold what ends it. */
function escapeJson(json: string): string {
  return json.replaceAll("<", "\\u003c");
}

/**
 * The file's text. Its policy lets a browser run the page's own code and nothing else, whatever the names in it are.
 *
 * @param body The page's elements, @param style its rules and @param script its code: ours.
 */
export async function reportHtml(data: ReportData, body: string, style: string, script: string): Promise<string> {
  const code = script.replaceAll("</script", "<\\/script");
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(code))).toBase64();
  const policy =
    `default-src 'none'; script-src 'sha256-${hash}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Skyfall: service dependencies</title>
<style>${style.replaceAll("</style", "<\\/style")}</style>
</head>
<body>
${body}
<script type="application/json" id="data">${escapeJson(JSON.stringify(data))}</script>
<script>${code}</script>
</body>
</html>
`;
}
