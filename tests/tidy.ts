/** The rules of style that a program can check, as functions of one file's text. */

import ts from "typescript";

export const FILE_LINES_MAX = 400;
export const FUNCTION_LINES_MAX = 70;

/** Names that hide what a file is about. */
const BANNED_NAMES = /(^|\/)(utils?|helpers?|common|types|misc)(\.ts$|\/)/;
/** Where `as Foo` stands at an edge: pointers, parsers of foreign data, rows of a query, and Arrow's generic types. */
const ASSERTIONS_ALLOWED =
  /^(ffi|tests|bench|tools)\/|_test\.ts$|^(lib\/flow_batch|lib\/arrow_columns|lib\/topic\/sqlite|lib\/sflow\/xdr|lib\/records|collector\/xdr_read|collector\/worker|collector\/describe_file|collector\/rows|jobs\/duckdb|jobs\/dependencies\/output|jobs\/report_page\/page|chain\/program|chain\/chain|chain\/demo|chain\/demo_app\/run|chain\/demo_app\/tier)\.ts$/;
/** Built so that this file does not find itself. */
const MACHINE_TEXT = new RegExp(
  ["/wo" + "rk/", "registry\\.np" + "mjs", "/ro" + "ot/", "proxy\\.go" + "lang", "py" + "pi\\.org", "/shared/ref" + "erence"].join("|"),
);
const UNFINISHED = new RegExp(["TO" + "DO", "FIX" + "ME", "XX" + "X"].map((word) => `\\b${word}\\b`).join("|"));

/** What is wrong with a TypeScript file, each as "path:line: what". */
export function tidySource(path: string, text: string): string[] {
  const wrong: string[] = [...tidyText(path, text)];
  const lines = text.split("\n").length - 1;
  if (lines > FILE_LINES_MAX) wrong.push(`${path}:1: ${lines} lines, needed at most ${FILE_LINES_MAX}`);
  if (!/^(\/\/\/ .*\n|#!.*\n)*(\/\*\*|\/\/) ?\S|^(\/\/\/ .*\n)*\/\*\*\n/.test(text)) {
    wrong.push(`${path}:1: the file does not begin with a sentence on what it is for`);
  }
  if (BANNED_NAMES.test(path)) wrong.push(`${path}:1: the name says nothing`);
  if (!/^[a-z0-9_./]+$/.test(path)) wrong.push(`${path}:1: the name is no snake_case`);
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  visit(source, source, path, wrong);
  return wrong;
}

/** What is wrong with any text of the project. */
export function tidyText(path: string, text: string): string[] {
  const wrong: string[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    if (/[ \t]$/.test(line)) wrong.push(`${path}:${i + 1}: white space at the end`);
    if (MACHINE_TEXT.test(line)) wrong.push(`${path}:${i + 1}: a path or host of some machine`);
    if (UNFINISHED.test(line)) wrong.push(`${path}:${i + 1}: unfinished`);
  }
  return wrong;
}

function visit(node: ts.Node, source: ts.SourceFile, path: string, wrong: string[]): void {
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line + 1;
  const at = `${path}:${lineOf(node.getStart(source))}`;
  if (ts.isFunctionLike(node)) {
    const lines = lineOf(node.getEnd()) - lineOf(node.getStart(source)) + 1;
    if (lines > FUNCTION_LINES_MAX) wrong.push(`${at}: a function of ${lines} lines, needed at most ${FUNCTION_LINES_MAX}`);
  }
  if (node.kind === ts.SyntaxKind.AnyKeyword) wrong.push(`${at}: any`);
  if (ts.isAsExpression(node) && !isConst(node) && !ASSERTIONS_ALLOWED.test(path)) wrong.push(`${at}: a type assertion`);
  if (ts.isCatchClause(node) && swallows(node)) wrong.push(`${at}: a caught error that nobody looks at`);
  ts.forEachChild(node, (child) => visit(child, source, path, wrong));
}

function isConst(node: ts.AsExpression): boolean {
  return ts.isTypeReferenceNode(node.type) && node.type.typeName.getText() === "const";
}

/** A catch must name its error and use it. */
function swallows(node: ts.CatchClause): boolean {
  const name = node.variableDeclaration?.name.getText();
  return name === undefined || !new RegExp(`\\b${name}\\b`).test(node.block.getText());
}
