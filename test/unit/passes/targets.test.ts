import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { targetRefusals } from '../../../src/devices/targets/refusal.ts';
import { targetFor, targets } from '../../../src/devices/targets/registry.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { readFloats, readIntegers } from '../../../src/ir/numbers.ts';
import { indexOf } from '../../../src/ir/walk.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder, runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { onnxFeeds, optimizedOnnx, runOnnx, sqnrDb } from './runtime.ts';
import { network } from './variety.ts';

beforeAll(useSourceRunner);

const refusals = (model: Model, id: string) => {
  const rules = targets.find((each) => each.id === id);
  if (rules === undefined) throw new Error(`no target ${id}`);
  return targetRefusals(model, analyse(model), rules).filter((each) => each.kind !== 'float');
};
const onnxTargets = targets.filter((each) => each.dialect === 'onnx').map((each) => each.id);
const tfliteTargets = targets.filter((each) => each.dialect === 'tflite').map((each) => each.id);

describe('what quantize-static writes for a target passes the check of that target:', () => {
  it.each(onnxTargets)('%s', async (target) => {
    const model = network();
    const calibrator = calibratorFor(model, undefined, 8);
    const { model: quantized } = await runPass('quantize-static', model, { options: { target }, calibrator });
    expect(refusals(quantized, target)).toEqual([]);
    const feeds = onnxFeeds(model, 9);
    expect(sqnrDb(await runOnnx(model, feeds), await runOnnx(quantized, feeds))).toBeGreaterThan(12);
  });

  it.each(tfliteTargets)('%s', async (target) => {
    const { model } = readModelFile(path.join(samples, 'digits.tflite'));
    const calibrator = calibratorFor(model, path.join(samples, 'digits-calibration.npz'));
    const { model: quantized } = await runPass('quantize-static', model, { options: { target }, calibrator });
    expect(refusals(quantized, target)).toEqual([]);
  });

  const nets = hasShared ? ['kws_ref_model_float32', 'vww_96_float'] : [];
  it.each(nets.flatMap((net) => tfliteTargets.map((target) => [net, target] as const)))(
    '%s for %s',
    async (net, target) => {
      const { model } = readModelFile(path.join(shared, 'models/tflite', `${net}.tflite`));
      const calibrator = calibratorFor(model, undefined, 2);
      const { model: quantized } = await runPass('quantize-static', model, {
        options: { target },
        calibrator,
      });
      expect(refusals(quantized, target)).toEqual([]);
    },
  );
});

describe('the numbers of a target', () => {
  const quantize = async (target: string) => {
    const model = network();
    const calibrator = calibratorFor(model, undefined, 4);
    return (
      await runPass('quantize-static', model, {
        options: { target, equalize: false, rounding: 'nearest' },
        calibrator,
      })
    ).model;
  };
  const constants = (model: OnnxModel, name: RegExp) =>
    [...model.graphs[0].values.values()].flatMap(({ id, constant }) =>
      constant !== undefined && name.test(id) ? [constant] : [],
    );

  it('are symmetric int8 activations for TensorRT, with pairs before weighted layers and on the residual only', async () => {
    const model = await quantize('tensorrt');
    for (const zero of constants(model, /^q\d+_zero$/)) {
      expect(zero.dtype).toBe('int8');
      expect(readIntegers(zero)).toEqual([0]);
    }
    const readers = model.graphs[0].nodes.filter((node) =>
      node.inputs.some((id) => /^q\d+_dq$/.test(id ?? '')),
    );
    expect(new Set(readers.map((node) => node.op))).toEqual(new Set(['Conv', 'Gemm', 'Add']));
  });

  it('are 7-bit weights on x86 without VNNI', async () => {
    const codes = constants(await quantize('ort-x86'), /_int8$/).flatMap((tensor) => readIntegers(tensor));
    expect(Math.max(...codes.map(Math.abs))).toBe(63);
  });

  it('are one scale for the weights of Gemm on QNN, and everything is quantized', async () => {
    const model = await quantize('qnn');
    const [scale] = constants(model, /^v_scale$/);
    expect(scale && readFloats(scale)).toHaveLength(1);
    const { producer } = indexOf(model.graphs[0]);
    for (const node of model.graphs[0].nodes) {
      const maker = producer.get(node.inputs[0] ?? '');
      if (!node.op.endsWith('Linear') && node.op !== 'Clip' && node.op !== 'Relu')
        expect(`${node.op} after ${maker?.op}`).toBe(`${node.op} after DequantizeLinear`);
    }
  });
});

