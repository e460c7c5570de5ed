import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Node, OnnxModel, TfliteModel, Value } from '../../../src/ir/model.ts';
import { floatTensor } from '../../../src/ir/numbers.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { hasShared, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { onnxFeeds, random, runOnnx, sqnrDb } from './runtime.ts';
import { runTflite } from './tflite.ts';

beforeAll(useSourceRunner);

/** Conv-free: x [T, 2, 12] through an LSTM of 20 units and a dense head. */
function lstmModel(direction: string, extras: boolean): OnnxModel {
  const g = new OnnxBuilder(3);
  const directions = direction === 'bidirectional' ? 2 : 1;
  g.input('x', [7, 2, 12]);
  const small = () => 0.4 * g.number();
  const inputs: (string | null)[] = [
    'x',
    g.floats('w', [directions, 80, 12], small),
    g.floats('r', [directions, 80, 20], small),
    extras ? g.floats('b', [directions, 160], small) : null,
    null,
    extras ? g.floats('h0', [directions, 2, 20], small) : null,
    extras ? g.floats('c0', [directions, 2, 20], small) : null,
  ];
  g.node('LSTM', inputs, 'y', { hidden_size: 20, direction }, ['h', 'c']);
  g.node('Reshape', ['y', g.integers('shape', [14, 20 * directions])], 'rows');
  g.node('Gemm', ['rows', g.floats('wo', [20 * directions, 30]), g.floats('bo', [30])], 'z');
  return g.output('z').output('h').model(14);
}

describe('recurrent layers of ONNX', () => {
  it.each([
    ['forward', false],
    ['forward', true],
    ['reverse', true],
    ['bidirectional', true],
  ] as const)('%s, states and biases %s: one operator with int8 weights', async (direction, extras) => {
    const model = lstmModel(direction, extras);
    const { model: after, notes } = await runPass('quantize-dynamic', model, { options: { smallest: 1000 } });
    expect(operatorsOf(after)).toContain('DynamicQuantizeLSTM:1');
    expect(after.opsets.get('com.microsoft')).toBe(1);
    expect(notes.join('\n')).toContain('1 LSTM as ONNX Runtime');
    const feeds = onnxFeeds(model, 2);
    const [before, now] = [await runOnnx(model, feeds), await runOnnx(after, feeds)];
    const noise = sqnrDb(before, now);
    console.info(`LSTM ${direction}: ${noise.toFixed(1)} dB`);
    expect(noise).toBeGreaterThan(40);
  });

  it('keeps an LSTM that cannot be quantized: weights from an input, or batch first', async () => {
    const model = lstmModel('forward', false);
    const [graph] = model.graphs;
    const nodes = graph.nodes.map(
      (node): Node =>
        node.op === 'LSTM'
          ? { ...node, attributes: new Map(node.attributes).set('layout', { kind: 'int', value: 1 }) }
          : node,
    );
    const { model: after } = await runPass('quantize-dynamic', { ...model, graphs: [{ ...graph, nodes }] });
    expect(operatorsOf(after)).toContain('LSTM:1');
    const values = new Map(graph.values);
    const { constant: _, ...open } = values.get('r') as Value;
    values.set('r', open);
    const free = { ...graph, values, inputs: [...graph.inputs, 'r'] };
    const { model: other } = await runPass('quantize-dynamic', { ...model, graphs: [free] });
    expect(operatorsOf(other)).toContain('LSTM:1');
  });

  it('stay in float under static quantization, which says so, and the result runs', async () => {
    const model = lstmModel('bidirectional', true);
    const { model: after, notes } = await runPass('quantize-static', model, {
      calibrator: calibratorFor(model, undefined, 8),
    });
    expect(operatorsOf(after)).toContain('LSTM:1');
    expect(notes.join('\n')).toMatch(/kept in float.*1 LSTM/);
    expect(notes.join('\n')).toContain('quantize-dynamic, applied afterwards');
    const feeds = onnxFeeds(model, 2);
    const truth = await runOnnx(model, feeds);
    expect(sqnrDb(truth, await runOnnx(after, feeds))).toBeGreaterThan(33);
    const { model: both } = await runPass('quantize-dynamic', after, { options: { smallest: 1000 } });
    expect(operatorsOf(both)).toContain('DynamicQuantizeLSTM:1');
    expect(sqnrDb(truth, await runOnnx(both, feeds))).toBeGreaterThan(33);
  });

  it('inside of the bodies of If are named', async () => {
    const body = new OnnxBuilder(1);
    body.node('MatMul', ['y', body.floats('inner', [8, 8])], 'z');
    const g = new OnnxBuilder(2);
    g.node('Gemm', [g.input('x', ['n', 8]), g.floats('w', [8, 8])], 'y');
    const branch = body.output('z').graph('branch');
    g.node('If', [g.input('flag', [], 'bool')], 'z', { then_branch: branch, else_branch: branch });
    const model = g.output('z').model(14);
    const calibrator = calibratorFor(model, undefined, 4);
    const { notes } = await runPass('quantize-static', model, { calibrator });
    expect(notes.join('\n')).toContain(
      'inside of If, Loop or functions, which passes do not enter: 2 MatMul',
    );
  });
});

type Cell = 'UNIDIRECTIONAL_SEQUENCE_LSTM' | 'UNIDIRECTIONAL_SEQUENCE_RNN' | 'SVDF';

