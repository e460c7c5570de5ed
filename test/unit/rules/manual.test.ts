import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { rules } from '../../../src/rules/registry.ts';

const page = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../docs/rules.md');

/** docs/rules.md is made of the rules' own manuals. `UPDATE_DOCS=1 npx vitest run test/unit/rules` writes it anew. */
function manual(): string {
  const list = rules.map((rule) => `- [${rule.id}](#${rule.id}) (${rule.severity}): ${rule.title}`);
  const chapters = rules.map(
    (rule) => `## ${rule.id}\n\n_${rule.severity}._ ${rule.title}.\n\n${rule.manual}\n`,
  );
  return [
    '# Rules',
    '',
    'What Kerf checks in a model. This page is generated from the rules in `src/rules`; do not edit it.',
    '',
    ...list,
    '',
    ...chapters,
  ].join('\n');
}

it('docs/rules.md says what the rules say', () => {
  if (process.env['UPDATE_DOCS'] === '1') fs.writeFileSync(page, manual());
  expect(fs.readFileSync(page, 'utf8')).toBe(manual());
});
