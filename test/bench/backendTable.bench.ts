// ONNX's backend tests: inferred types against the outputs of the runs, and the table of expectations derived from them.
// Usage: npm run bench -- backendTable [--write] [FOLDER…], folders as in libonnx-testdata: FOLDER/node/test_*/model.onnx
import fs from 'node:fs';
import path from 'node:path';
import { backendFolders, backendTests } from '../unit/ops/onnx/backend/data.ts';
import { judge } from '../unit/ops/onnx/backend/judge.ts';
import { rowOf } from '../unit/ops/onnx/backend/table.ts';

const folders = process.argv.slice(2).filter((each) => each !== '--write');
if (folders.length > 0) process.env['KERF_ONNX_TESTDATA'] = folders.join(path.delimiter);
const rows = new Set<string>();
for (const folder of backendFolders()) {
  const counts = { exact: 0, open: 0, wrong: 0 };
  for (const test of backendTests(folder)) {
    const verdict = judge(test.model, test.outputs);
    counts[verdict.kind] += 1;
    if (verdict.kind === 'wrong') console.log(`${test.name}: ${verdict.message}`);
    const row = rowOf(test);
    if (row !== undefined) rows.add(row);
  }
  console.log(`${folder}: ${JSON.stringify(counts)}`);
}
console.log(`${rows.size} different operator calls`);
if (process.argv.includes('--write')) {
  fs.writeFileSync('test/unit/ops/onnx/backend/table.txt', `${[...rows].sort().join('\n')}\n`);
}
