import fs from 'node:fs';
import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { concatParts, openFile } from '../../../../src/formats/io/files.ts';
import { missingBytes } from '../../../../src/ir/bytes.ts';
import { readOnnx } from '../../../../src/formats/onnx/read.ts';
import { encodeOnnx } from '../../../../src/formats/onnx/write.ts';
import { GraphEditor } from '../../../../src/ir/edit.ts';
import { withMainGraph } from '../../../../src/ir/model.ts';
import { modelFiles } from '../../support/models.ts';

const read = (file: string) =>
  readOnnx(openFile(file), (reference, length) => missingBytes(length, reference.location));

describe.each(modelFiles('.onnx').map((file) => [path.basename(file), file]))('%s', (_, file) => {
  it('is written back byte for byte when unchanged', () => {
    const { model } = read(file);
    expect(Buffer.compare(concatParts(encodeOnnx(model)), fs.readFileSync(file))).toBe(0);
  });

  it('keeps everything when every message is re-encoded', () => {
    const { model, damage } = read(file);
    const touched = {
      ...model,
      graphs: model.graphs.map((graph) => ({ ...graph, nodes: graph.nodes.map((node) => ({ ...node })) })),
    };
    const bytes = concatParts(encodeOnnx(touched as unknown as typeof model));
    const copy = path.join(fs.mkdtempSync('/tmp/kerf-'), 'copy.onnx');
    fs.writeFileSync(copy, bytes);
    const again = read(copy);
    expect(again.damage).toEqual(damage);
    const seen = again.model.graphs[0];
    expect(seen.nodes.map((node) => [node.id, node.op, node.inputs, node.outputs])).toEqual(
      model.graphs[0].nodes.map((node) => [node.id, node.op, node.inputs, node.outputs]),
    );
    expect([...seen.values.keys()].sort()).toEqual([...model.graphs[0].values.keys()].sort());
  });
});
