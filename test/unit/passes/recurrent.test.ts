import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Attribute, Node, OnnxModel, TfliteModel, Value } from '../../../src/ir/model.ts';
import { floatTensor, intTensor } from '../../../src/ir/numbers.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { hasShared, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { calibratorFor, givenRanges } from './calibrate.ts';
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
    const said = 'inside of If, Loop or functions, which passes do not enter: 2 MatMul';
    expect(notes.join('\n')).toContain(said);
    for (const pass of ['quantize-dynamic', 'quantize-weights'])
      expect((await runPass(pass, model)).notes.join('\n')).toContain(said);
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
      null,
      null,
      null,
      null,
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

type Change = (graph: TfliteModel['graphs'][0]) => TfliteModel['graphs'][0];

/** The one recurrent layer with other inputs or options. */
function changed(model: TfliteModel, change: Change): TfliteModel {
  return { ...model, graphs: [change(model.graphs[0])] };
}

const withInputs =
  (at: (index: number, id: string | null) => string | null): Change =>
  (graph) => ({
    ...graph,
    nodes: graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map((id, index) => at(index, id)) })),
  });

const withAttribute =
  (name: string, attribute: Attribute): Change =>
  (graph) => ({
    ...graph,
    nodes: graph.nodes.map((node) => ({
      ...node,
      attributes: new Map(node.attributes).set(name, attribute),
    })),
  });

/** 24 units whose results are projected to 10 numbers. */
const projected: Change = (graph) => {
  const values = new Map(graph.values);
  const next = random(3);
  const floats = (dims: readonly number[]) =>
    floatTensor(
      dims,
      Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => next() - 0.5),
    );
  const set = (id: string, dims: readonly number[], more: Partial<Value>) =>
    values.set(id, { id, name: id, type: tensorType('float32', dims), ...more });
  for (const gate of [1, 2, 3, 4]) set(`r${gate}`, [24, 10], { constant: floats([24, 10]) });
  set('p', [10, 24], { constant: floats([10, 24]) });
  set('pb', [10], { constant: floats([10]) });
  set('h', [1, 10], { variable: true });
  set('y', [1, 6, 10], {});
  const places: Readonly<Record<number, string>> = { 16: 'p', 17: 'pb' };
  return withInputs((index, id) => places[index] ?? id)({ ...graph, values });
};

