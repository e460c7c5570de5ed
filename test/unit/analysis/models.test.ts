import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Analysis } from '../../../src/analysis/report.ts';
import type { Model } from '../../../src/ir/model.ts';
import { feedsOf } from '../../../src/ir/model.ts';
import type { Shape } from '../../../src/ir/types.ts';
import { isStatic } from '../../../src/ir/types.ts';
import { modelFiles } from '../support/models.ts';
import { runtimeTypes } from './oracle.ts';

const bind = { sequence: 512, sr: 1 };
/** Its first and last layers are ONNX Runtime Extensions operators, which no runtime in Node has. */
const custom = new Set(['superres.onnx']);

function inputShapes(model: Model): ReadonlyMap<string, Shape> {
  const types = analyse(model, { bind }).types.get(model.graphs[0]);
  const shapes = new Map<string, Shape>();
  for (const feed of feedsOf(model.graphs[0])) {
    const type = types?.get(feed.id);
    if (type?.kind === 'tensor' && isStatic(type.shape)) shapes.set(feed.id, type.shape);
  }
  return shapes;
}

/** Blocks that live at the same step do not overlap, and the peak is close to the largest sum of live bytes. */
function expectSoundPlan({ memory, totals }: Analysis): void {
  if (memory === undefined) throw new Error('no memory plan');
  expect(totals.peakActivationBytes).toBe(memory.peakBytes);
  expect(memory.lowerBoundBytes).toBe(Math.max(...memory.live));
  expect(memory.peakBytes).toBeGreaterThanOrEqual(memory.lowerBoundBytes);
  expect(memory.peakBytes / memory.lowerBoundBytes).toBeLessThanOrEqual(1.05);
  const blocks = [...memory.blocks].sort((a, b) => a.first - b.first);
  let live: (typeof blocks)[number][] = [];
  for (const block of blocks) {
    live = live.filter((other) => other.last >= block.first);
    const overlap = live.find(
      (other) => other.offset < block.offset + block.bytes && block.offset < other.offset + other.bytes,
    );
    expect(overlap?.value).toBeUndefined();
    live.push(block);
  }
}

describe('every TFLite model at hand', () => {
  for (const file of modelFiles('.tflite')) {
    const name = path.basename(file);
    if (name === 'person_detect_vela.tflite') {
      it(`${name}: the arena is the one its compiler planned, an Ethos-U's scratch that all tensors share`, () => {
        const { memory } = analyse(readModelFile(file).model);
        expect(memory?.peakBytes).toBe(74_464);
        expect(memory?.blocks.map((block) => block.offset)).toEqual([0, 0, 0, 0]);
      });
      continue;
    }
    it(`${name}: the arena is within 5 % of the bound`, () => {
      expectSoundPlan(analyse(readModelFile(file).model));
    });
  }
});

describe('every ONNX model at hand', () => {
  for (const file of modelFiles('.onnx')) {
    const name = path.basename(file);
    const { model } = readModelFile(file);
    if (model.dialect !== 'onnx') continue;
    if (custom.has(name)) {
      it(`${name}: its custom operators are named, and so is what follows from them`, () => {
        const { unresolved, totals } = analyse(model);
        const roots = unresolved.filter((each) => !each.reason.startsWith('follows from'));
        expect(roots.map((each) => each.op)).toEqual(['DecodeImage', 'EncodeImage']);
        expect(totals.macs).toBeUndefined();
      });
      continue;
    }
    it(`${name}: no shape is unresolved once free dimensions are bound`, () => {
      const analysis = analyse(model, { bind });
      expect(analysis.unresolved).toEqual([]);
      expect(analysis.freeDimensions).toEqual([]);
      for (const types of analysis.types.values()) {
        for (const type of types.values()) expect(type.kind === 'tensor' && isStatic(type.shape)).toBe(true);
      }
    });
    it(`${name}: the arena is within 5 % of the bound`, () => {
      expectSoundPlan(analyse(model, { bind }));
    });
    it(`${name}: types equal those ONNX Runtime infers`, async () => {
      const observed = await runtimeTypes(model, inputShapes(model));
      const inferred = analyse(model, { bind }).types.get(model.graphs[0]);
      let compared = 0;
      for (const [id, each] of observed) {
        const type = inferred?.get(id);
        if (type?.kind !== 'tensor') throw new Error(`${id} has no type`);
        expect(`${id}: ${type.dtype}`).toBe(`${id}: ${each.dtype}`);
        // An empty list means a scalar or an unknown rank; symbols are what the runtime could not work out.
        if (each.dims.length === 0 || each.dims.some((dim) => typeof dim === 'string')) continue;
        expect(`${id}: ${type.shape}`).toBe(`${id}: ${each.dims}`);
        compared += 1;
      }
      expect(compared).toBeGreaterThan(observed.size / 5);
    });
  }
});
