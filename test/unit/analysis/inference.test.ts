import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { attr } from '../../../src/ir/attribute.ts';
import type { FunctionDef, Graph, OnnxModel } from '../../../src/ir/model.ts';
import { floatTensor, numberTensor } from '../../../src/ir/numbers.ts';
import { formatShape } from '../../../src/ir/types.ts';
import { constant, graph, node, onnxModel, value } from '../ops/onnx/build.ts';
import { observe } from '../ops/onnx/runtime.ts';

const weight = (id: string, ...dims: number[]) =>
  constant(id, floatTensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1))));
const list = (id: string, ...numbers: number[]) =>
  constant(id, numberTensor('int64', [numbers.length], numbers));
const scalar = (id: string, number: number) => constant(id, numberTensor('int64', [], [number]));

function shapesOf(model: OnnxModel, bind: Record<string, number> = {}, within: Graph = model.graphs[0]) {
  const types = analyse(model, { bind }).types.get(within);
  return Object.fromEntries(
    [...(types ?? [])].map(([id, type]) => [
      id,
      type.kind === 'tensor' ? formatShape(type.shape) : type.kind,
    ]),
  );
}

/** Reads a shape, keeps its first two dimensions and flattens the rest: what exporters write for `view(n, c, -1)`. */
const flattening = onnxModel(
  graph('g', {
    inputs: [value('x', 'float32', ['batch', 'channels', 'height', 4])],
    outputs: ['y'],
    values: [list('first', 0), list('second', 1), list('rest', -1), weight('scale', 1, 1, 1)],
    nodes: [
      node('Shape', ['x'], ['shape']),
      node('Gather', ['shape', 'first'], ['n'], { axis: 0 }),
      node('Gather', ['shape', 'second'], ['c'], { axis: 0 }),
      node('Concat', ['n', 'c', 'rest'], ['target'], { axis: 0 }),
      node('Reshape', ['x', 'target'], ['flat']),
      node('Mul', ['flat', 'scale'], ['y']),
    ],
  }),
);

describe('free dimensions', () => {
  it('take the batch as 1, keep other symbols and leave their cost unknown', () => {
    expect(shapesOf(flattening)).toMatchObject({ flat: '1×channels×4*height', y: '1×channels×4*height' });
    const { freeDimensions, totals, unresolved, memory } = analyse(flattening);
    expect(freeDimensions).toEqual(['channels', 'height']);
    expect(totals.flops).toBeUndefined();
    expect(totals.peakActivationBytes).toBeUndefined();
    expect(memory).toBeUndefined();
    expect(unresolved).toEqual([]);
  });

  it('are bound by symbol, by input name and by axis', () => {
    expect(shapesOf(flattening, { channels: 3, height: 5, batch: 2 }).y).toBe('2×3×20');
    expect(shapesOf(flattening, { x: 7, 'x[1]': 2, 'x[2]': 3 }).y).toBe('7×2×12');
    expect(analyse(flattening, { bind: { channels: 3, height: 5 } }).totals.flops).toBe(60);
  });

  it('survive the detour exporters take for expand(-1, …)', () => {
    const model = onnxModel(
      graph('g', {
        inputs: [value('x', 'float32', ['n', 1, 4]), value('like', 'float32', ['n', 'seq', 4])],
        outputs: ['y'],
        values: [list('minus', -1)],
        nodes: [
          node('Shape', ['like'], ['shape']),
          node('Shape', ['shape'], ['rank']),
          node('ConstantOfShape', ['rank'], ['ones'], {
            value: attr.tensor(numberTensor('int64', [1], [1])),
          }),
          node('Equal', ['shape', 'minus'], ['keep']),
          node('Where', ['keep', 'ones', 'shape'], ['target']),
          node('Expand', ['x', 'target'], ['y']),
        ],
      }),
    );
    expect(shapesOf(model).y).toBe('1×seq×4');
    expect(shapesOf(model, { n: 2, seq: 9 }).y).toBe('2×9×4');
  });

  it('are named after their input when they have no name', () => {
    const model = onnxModel(
      graph('g', {
        inputs: [value('x', 'float32', [null, null])],
        outputs: ['y'],
        nodes: [node('Relu', ['x'], ['y'])],
      }),
    );
    expect(analyse(model).freeDimensions).toEqual(['x[1]']);
    expect(shapesOf(model, { 'x[1]': 6 }).y).toBe('1×6');
  });
});

