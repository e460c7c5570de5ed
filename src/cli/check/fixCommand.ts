import type { Fix } from '../../rules/rule.ts';

/** More layers than these are counted: a command of that length helps nobody. */
const mostLayers = 3;

/** The command that does what a fix does; model, data and output are left to the reader. */
export function fixCommand({ pass, options, layers = [] }: Fix): string {
  const set = Object.entries(options).map(([name, value]) => `--set ${quoted(`${name}=${String(value)}`)}`);
  const only = layers.length > mostLayers ? [] : layers.map((layer) => `--layer ${quoted(layer)}`);
  const command = ['kerf apply --pass', pass, ...set, ...only].join(' ');
  return layers.length > mostLayers ? `${command}, --layer for each of ${layers.length}` : command;
}

/** As a POSIX shell takes it. */
function quoted(text: string): string {
  return /^[\w./:=+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