describe('weights that are moved for the sake of a kernel', () => {
  const layers = () => {
    const g = new OnnxBuilder(9);
    g.input('x', [1, 32, 6, 6]);
    const conv = (
      from: string,
      to: string,
      dims: readonly number[],
      more: Record<string, number | number[]> = {},
    ) => {
      const scale = Math.sqrt(3 / (dims[1] as number) / (dims[2] as number) ** 2);
      const weight = g.floats(`${to}.w`, dims, () => g.number() * scale);
      return g.node('Conv', [from, weight, g.floats(`${to}.b`, [dims[0] as number])], to, more);
    };
    conv('x', 'shallow', [352, 32, 1, 1]);
    conv('shallow', 'deep', [40, 352, 1, 1]);
    conv('deep', 'wide', [96, 40, 3, 3], { pads: [1, 1, 1, 1] });
    conv('wide', 'narrow', [64, 96, 3, 3], { pads: [1, 1, 1, 1] });
    conv('wide', 'strided', [64, 96, 2, 2], { strides: [2, 2] });
    conv('wide', 'depthwise', [96, 1, 5, 5], { group: 96 });
    g.node('GlobalAveragePool', ['wide'], 'mean');
    conv('mean', 'single', [16, 96, 1, 1]);
    for (const id of ['narrow', 'strided', 'depthwise', 'single']) g.output(id);
    return g.model(14);
  };
  const zeros = (model: OnnxModel) => {
    const [graph] = model.graphs;
    const { producer } = indexOf(graph);
    return Object.fromEntries(
      graph.nodes.flatMap(({ op, inputs: [, weight] }) => {
        const maker = op === 'Conv' ? producer.get(weight ?? '') : undefined;
        const zero = graph.values.get(maker?.inputs[2] ?? '')?.constant;
        const name = (maker?.inputs[0] ?? '').split('.')[0] ?? '';
        return zero === undefined ? [] : [[name, [...new Set(readIntegers(zero))]]];
      }),
    );
  };
  const written = async (target: string) => {
    const model = layers();
    const calibrator = calibratorFor(model, undefined, 4);
    return (await runPass('quantize-static', model, { options: { target, equalize: false }, calibrator }))
      .model;
  };

  it('are those of large layers only, by the size that the target names', async () => {
    expect(zeros(await written('ort-x86-amx'))).toEqual({
      shallow: [0],
      deep: [-1],
      wide: [-1],
      narrow: [0],
      strided: [0],
      depthwise: [0],
      single: [0],
    });
  });

  it('mean the same: ONNX Runtime gives the same results up to the rounding of single codes', async () => {
    const [moved, plain] = [await written('ort-x86-amx'), await written('ort-x86-vnni')];
    const feeds = onnxFeeds(plain, 3);
    const [a, b] = [await runOnnx(moved, feeds), await runOnnx(plain, feeds)];
    for (const id of Object.keys(b)) {
      const step = Math.max(...(b[id] as Float32Array).map(Math.abs)) / 64;
      for (const [i, value] of (b[id] as Float32Array).entries())
        expect(Math.abs((a[id]?.[i] as number) - value)).toBeLessThan(step);
    }
    expect(sqnrDb(b, a)).toBeGreaterThan(45);
  });

  it('are refused where the kernels take symmetric ones, and requantize takes the zero point away', async () => {
    const moved = await written('ort-x86-amx');
    expect(refusals(moved, 'ort-x86-amx')).toEqual([]);
    expect(refusals(await written('ort-x86-vnni'), 'ort-x86-amx')).toEqual([]);
    for (const target of ['ort-x86-vnni', 'qnn', 'coreml', 'tensorrt'])
      expect(refusals(moved, target).map(({ reason }) => reason)).toContain(
        'its weights have a zero point; the kernels take symmetric ones',
      );
    const calibrator = calibratorFor(moved, undefined, 4);
    const again = async (model: OnnxModel, target: string) =>
      (await runPass('requantize', model, { options: { target }, calibrator })).model;
    const plain = await again(moved, 'x86');
    expect(refusals(plain, 'ort-x86-vnni')).toEqual([]);
    expect(zeros(await again(plain, 'ort-x86-amx'))).toEqual(zeros(moved));
  });

  it('run on integers', async () => {
    const optimized = await optimizedOnnx(await written('ort-x86-amx'));
    const ops = optimized.graphs[0].nodes.map((node) => node.op);
    expect(ops.filter((op) => op === 'QLinearConv')).toHaveLength(7);
    expect(ops).not.toContain('Conv');
  });
});