it('keeps one analysis per model value and binding', () => {
  expect(analyse(flattening)).toBe(analyse(flattening));
  expect(analyse(flattening, { bind: { height: 1, batch: 2 } })).toBe(
    analyse(flattening, { bind: { batch: 2, height: 1 } }),
  );
  expect(analyse({ ...flattening })).not.toBe(analyse(flattening));
});

describe('control flow', () => {
  const branch = (name: string, rows: number) =>
    graph(name, {
      outputs: [`${name}_y`],
      values: [weight(`${name}_w`, rows, 8)],
      nodes: [node('MatMul', [`${name}_w`, 'x'], [`${name}_y`])],
    });
  const branches = { then_branch: attr0(branch('yes', 3)), else_branch: attr0(branch('no', 5)) };
  function attr0(body: Graph) {
    return { kind: 'graph', value: body } as const;
  }
  const x = value('x', 'float32', [8, 2]);

  it('joins both branches of an If and counts the dearer one', () => {
    const model = onnxModel(
      graph('g', {
        inputs: [x, value('c', 'bool', [])],
        outputs: ['y'],
        nodes: [node('If', ['c'], ['y'], branches)],
      }),
    );
    const { layers, totals, unresolved } = analyse(model);
    expect(layers[0]?.outputShapes).toEqual(['?×2']);
    expect(unresolved.map((each) => each.value)).toEqual(['y']);
    expect(totals).toMatchObject({ macs: 5 * 2 * 8, params: 64 });
  });

  it('takes the branch a constant condition chooses', async () => {
    const condition = constant('c', numberTensor('bool', [], [1]));
    const model = onnxModel(
      graph('g', {
        inputs: [x],
        outputs: ['y'],
        values: [condition],
        nodes: [node('If', ['c'], ['y'], branches)],
      }),
    );
    expect(analyse(model).totals.macs).toBe(3 * 2 * 8);
    expect(shapesOf(model).y).toBe('3×2');
    expect(shapesOf(model, {}, branches.else_branch.value).no_y).toBe('5×2');
    expect((await observe(model)).get('y')?.dims).toEqual([3, 2]);
  });

  it('runs a Loop body as often as its trip count says and stacks what it scans', async () => {
    const body = graph('body', {
      inputs: [value('i', 'int64', []), value('go', 'bool', []), value('state', 'float32', [2, 2])],
      outputs: ['go_on', 'next', 'seen'],
      values: [weight('square', 2, 2)],
      nodes: [
        node('Identity', ['go'], ['go_on']),
        node('MatMul', ['state', 'square'], ['next']),
        node('ReduceSum', ['next'], ['seen'], { keepdims: 0 }),
      ],
    });
    const model = onnxModel(
      graph('g', {
        inputs: [value('s', 'float32', [2, 2])],
        outputs: ['last', 'all'],
        values: [scalar('trips', 7), constant('go0', numberTensor('bool', [], [1]))],
        nodes: [node('Loop', ['trips', 'go0', 's'], ['last', 'all'], { body: attr0(body) })],
      }),
    );
    expect(shapesOf(model)).toMatchObject({ last: '2×2', all: '7' });
    expect(analyse(model).totals).toMatchObject({ macs: 7 * 8, params: 4 });
    expect(Object.fromEntries(await observe(model))).toMatchObject({
      last: { dims: [2, 2] },
      all: { dims: [7] },
    });
  });

  it('gives up a loop-carried dimension that grows', () => {
    const body = graph('body', {
      inputs: [value('i', 'int64', []), value('go', 'bool', []), value('state', 'float32')],
      outputs: ['go', 'next'],
      nodes: [node('Concat', ['state', 'state'], ['next'], { axis: 0 })],
    });
    const model = onnxModel(
      graph('g', {
        inputs: [value('s', 'float32', [2, 3])],
        outputs: ['last'],
        values: [scalar('trips', 3)],
        nodes: [node('Loop', ['trips', null, 's'], ['last'], { body: attr0(body) })],
      }),
    );
    expect(shapesOf(model).last).toBe('?×3');
    const { unresolved } = analyse(model);
    expect(unresolved.find((each) => each.value === 'last')?.reason).toBe('the shape depends on data');
  });

  it('slices scanned inputs and stacks scanned outputs', async () => {
    const body = graph('body', {
      inputs: [value('sum', 'float32', [2]), value('row', 'float32', [2])],
      outputs: ['added', 'copy'],
      nodes: [node('Add', ['sum', 'row'], ['added']), node('Identity', ['added'], ['copy'])],
    });
    const model = onnxModel(
      graph('g', {
        inputs: [value('zero', 'float32', [2]), value('rows', 'float32', [5, 2])],
        outputs: ['total', 'partial'],
        nodes: [
          node('Scan', ['zero', 'rows'], ['total', 'partial'], { body: attr0(body), num_scan_inputs: 1 }),
        ],
      }),
    );
    expect(shapesOf(model)).toMatchObject({ total: '2', partial: '5×2' });
    expect(analyse(model).totals.flops).toBe(10);
    expect(Object.fromEntries(await observe(model))).toMatchObject({ partial: { dims: [5, 2] } });
  });
});

