// The text form at size: printing, sending, indexing, and what the editor asks of it while somebody types.
// Usage: npm run bench -- text [layers]
import { deserialize, serialize } from 'node:v8';
import { analyse } from '../../src/analysis/analyse.ts';
import { heaviestLayers, heavyScopes, indexText } from '../../src/editor/text/model.ts';
import { scopesOf } from '../../src/editor/text/scopes.ts';
import { lineTokens } from '../../src/editor/text/tokens.ts';
import { nodeDetails, layerRow } from '../../src/engine/nodeDetails.ts';
import { printModel } from '../../src/formats/text/print.ts';
import { passes } from '../../src/passes/registry.ts';
import { network } from './support/network.ts';
import { checkModel } from '../../src/rules/registry.ts';

/** Processor time, which a busy machine does not stretch as much as the clock; garbage collection included. */
function timed<T>(what: string, work: () => T): T {
  const start = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(start);
  console.log(`  ${what.padEnd(44)} ${((user + system) / 1000).toFixed(1).padStart(9)} ms`);
  return result;
}

/** Median of many short requests. */
function request(what: string, work: (index: number) => unknown): void {
  const times = Array.from({ length: 101 }, (_, index) => {
    const start = performance.now();
    work(index);
    return performance.now() - start;
  }).sort((a, b) => a - b);
  console.log(
    `  ${what.padEnd(44)} ${(times[50] ?? 0).toFixed(3).padStart(9)} ms, worst ${(times[100] ?? 0).toFixed(2)} ms`,
  );
}

for (const size of process.argv[2] === undefined ? [10_000, 100_000] : [Number(process.argv[2])]) {
  console.log(`${size} layers`);
  const model = network(size);
  const analysis = timed('analysis', () => analyse(model));
  const form = timed('print', () =>
    printModel(model, { types: (graph, value) => analysis.types.get(graph)?.get(value) }),
  );
  console.log(
    `  text: ${(form.text.length / 1e6).toFixed(1)} MB, ${form.text.split('\n').length} lines (VS Code tokenizes up to 20 MB and 300,000 lines)`,
  );
  const sent = timed('sent to the extension host', () => deserialize(serialize(form)) as typeof form);
  const index = timed('indexed there', () => indexText(sent));
  const rows = analysis.layers.map(layerRow);
  const findings = timed('findings, first time', () => checkModel({ model, analysis, budget: {} }));
  const line = (i: number) => form.layerLines[(i * 7919) % form.layers.length] ?? 0;
  const layer = (i: number) => form.layers[(i * 7919) % form.layers.length] ?? '';
  timed('hover: the first', () => nodeDetails(model, analysis, layer(0), [], []));
  request('hover, later', (i) => nodeDetails(model, analysis, layer(i), [], []));
  timed('light bulb: passes of a layer, first time', () =>
    nodeDetails(model, analysis, layer(0), passes, findings),
  );
  request('light bulb, later', (i) => nodeDetails(model, analysis, layer(i), passes, findings));
  request('definition and references of a value', (i) => {
    const [span] = index.spansOn(line(i));
    return span && index.places(span);
  });
  const byId = new Map(rows.map((row) => [row.id, row]));
  const scopes = timed('outline and folding: scopes, first time', () => scopesOf(index, byId));
  request('outline and folding, later', () => scopesOf(index, byId));
  request('semantic tokens of 60 lines', (i) => {
    const first = line(i);
    for (let at = first; at < first + 60; at += 1) lineTokens(index.lines[at] ?? '', index.spansOn(at));
  });
  request('workspace symbols', () => rows.filter((row) => row.name.toLowerCase().includes('block.77')));
  request('lenses: heaviest scopes', () => heavyScopes(scopes, byId, 12));
  request('lenses: heaviest layers', () => heaviestLayers(rows, 12));
}