describe('a target refuses', () => {
  const x86 = async (target = 'ort-x86-vnni') => {
    const model = network();
    const calibrator = calibratorFor(model, undefined, 4);
    return (await runPass('quantize-static', model, { options: { target }, calibrator })).model;
  };

  it('what was quantized for another one, with layer and reason', async () => {
    const found = refusals(await x86(), 'tensorrt');
    expect(found.map((each) => each.reason)).toContain('its activations are uint8; the kernels take int8');
    expect(refusals(await x86(), 'ort-x86').map((each) => each.reason)).toContain(
      'its weights use more than 7 bits, whose sums of products overflow',
    );
    const qnn = refusals(await x86(), 'qnn');
    expect(qnn).toContainEqual({
      layer: 'Softmax:y',
      kind: 'processor',
      reason: 'Softmax stays float: its inputs are not quantized',
    });
  });

  it('convolutions whose result is not quantized, and scales that should be equal', async () => {
    const quantized = await x86('ort-arm');
    const graph = quantized.graphs[0];
    const pool = graph.nodes.find((node) => node.op === 'MaxPool');
    const values = new Map(graph.values);
    const after = graph.nodes.find((node) => node.inputs[0] === pool?.outputs[0]);
    const nodes = graph.nodes.map((node) =>
      node === after
        ? { ...node, inputs: [node.inputs[0] ?? null, 'q1_scale', node.inputs[2] ?? null] }
        : node,
    );
    const changed = { ...quantized, graphs: [{ ...graph, values, nodes }] as const };
    expect(refusals(changed, 'ort-arm').map((each) => each.reason)).toContain(
      'its result must have the scale and zero point of its input',
    );
  });

  it('float models where floats change the processor, and says nothing of them elsewhere', () => {
    expect(refusals(network(), 'qnn').length).toBeGreaterThan(10);
    expect(refusals(network(), 'ort-arm')).toEqual([]);
    expect(refusals(network(), 'tflm')).toEqual([
      { layer: '', kind: 'dialect', reason: 'it loads TFLite models, not ONNX; convert this one first' },
    ]);
  });

  it.runIf(hasShared)('what comes after the first operator that an Edge TPU does not take', () => {
    const { model } = readModelFile(path.join(shared, 'models/tflite/micro_speech_quantized.tflite'));
    expect(refusals(model, 'edgetpu')).toEqual([]);
    const { model: svdf } = readModelFile(path.join(shared, 'models/tflite/keyword_scrambled_8bit.tflite'));
    const found = refusals(svdf, 'edgetpu');
    expect(found[0]?.reason).toContain('has no integer kernel');
    expect(found.some((each) => each.reason.startsWith('it comes after'))).toBe(true);
  });

  it.runIf(hasShared)(
    'no recurrent layer that brings its own integers, where there are kernels for it',
    () => {
      const read = (file: string) => readModelFile(path.join(shared, 'models/tflite', file)).model;
      for (const target of ['tflm', 'xnnpack']) {
        for (const file of ['trained_lstm_int8.tflite', 'dtln.tflite', 'keyword_scrambled_8bit.tflite'])
          expect(refusals(read(file), target)).toEqual([]);
        expect(refusals(read('person_detect_vela.tflite'), target)).toMatchObject([{ kind: 'refused' }]);
      }
      expect(refusals(read('person_detect_vela.tflite'), 'ethos-u')).toEqual([]);
    },
  );
});

it('a target of the other dialect is named as such', () => {
  expect(() => targetFor('qnn', 'tflite')).toThrow(/loads onnx models; for tflite there are xnnpack/);
  expect(() => targetFor('abacus', 'onnx')).toThrow(/there is no such target/);
});
