const colours = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*[A-Za-z]`, 'g');

/** Removes terminal colours, which the runtimes' loggers write. */
export function stripAnsi(text: string): string {
  return text.replaceAll(colours, '');
}

/** The last lines of a log, on one line. */
export function lastLines(text: string, count: number): string {
  const lines = stripAnsi(text)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return lines.slice(-count).join(' | ');
}
