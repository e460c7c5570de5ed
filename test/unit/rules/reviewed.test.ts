import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Finding } from '../../../src/rules/rule.ts';
import { checkModel } from '../../../src/rules/registry.ts';
import { hasShared, modelFiles } from '../support/models.ts';
import { device } from './check.ts';

/** One of each family: microcontroller with and without its own target, board, Edge TPU, Ethos-U, QNN, a quantizing compiler. */
const devices = ['stm32h743', 'nano33ble', 'pi4', 'coral_usb', 'grove_vision_v2', 'galaxy_s24', 'hailo8'];

const golden = path.join(import.meta.dirname, '../../golden/findings.json');

/** `dead-channels:w9 fixes 3`: how often a rule speaks, how loudly, and how many cures it offers. */
function summary(findings: readonly Finding[]): readonly string[] {
  const groups = new Map<string, { count: number; fixes: number }>();
  for (const { rule, severity, fixes } of findings) {
    const key = `${severity} ${rule}`;
    const group = groups.get(key) ?? { count: 0, fixes: 0 };
    groups.set(key, { count: group.count + 1, fixes: group.fixes + fixes.length });
  }
  return [...groups].map(([key, { count, fixes }]) => `${key} ×${count}, ${fixes} fixes`).sort();
}

/** What a device adds to what is said without one, and what it takes away. */
function difference(now: readonly string[], before: readonly string[]): readonly string[] {
  const added = now.filter((line) => !before.includes(line)).map((line) => `+ ${line}`);
  return [...added, ...before.filter((line) => !now.includes(line)).map((line) => `- ${line}`)];
}

function summaryOf(file: string): Record<string, readonly string[]> {
  const { model } = readModelFile(file);
  const analysis = analyse(model);
  const base = { model, analysis, budget: {}, fileBytes: fs.statSync(file).size };
  const none = summary(checkModel(base));
  const rows = devices.map((id) => {
    const found = summary(checkModel({ ...base, device: device(id) }));
    return [id, difference(found, none)] as const;
  });
  return { 'no device': none, ...Object.fromEntries(rows) };
}

/**
 * Every finding on every model here was read (docs/check.md says when). A change shows up as a difference: read what is new
 * before you write it down with `UPDATE_GOLDEN=1`.
 */
describe.runIf(hasShared)('findings on all models are those that were reviewed', () => {
  const files = [...modelFiles('.onnx'), ...modelFiles('.tflite')].filter((file) => file.includes('shared'));
  const reviewed = (): Record<string, unknown> => JSON.parse(fs.readFileSync(golden, 'utf8')) as never;

  it.each(files.map((file) => [path.basename(file), file] as const))('%s', (name, file) => {
    const found = summaryOf(file);
    if (process.env['UPDATE_GOLDEN'] === '1') {
      const all = fs.existsSync(golden) ? reviewed() : {};
      const sorted = Object.entries({ ...all, [name]: found }).sort(([a], [b]) => (a < b ? -1 : 1));
      fs.writeFileSync(golden, `${JSON.stringify(Object.fromEntries(sorted), null, 1)}\n`);
    }
    expect(found).toEqual(reviewed()[name]);
  });
});