describe('recurrent layers of TFLite on integers alone', () => {
  const lstm = () => tfliteCell('UNIDIRECTIONAL_SEQUENCE_LSTM');
  const relu: Attribute = { kind: 'enum', value: 1, name: 'RELU' };
  /** Time first inside, between transposes: datasets have their samples first. */
  const timeMajor: Change = (graph) => {
    const values = new Map(graph.values);
    const add = (id: string, shape: readonly number[]) =>
      values.set(id, { id, name: id, type: tensorType('float32', shape) });
    add('xt', [6, 1, 16]);
    add('yt', [6, 1, 24]);
    values.set('order', { id: 'order', name: 'order', constant: intTensor('int32', [3], [1, 0, 2]) });
    const inside = withAttribute('time_major', { kind: 'bool', value: true })(graph);
    const turn = (id: string, from: string, to: string): Node => {
      return {
        id,
        name: '',
        op: 'TRANSPOSE',
        domain: '',
        inputs: [from, 'order'],
        outputs: [to],
        attributes: new Map(),
      };
    };
    const cells = inside.nodes.map((node) => ({
      ...node,
      inputs: ['xt', ...node.inputs.slice(1)],
      outputs: ['yt'],
    }));
    return { ...graph, values, nodes: [turn('in', 'x', 'xt'), ...cells, turn('out', 'yt', 'y')] };
  };

  it.each([
    ['plain', lstm()],
    [
      'input and forget gate coupled',
      changed(
        lstm(),
        withInputs((i, id) => ([1, 5, 12].includes(i) ? null : id)),
      ),
    ],
    ['a projection', changed(lstm(), projected)],
    ['a clip of 0.1', changed(lstm(), withAttribute('cell_clip', { kind: 'float', value: 0.1 }))],
    ['time first', changed(lstm(), timeMajor)],
    ['SVDF', changed(tfliteCell('SVDF'), withAttribute('fused_activation_function', relu))],
  ] as const)('%s', async (_, model) => {
    const { model: after, notes } = await runPass('quantize-static', model, {
      calibrator: calibratorFor(model, undefined, 32),
    });
    expect(notes.join('\n')).toMatch(/(1 of 1|3 of 3) operators run on int8/);
    const [graph] = after.graphs as TfliteModel['graphs'];
    const types = graph.nodes.flatMap(({ inputs, outputs }) =>
      [...inputs, ...outputs].map((id) => graph.values.get(id ?? '')?.type),
    );
    expect(types.filter((type) => type?.kind === 'tensor' && type.dtype === 'float32')).toEqual([]);
    const noise = sqnrDb(await runTflite(model, model, 1), await runTflite(after, model, 1));
    const carried = sqnrDb(await runTflite(model), await runTflite(after, model));
    console.info(`${_}: ${noise.toFixed(1)} dB, with a state carried on ${carried.toFixed(1)} dB`);
    expect(noise).toBeGreaterThan(30);
    expect(carried).toBeGreaterThan(30);
  });

  it('a cell state that grows beyond 1 gets the integer bits it needs', async () => {
    const counting = changed(lstm(), (graph) => {
      const values = new Map(graph.values);
      for (const [id, bias] of [
        ['b1', 4],
        ['b2', 6],
        ['b3', 3],
      ] as const) {
        const constant = floatTensor([24], new Float32Array(24).fill(bias));
        values.set(id, { ...(values.get(id) as Value), constant });
      }
      return { ...graph, values };
    });
    const calibrator = calibratorFor(counting, undefined, 8);
    const { model: after } = await runPass('quantize-static', counting, { calibrator });
    const [graph] = after.graphs as TfliteModel['graphs'];
    const state = graph.values.get(graph.nodes[0]?.inputs[19] ?? '');
    // Six steps of nearly 1 each, and twice that for a state that is carried on: four integer bits.
    expect(state?.quantization?.scale[0]).toBe(2 ** -11);
    expect(
      sqnrDb(await runTflite(counting, counting, 1), await runTflite(after, counting, 1)),
    ).toBeGreaterThan(27);
  });

  it.each([
    [
      'peepholes',
      changed(
        lstm(),
        withInputs((i, id) => (i >= 9 && i <= 11 ? 'b1' : id)),
      ),
      /peepholes/,
    ],
    [
      'layer normalization',
      changed(
        lstm(),
        withInputs((i, id) => (i >= 20 ? 'b1' : id)),
      ),
      /layer normalization/,
    ],
    [
      'RNN',
      tfliteCell('UNIDIRECTIONAL_SEQUENCE_RNN'),
      /no full-integer kernel for UNIDIRECTIONAL_SEQUENCE_RNN/,
    ],
    ['SVDF without RELU', tfliteCell('SVDF'), /RELU only/],
  ] as const)('%s: refused in one line beside a layer that is quantized', async (_, model, said) => {
    const more = changed(model, (graph) => {
      const values = new Map(graph.values);
      const softmax = { id: 'end', name: '', op: 'LOGISTIC', domain: '', inputs: ['y'], outputs: ['z'] };
      values.set('z', { ...(values.get('y') as Value), id: 'z', name: 'z' });
      return {
        ...graph,
        values,
        nodes: [...graph.nodes, { ...softmax, attributes: new Map() }],
        outputs: ['z'],
      };
    });
    const run = runPass('quantize-static', more, {
      calibrator: givenRanges({}),
      options: { target: 'tflm' },
    });
    const { notes } = await run;
    expect(notes.filter((note) => said.test(note))).toHaveLength(1);
  });
});

describe.runIf(hasShared)('trained_lstm.tflite', () => {
  const file = path.join(shared, 'models/tflite/trained_lstm.tflite');

  it.each([
    ['quantize-dynamic', {}, /2 layers have int8 weights/, 29],
    ['quantize-static', {}, /4 of 4 operators run on int8/, 28],
    ['quantize-static', { target: 'tflm' }, /4 of 4 operators run on int8/, 28],
    ['quantize-static', { scheme: 'w8a16', io: 'float' }, /takes no 16-bit activations/, 26],
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
