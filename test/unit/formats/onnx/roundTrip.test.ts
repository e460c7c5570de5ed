import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFile } from '../../../../src/formats/io/openFile.ts';
import { readOnnx } from '../../../../src/formats/onnx/read.ts';
import { encodeOnnx } from '../../../../src/formats/onnx/write.ts';
import { concatBytes, memoryBytes, missingBytes } from '../../../../src/ir/bytes.ts';
import type { Bytes } from '../../../../src/ir/bytes.ts';
import { modelFiles } from '../../support/models.ts';

const read = (bytes: Bytes) =>
  readOnnx(bytes, (reference, length) => missingBytes(length, reference.location));

describe.each(modelFiles('.onnx').map((file) => [path.basename(file), file]))('%s', (_, file) => {
  it('is written back byte for byte when unchanged', () => {
    const { model } = read(openFile(file));
    expect(Buffer.compare(concatBytes(encodeOnnx(model)), fs.readFileSync(file))).toBe(0);
  });

  it('differs only in what was changed when one layer is renamed', () => {
    const { model, damage } = read(openFile(file));
    const graph = model.graphs[0];
    const [first, ...rest] = graph.nodes;
    if (first === undefined) throw new Error('a model without layers');
    const renamed = {
      ...model,
      graphs: [{ ...graph, nodes: [{ ...first, name: `${first.name}-renamed` }, ...rest] }] as const,
    };
    const bytes = concatBytes(encodeOnnx(renamed));
    const again = read(memoryBytes(bytes));
    expect(again.damage).toEqual(damage);
    expect(again.model.graphs[0].nodes[0]?.name).toBe(`${first.name}-renamed`);
    const seen = again.model.graphs[0];
    expect(seen.nodes.slice(1).map(({ id, op, inputs, outputs }) => [id, op, inputs, outputs])).toEqual(
      rest.map(({ id, op, inputs, outputs }) => [id, op, inputs, outputs]),
    );
    expect([...seen.values.keys()].sort()).toEqual([...graph.values.keys()].sort());
    // Only this node is written anew: its name, the lengths around it, and empty fields that are left out.
    const grown = bytes.length - fs.statSync(file).size;
    expect(Math.abs(grown - (first.name === '' ? 10 : 8))).toBeLessThanOrEqual(16);
  });
});