/** x [1, 6, 16] (SVDF: [1, 16]) through one recurrent layer of 24 units. */
function tfliteCell(op: Cell): TfliteModel {
  const next = random(11);
  const values = new Map<string, Value>();
  const add = (id: string, shape: readonly number[], more: Partial<Value> = {}): string => {
    values.set(id, { id, name: id, type: tensorType('float32', shape), ...more });
    return id;
  };
  const weight = (id: string, shape: readonly number[]) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const numbers = Float32Array.from({ length: count }, () => 0.6 * (next() - 0.5));
    return add(id, shape, { constant: floatTensor(shape, numbers) });
  };
  const state = (id: string, shape: readonly number[]) => add(id, shape, { variable: true });
  const svdf = op === 'SVDF';
  const x = add('x', svdf ? [1, 16] : [1, 6, 16]);
  const y = add('y', svdf ? [1, 24] : [1, 6, 24]);
  let inputs: (string | null)[];
  if (op === 'UNIDIRECTIONAL_SEQUENCE_LSTM') {
    const gates = [1, 2, 3, 4];
    inputs = [
      x,
      ...gates.map((gate) => weight(`w${gate}`, [24, 16])),
      ...gates.map((gate) => weight(`r${gate}`, [24, 24])),
      null,
      null,
      null,
      ...gates.map((gate) => weight(`b${gate}`, [24])),
      null,
      null,
      state('h', [1, 24]),
      state('c', [1, 24]),
    ];
  } else if (svdf)
    inputs = [x, weight('f', [24, 16]), weight('t', [24, 5]), weight('b', [24]), state('s', [1, 120])];
  else inputs = [x, weight('w', [24, 16]), weight('r', [24, 24]), weight('b', [24]), state('h', [1, 24])];
  const attributes: Node['attributes'] = svdf
    ? new Map([['rank', { kind: 'int', value: 1 }]])
    : new Map([['fused_activation_function', { kind: 'enum', value: 4, name: 'TANH' }]]);
  const node: Node = { id: 'cell', name: '', op, domain: '', version: 1, inputs, outputs: [y], attributes };
  return {
    dialect: 'tflite',
    version: 3,
    description: '',
    metadata: [],
    signatures: [],
    graphs: [{ name: 'main', inputs: [x], outputs: [y], nodes: [node], values }],
  };
}

describe('recurrent layers of TFLite', () => {
  it.each(['UNIDIRECTIONAL_SEQUENCE_LSTM', 'UNIDIRECTIONAL_SEQUENCE_RNN', 'SVDF'] as const)(
    '%s: all matrices in int8, state in float, and the kernel takes them',
    async (op) => {
      const model = tfliteCell(op);
      const { model: after } = await runPass('quantize-dynamic', model, { options: { smallest: 100 } });
      const [cell] = after.graphs[0].nodes;
      const types = (cell?.inputs ?? []).map((id) => after.graphs[0].values.get(id ?? '')?.constant?.dtype);
      const matrices = { UNIDIRECTIONAL_SEQUENCE_LSTM: 8, UNIDIRECTIONAL_SEQUENCE_RNN: 2, SVDF: 2 }[op];
      expect(types.filter((type) => type === 'int8')).toHaveLength(matrices);
      const noise = sqnrDb(await runTflite(model), await runTflite(after));
      console.info(`${op}: ${noise.toFixed(1)} dB`);
      expect(noise).toBeGreaterThan(38);
    },
  );

  it('are left alone below the least size, counted over all matrices, and with peepholes', async () => {
    const model = tfliteCell('UNIDIRECTIONAL_SEQUENCE_LSTM');
    const weights = 4 * 24 * (16 + 24);
    const options = { smallest: weights + 1 };
    const small = await runPass('quantize-dynamic', model, { options });
    expect(small.changed).toEqual([]);
    expect(small.notes.join('\n')).toContain(`1 layers with fewer than ${weights + 1}`);
    const [graph] = model.graphs;
    const peeping = graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((id, at) => (at >= 9 && at <= 11 ? 'b1' : id)),
    }));
    const other = { ...model, graphs: [{ ...graph, nodes: peeping }] } as const;
    const left = await runPass('quantize-dynamic', other, { options: { smallest: 100 } });
    expect(left.changed).toEqual([]);
    expect(left.notes.join('\n')).toContain('peepholes');
  });
});

describe.runIf(hasShared)('trained_lstm.tflite', () => {
  const file = path.join(shared, 'models/tflite/trained_lstm.tflite');

  it.each([
    ['quantize-dynamic', {}, /2 layers have int8 weights/, 29],
    ['quantize-static', {}, /1 recurrent layer has int8 weights/, 26],
    ['quantize-static', { target: 'tflm' }, /1 recurrent layer stays in float/, 36],
  ] as const)('%s %j runs and says what became of the LSTM', async (pass, options, said, least) => {
    const { model } = readModelFile(file);
    const calibrator = calibratorFor(model, undefined, 16);
    const { model: after, notes } = await runPass(pass, model, { options, calibrator });
    expect(notes.join('\n')).toMatch(said);
    const noise = sqnrDb(await runTflite(model), await runTflite(after, model));
    console.info(`${pass} ${JSON.stringify(options)}: ${noise.toFixed(1)} dB`);
    expect(noise).toBeGreaterThan(least);
  });
});