describe('model-local functions', () => {
  const def: FunctionDef = {
    domain: 'local',
    name: 'Scaled',
    overload: '',
    attributes: ['alpha'],
    defaults: new Map([['axis', attr.int(0)]]),
    opsets: new Map([['', 17]]),
    graph: graph('Scaled', {
      inputs: [value('a'), value('b')],
      outputs: ['out'],
      nodes: [
        {
          ...node('LeakyRelu', ['a'], ['soft']),
          attributes: new Map([['alpha', { kind: 'ref', value: 'alpha' }]]),
        },
        {
          ...node('Concat', ['soft', 'b'], ['out']),
          attributes: new Map([['axis', { kind: 'ref', value: 'axis' }]]),
        },
      ],
    }),
  };
  const model = onnxModel(
    graph('g', {
      inputs: [value('x', 'float32', [2, 3])],
      outputs: ['y', 'z'],
      nodes: [
        node('Scaled', ['x', 'x'], ['y'], { alpha: attr.float(0.5), axis: 1 }, 'local'),
        { ...node('Scaled', ['y', 'y'], ['z'], { alpha: attr.float(0.5) }, 'local'), id: 'second' },
      ],
    }),
    17,
    {
      functions: [def],
      opsets: new Map([
        ['', 17],
        ['local', 1],
      ]),
    },
  );

  it('are inferred and priced at each call, with the caller’s attributes and the defaults', async () => {
    expect(shapesOf(model)).toMatchObject({ y: '2×6', z: '4×6' });
    expect(shapesOf(model, {}, def.graph)).toMatchObject({ soft: '2×3', out: '2×6' });
    const { layers, unresolved } = analyse(model);
    expect(unresolved).toEqual([]);
    expect(layers.map((layer) => layer.flops)).toEqual([12, 24]);
    expect(Object.fromEntries(await observe(model))).toMatchObject({ z: { dims: [4, 6] } });
  });

  it('that call themselves, or fan out without end, come to a stop', () => {
    const calls = (name: string, callee: string): FunctionDef => ({
      ...def,
      name,
      defaults: new Map(),
      graph: graph(name, {
        inputs: [value('a')],
        outputs: ['out'],
        nodes: [
          node(callee, ['a'], ['b'], {}, 'local'),
          { ...node(callee, ['b'], ['out'], {}, 'local'), id: `${name} again` },
        ],
      }),
    });
    const chain = Array.from({ length: 40 }, (_, i) => calls(`F${i}`, `F${i + 1}`));
    const main = (callee: string) =>
      graph('g', {
        inputs: [value('x', 'float32', [2])],
        outputs: ['y'],
        nodes: [node(callee, ['x'], ['y'], {}, 'local')],
      });
    for (const functions of [[calls('F0', 'F0')], chain]) {
      const { unresolved, totals } = analyse(onnxModel(main('F0'), 17, { functions }));
      expect(unresolved.length).toBeGreaterThan(0);
      expect(totals.macs).toBeUndefined();
    }
  });
});
