import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { graphView } from '../../../src/engine/graphView.ts';
import { nodeDetails } from '../../../src/engine/nodeDetails.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Graph, Node, OnnxModel } from '../../../src/ir/model.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { buildFoldTree } from '../../../webview-ui/graph/foldTree.ts';
import { everythingShown } from '../../../webview-ui/graph/hiding.ts';
import { unfoldedAt, visibleGraph } from '../../../webview-ui/graph/visible.ts';
import { hasShared, modelFiles, shared } from '../support/models.ts';
import { onnxModel } from '../support/onnxModel.ts';

const type = tensorType('float32', [4]);

function node(
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: Node['attributes'] = new Map(),
): Node {
  return {
    id: `${output}/${op}`,
    name: `${output}/${op}`,
    op,
    domain: '',
    inputs,
    outputs: [output],
    attributes,
  };
}

function graph(inputs: readonly string[], outputs: readonly string[], nodes: readonly Node[]): Graph {
  const values = new Map([...inputs, ...outputs].map((id) => [id, { id, name: id, type }]));
  return { name: 'g', inputs, outputs, nodes, values };
}

/** An If whose branches read a captured value; the then branch has two layers, the else branch three. */
function branching(): OnnxModel {
  const yes = graph([], ['y'], [node('Relu', ['a'], 'r'), node('Neg', ['r'], 'y')]);
  const no = graph([], ['n'], [node('Abs', ['a'], 's'), node('Exp', ['s'], 't'), node('Sqrt', ['t'], 'n')]);
  const attributes = new Map([
    ['then_branch', { kind: 'graph', value: yes } as const],
    ['else_branch', { kind: 'graph', value: no } as const],
  ]);
  return onnxModel(
    graph(
      ['x', 'c'],
      ['out'],
      [node('Tanh', ['x'], 'a'), node('If', ['c'], 'b', attributes), node('Relu', ['b'], 'out')],
    ),
  );
}

function named(source: OnnxModel) {
  const view = graphView(source, analyse(source), [], undefined);
  const text = (column: Uint32Array, v: number) => view.strings[column[v]!]!;
  const edges = Array.from(
    view.edgeFrom,
    (from, e) => `${text(view.id, from)} -> ${text(view.id, view.edgeTo[e]!)}`,
  );
  return { view, text, edges };
}

describe('bodies in the view', () => {
  it('stand behind the layer that runs them, read what they capture and feed it', () => {
    const { view, edges } = named(branching());
    expect(view.nested.reduce((a, b) => a + b, 0)).toBe(5);
    expect(edges).toEqual(
      expect.arrayContaining([
        'a/Tanh -> r/Relu',
        'r/Relu -> y/Neg',
        'y/Neg -> b/If',
        'a/Tanh -> s/Abs',
        'n/Sqrt -> b/If',
      ]),
    );
    // The captured value goes to who reads it, not to the If.
    expect(edges).not.toContain('a/Tanh -> b/If');
  });

  it('have costs of their own, for one run', () => {
    const source = branching();
    const typed = { ...source.graphs[0], values: new Map(source.graphs[0].values) };
    for (const [id, shape] of [
      ['x', [2, 3]],
      ['c', []],
    ] as const)
      typed.values.set(id, { id, name: id, type: { kind: 'tensor', dtype: 'float32', shape } });
    const { view, text } = named({ ...source, graphs: [typed] });
    const flops = Object.fromEntries(
      Array.from(view.flops, (n, v) => [text(view.id, v), n] as const).filter(([id]) => id.includes('/')),
    );
    expect(flops['r/Relu']).toBe(6);
    expect(flops['n/Sqrt']).toBe(6);
    // The If costs its dearer branch; what its layers cost is part of that, not beside it.
    expect(flops['b/If']).toBe(18);
    const details = nodeDetails(
      { ...source, graphs: [typed] },
      analyse({ ...source, graphs: [typed] }),
      's/Abs',
      [],
      [],
    );
    expect(details.cost.flops).toBe(6);
    expect(details.cost.formula).toContain('for one run of the body');
  });

  it('fold to one tile with their layer and unfold in place', () => {
    const { view, text } = named(branching());
    const tree = buildFoldTree(view);
    const folded = visibleGraph(view, tree, { unfolded: unfoldedAt(tree, 0), show: everythingShown });
    const all = visibleGraph(view, tree, { unfolded: unfoldedAt(tree, tree.depth), show: everythingShown });
    expect(tree.groups[0]!.title).toBe('If b∕If');
    expect(folded.count).toBe(2 + 1 + 1 + 1 + 1);
    expect(all.count).toBe(view.nodeCount);
    const owner = Array.from(view.id, (_, v) => v).find((v) => text(view.op, v) === 'If')!;
    expect(tree.of[owner]).toBe(0);
  });

  it('a function called twice is in the view twice, under ids of its own', () => {
    const body = graph(['p'], ['q'], [node('Relu', ['p'], 'm'), node('Neg', ['m'], 'q')]);
    const main = graph(
      ['x'],
      ['z'],
      [node('F', ['x'], 'y'), node('F', ['y'], 'z')].map((each) => ({ ...each, domain: 'own' })),
    );
    const source: OnnxModel = {
      ...onnxModel(main),
      opsets: new Map([
        ['', 17],
        ['own', 1],
      ]),
      functions: [
        {
          domain: 'own',
          name: 'F',
          overload: '',
          graph: body,
          opsets: new Map([['', 17]]),
          defaults: new Map(),
          attributes: [],
        } as never,
      ],
    };
    const { view, text, edges } = named(source);
    const ids = Array.from(view.id, (_, v) => text(view.id, v));
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => id.endsWith('m/Relu'))).toEqual(['y/F » m/Relu', 'z/F » m/Relu']);
    expect(edges).toContain('y/F -> z/F » m/Relu');
    expect(Array.from(view.layer, (_, v) => text(view.layer, v))).toContain('m/Relu');
  });
});

describe('every model', () => {
  it.each(
    modelFiles('.onnx')
      .concat(modelFiles('.tflite'))
      .map((file) => [path.basename(file), file]),
  )('%s: edges join rows, ids are unique', (_, file) => {
    const { model: source } = readModelFile(file);
    const view = graphView(source, analyse(source), [], undefined);
    expect(new Set(view.id).size).toBe(view.nodeCount);
    for (const end of [...view.edgeFrom, ...view.edgeTo]) expect(end).toBeLessThan(view.nodeCount);
    expect(view.id.length).toBe(view.layer.length);
  });
});

describe.runIf(hasShared)('a model with branches', () => {
  it('shows the layers of its branches', () => {
    const { model: source } = readModelFile(path.join(shared, 'models/onnx/silero_vad_16k_op15.onnx'));
    const view = graphView(source, analyse(source), [], undefined);
    expect(view.nested.reduce((a, b) => a + b, 0)).toBeGreaterThan(0);
  });
});
