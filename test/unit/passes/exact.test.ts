import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { PassContext } from '../../../src/passes/pass.ts';
import { passById } from '../../../src/passes/registry.ts';
import { modelFiles } from '../support/models.ts';
import { onnxFeeds, openOnnx, relativeError, runOnnx } from './runtime.ts';

const context: PassContext = { seed: 1, step: async () => {} };

/** Skeletons have no weights to run with, and superres needs an operator library that is not here. */
const files = modelFiles('.onnx').filter((file) => !/skeletons|superres/.test(file));

describe.each(['simplify', 'fuse'])('%s keeps the results of', (id) => {
  it.each(files.map((file) => [path.basename(file), file]))('%s', async (_, file) => {
    const pass = passById(id);
    const { model } = readModelFile(file);
    if (pass === undefined || model.dialect !== 'onnx') throw new Error('no such pass');
    const result = await pass.run(model, {}, context);
    const again = await pass.run(result.model, {}, context);
    expect(again.model).toBe(result.model);
    expect(again.changed).toEqual([]);
    if (result.model.dialect !== 'onnx') throw new Error('dialect changed');
    const feeds = onnxFeeds(model, 7);
    const before = await runOnnx(await openOnnx(model), feeds);
    const after = await runOnnx(await openOnnx(result.model), feeds);
    console.log(
      id,
      path.basename(file),
      model.graphs[0].nodes.length,
      '->',
      result.model.graphs[0].nodes.length,
      relativeError(before, after),
    );
    expect(relativeError(before, after)).toBeLessThan(1e-4);
  });
});
