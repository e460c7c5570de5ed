// What the extension host spends on receiving answers about a large model, in processor time of its thread: each row is
// one message, so the largest one is the longest the host is blocked.
// Usage: npm run build && npm run bench -- host [layers, default 10000]
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { forkEngine } from '../../src/engine/client.ts';
import { writeModelFile } from '../../src/formats/io/models.ts';
import { network } from './support/network.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-bench-'));
const file = path.join(folder, 'network.onnx');
await writeModelFile(network(Number(process.argv[2] ?? 10_000)), file);
const engine = forkEngine({ modulePath: path.resolve('dist/engine.cjs') });

function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

try {
  const { handle } = await engine.call('open', { path: file });
  const calls = {
    inspect: () => engine.call('inspect', { handle }),
    check: () => engine.call('check', { handle }),
    graph: () => engine.call('graph', { handle }),
    layers: () => engine.call('layers', { handle }),
    text: () => engine.call('text', { handle }),
  };
  for (const [name, call] of Object.entries(calls)) {
    const receiving = process.cpuUsage();
    const answer = await call();
    const received = cpuMs(receiving);
    // VS Code sends typed arrays as they are and the rest as JSON.
    const passing = process.cpuUsage();
    const text = JSON.stringify(answer, (_, value: unknown) => (ArrayBuffer.isView(value) ? 0 : value));
    console.log(
      `${name.padEnd(8)} received in ${received.toFixed(0)} ms, ${(text.length / 1e6).toFixed(2)} MB as JSON in ${cpuMs(passing).toFixed(0)} ms`,
    );
  }
} finally {
  engine.dispose();
  fs.rmSync(folder, { recursive: true, force: true });
}
