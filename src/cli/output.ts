/** One JSON document on stdout, or text for people. */
export function print(json: boolean | undefined, document: unknown, text: () => string): void {
  process.stdout.write(json ? `${JSON.stringify(document)}\n` : `${text()}\n`);
}
