import type { OptionValues } from '../../src/engine/protocol.ts';
import type { ApplyReport } from '../../src/engine/answers.ts';
import type { App } from '../app.ts';
import { bytes, change, macs, plural } from '../format.ts';

/** What a finished edit changed, in numbers. */
export function outcomeOf({ before, after, changed, notes }: ApplyReport): string {
  if (changed.length === 0) return ['nothing to change', ...notes].join('. ');
  const size = `file ${bytes(before.fileBytes)} → ${bytes(after.fileBytes)} (${change(before.fileBytes, after.fileBytes)})`;
  const work =
    before.macs === after.macs
      ? ''
      : `, ${macs(before.macs)} → ${macs(after.macs)} (${change(before.macs, after.macs)})`;
  return `${plural(changed.length, 'layer')} changed, ${size}${work}`;
}

/** Runs a pass as one undoable edit and says what it did. */
export async function applyPass(
  app: App,
  request: { pass: string; options: OptionValues; layers?: readonly string[]; title: string },
): Promise<void> {
  const { title, ...params } = request;
  const report = await app.run(title, 'apply', params);
  if (report !== undefined) app.say(`${title}: ${outcomeOf(report)}`);
}

export async function copyText(app: App, text: string, what: string): Promise<void> {
  try {
    await app.host.call('copy', { text });
    app.say(`Copied ${what}.`);
  } catch (error) {
    app.say(`Nothing was copied: ${(error as Error).message}`, { error: true });
  }
}
