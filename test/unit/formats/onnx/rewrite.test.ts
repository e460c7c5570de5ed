import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import protobuf from 'protobufjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { concatBytes } from '../../../../src/ir/bytes.ts';
import { readModelFile, writeModelFile } from '../../../../src/formats/io/models.ts';
import { encodeOnnx } from '../../../../src/formats/onnx/write.ts';
import type { Attribute, OnnxModel } from '../../../../src/ir/model.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import type { TensorInfo } from '../../../../src/runtime/runner.ts';
import { randomDataset } from '../../../../src/runtime/data/random.ts';
import { modelFiles } from '../../support/models.ts';
import { useSourceRunner } from '../../support/runner.ts';

/** Models that ONNX Runtime cannot run here: weights are absent on purpose, or operators are custom. */
const notRunnable = /skeletons|superres/;
const files = modelFiles('.onnx').filter((file) => !notRunnable.test(file));
const runner = startRunner();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-test-'));
beforeAll(useSourceRunner);
afterAll(() => {
  runner.kill();
  fs.rmSync(folder, { recursive: true });
});

/** The same model of new objects throughout, so that nothing can be copied from the file. */
function rebuilt(model: OnnxModel): OnnxModel {
  const graph = model.graphs[0];
  const nodes = graph.nodes.map((node) => ({
    ...node,
    attributes: new Map(
      [...node.attributes].map(([name, value]): [string, Attribute] => [name, { ...value }]),
    ),
  }));
  const values = new Map(
    [...graph.values].map(([id, value]) => [
      id,
      {
        ...value,
        ...(value.type && { type: { ...value.type } }),
        ...(value.constant && { constant: { ...value.constant } }),
      },
    ]),
  );
  return { ...model, graphs: [{ ...graph, nodes, values }] };
}

/** Batch 1; a free length (samples of audio, in a matrix) as long as the models' windows. */
function bound(inputs: readonly TensorInfo[]): TensorInfo[] {
  return inputs.map((input) => ({
    ...input,
    dims: input.dims.map((dim, axis) => (dim >= 0 ? dim : axis > 0 && input.dims.length === 2 ? 512 : 1)),
  }));
}

describe.each(files.map((file) => [path.basename(file), file]))('%s', (name, file) => {
  it('runs with the same outputs after every message was written anew', async () => {
    const target = path.join(folder, name);
    await writeModelFile(rebuilt(readModelFile(file).model as OnnxModel), target);
    const before = await runner.open(file, {});
    const after = await runner.open(target, {});
    const feeds = randomDataset(bound(before.info.inputs), { seed: 5, count: 1 }).feeds(0, 1);
    expect(await after.run(feeds)).toEqual(await before.run(feeds));
    await before.close();
    await after.close();
  });

  it('is valid for an independent protocol-buffer decoder, with the same names', () => {
    const { model } = readModelFile(file);
    const bytes = concatBytes(encodeOnnx(rebuilt(model as OnnxModel)));
    const graph = decodedGraph(bytes);
    expect(graph.node.map((node) => node.opType)).toEqual(model.graphs[0].nodes.map((node) => node.op));
    const initializers = [...model.graphs[0].values.values()].filter((value) => value.constant !== undefined);
    expect(new Set(graph.initializer.map((tensor) => tensor.name))).toEqual(
      new Set(initializers.map((value) => value.name)),
    );
  });
});

interface DecodedGraph {
  readonly node: readonly { readonly opType: string }[];
  readonly initializer: readonly { readonly name: string }[];
}

/** Field numbers of onnx.proto, as far as the check needs them. */
const proto = `syntax = "proto2";
message Model { optional int64 ir_version = 1; optional Graph graph = 7; }
message Graph { repeated Node node = 1; repeated Tensor initializer = 5; }
message Node { repeated string input = 1; repeated string output = 2; optional string op_type = 4; }
message Tensor { repeated int64 dims = 1; optional int32 data_type = 2; optional string name = 8; optional bytes raw_data = 9; }`;

function decodedGraph(bytes: Uint8Array): DecodedGraph {
  const type = protobuf.parse(proto).root.lookupType('Model');
  return (type.decode(bytes) as unknown as { graph: DecodedGraph }).graph;
}
