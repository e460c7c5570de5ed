import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../../src/analysis/analyse.ts';
import { feedsOf } from '../../../../src/ir/model.ts';
import { KerfError } from '../../../../src/ir/errors.ts';
import type { Shape, ValueType } from '../../../../src/ir/types.ts';
import { runtimeTypes } from '../../analysis/oracle.ts';
import type { BackendTest } from './backend/data.ts';
import { backendFolders, backendTests, dataDependent, training } from './backend/data.ts';
import { judge } from './backend/judge.ts';
import { testOf } from './backend/table.ts';
import type { Observed } from './runtime.ts';

/** Verdicts that are not exact, by test. */
function flaws(tests: Iterable<BackendTest>): readonly string[] {
  const found: string[] = [];
  for (const { name, model, outputs } of tests) {
    const verdict = judge(model, outputs);
    if (verdict.kind === 'wrong') found.push(`${name}: ${verdict.message}`);
  }
  return found;
}

const table = path.join(import.meta.dirname, 'backend/table.txt');
const rows = fs.readFileSync(table, 'utf8').trim().split('\n');

describe('what came out of the runs of the ONNX backend tests', () => {
  it(`is what is inferred for ${rows.length} operator calls`, () => {
    expect(flaws(rows.map(testOf))).toEqual([]);
  });
  it('is inferred whole but for operators whose sizes stand in the data', () => {
    const open = rows.map(testOf).filter(({ model, outputs }) => judge(model, outputs).kind === 'open');
    const names = new Set(open.map(({ model }) => model.graphs[0].nodes[0]?.op ?? ''));
    expect([...names].filter((name) => !dataDependent.has(name) && !training.has(name))).toEqual([]);
  });
  it('has a cost or a reason why not', () => {
    for (const { name, model } of rows.map(testOf)) {
      for (const layer of analyse(model).layers) {
        if (layer.flops === undefined) expect(`${name}: ${layer.formula}`).toContain('unknown: ');
        else expect(Number.isFinite(layer.flops) && layer.flops >= 0).toBe(true);
      }
    }
  });
});

/** What ONNX Runtime infers, or `undefined` when it refuses the model. */
async function inferredByRuntime(test: BackendTest): Promise<ReadonlyMap<string, Observed> | undefined> {
  const shapes = new Map<string, Shape>();
  for (const feed of feedsOf(test.model.graphs[0])) {
    if (feed.type?.kind !== 'tensor' || feed.type.shape === undefined) return undefined;
    shapes.set(feed.id, feed.type.shape);
  }
  try {
    return await runtimeTypes(test.model, shapes);
  } catch (error) {
    if (KerfError.is(error)) throw error;
    return undefined;
  }
}

/** A static shape that the runtime is sure of; an empty list may be a scalar or an unknown rank. */
function agrees(observed: Observed, inferred: ValueType | undefined): boolean {
  if (inferred?.kind !== 'tensor' || inferred.dtype !== observed.dtype) return false;
  if (observed.dims.length === 0 || inferred.shape === undefined) return true;
  return (
    observed.dims.length === inferred.shape.length &&
    observed.dims.every((dim, axis) => {
      const own = inferred.shape?.[axis];
      return typeof dim !== 'number' || typeof own !== 'number' || own === dim;
    })
  );
}

describe.runIf(backendFolders().length > 0)('installed backend tests', () => {
  for (const folder of backendFolders()) {
    it(`${folder}: outputs of the runs`, () => {
      expect(flaws(backendTests(folder))).toEqual([]);
    });
    it(`${folder}: types ONNX Runtime infers`, async () => {
      const wrong: string[] = [];
      for (const test of backendTests(folder)) {
        const types = analyse(test.model).types.get(test.model.graphs[0]);
        for (const [id, observed] of (await inferredByRuntime(test)) ?? []) {
          if (!agrees(observed, types?.get(id)))
            wrong.push(`${test.name} ${id}: ${observed.dtype} ${observed.dims}`);
        }
      }
      expect(wrong).toEqual([]);
    });
  }
});
