import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { graphView } from '../../../src/engine/graphView.ts';
import { GraphEditor } from '../../../src/ir/edit.ts';
import type { Attribute, Graph, Model, Node, OnnxModel, Value } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { fuse } from '../../../src/passes/fuse/fuse.ts';
import type { Pass } from '../../../src/passes/pass.ts';
import { simplify } from '../../../src/passes/simplify/simplify.ts';
import { fp16 } from '../../../src/passes/fp16/fp16.ts';
import { randomModel } from '../passes/randomModel.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { modelFiles } from '../support/models.ts';
import { generator } from './random.ts';
import { randomGraph } from './randomGraph.ts';

type Choose = (count: number) => number;

/** The same model in objects of its own: nothing that was worked out for another one is found for it. */
function inNewObjects<M extends Model>(model: M): M {
  const graphs = model.graphs.map(copyOfGraph);
  if (model.dialect === 'tflite') return { ...model, graphs } as M;
  const functions = model.functions.map((def) => ({ ...def, graph: copyOfGraph(def.graph) }));
  return { ...model, graphs, functions, opsets: new Map(model.opsets) } as M;
}

function copyOfGraph(graph: Graph): Graph {
  const copied = (value: Value): Value =>
    value.constant === undefined ? { ...value } : { ...value, constant: { ...value.constant } };
  return {
    ...graph,
    nodes: graph.nodes.map((node) => ({ ...node, attributes: copyOfAttributes(node) })),
    values: new Map([...graph.values].map(([id, value]) => [id, copied(value)])),
  };
}

function copyOfAttributes(node: Node): ReadonlyMap<string, Attribute> {
  return new Map(
    [...node.attributes].map(([name, attribute]) => [
      name,
      attribute.kind === 'graph' ? { kind: 'graph', value: copyOfGraph(attribute.value) } : { ...attribute },
    ]),
  );
}

/** Everything the analysis says, and what the page is sent of it, without the identity of graphs. */
function said(model: Model) {
  const analysis = analyse(model);
  const types = [...analysis.types.values()].map((each) => new Map([...each].sort()));
  const { strings, ...columns } = graphView(model, analysis, [], undefined);
  return { ...analysis, types, strings, columns };
}

function expectAsFresh(model: Model): void {
  expect(said(model)).toEqual(said(inNewObjects(model)));
}

/** One small edit, as passes make them: sound or not, the analysis has to say the same as from scratch. */
function edited(model: OnnxModel, choose: Choose): OnnxModel {
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  const node = graph.nodes[choose(graph.nodes.length)] as Node;
  const output = node.outputs[0];
  switch (choose(7)) {
    case 0: {
      if (output == null) break;
      const passed = editor.addValue('passed');
      const identity = { ...node, op: 'Identity', domain: '', attributes: new Map() };
      const id = editor.freshNode('passed');
      editor.replaceUses(output, passed);
      editor.insertAfter(node.id, [{ ...identity, id, name: id, inputs: [output], outputs: [passed] }]);
      break;
    }
    case 1:
      if (output != null && node.inputs[0] != null) editor.replaceUses(output, node.inputs[0]);
      editor.removeNode(node.id);
      break;
    case 2:
      editor.replaceNode(node.id, [{ ...node, op: 'Relu', inputs: node.inputs.slice(0, 1) }]);
      break;
    case 3: {
      // An input of another size, or an axis that is free from now on.
      const feed = graph.values.get(graph.inputs[0] ?? '');
      if (feed?.type?.kind !== 'tensor' || feed.type.shape === undefined) break;
      const at = choose(feed.type.shape.length);
      const shape = feed.type.shape.map((dim, axis) => (axis === at ? [2, 7, 'M', null][choose(4)]! : dim));
      editor.setValue({ ...feed, type: { ...feed.type, shape } });
      break;
    }
    case 4: {
      const constant = [...graph.values.values()].filter((value) => value.constant !== undefined);
      const value = constant[choose(Math.max(1, constant.length))];
      if (value?.constant === undefined) break;
      const dims = [...value.constant.dims, 1];
      editor.setValue({ ...value, constant: { ...value.constant, dims } });
      break;
    }
    case 5:
      return { ...model, opsets: new Map([['', 9 + choose(12)]]) };
    default: {
      // A declaration that inference may fall back to.
      const value = output == null ? undefined : graph.values.get(output);
      if (value !== undefined)
        editor.setValue({ ...value, type: { kind: 'tensor', dtype: 'float32', shape: ['N', 3, null] } });
    }
  }
  return withMainGraph(model, editor.finish());
}

async function afterPass<M extends Model>(pass: Pass, model: M): Promise<M> {
  const options = Object.fromEntries(pass.options.map((option) => [option.name, option.default]));
  const context = { seed: 1, step: async (): Promise<void> => undefined };
  return (await pass.run(model, options, context)).model as M;
}

describe('an analysis after edits says what one from scratch says', () => {
  for (let seed = 1; seed <= 24; seed += 1) {
    it(`seed ${seed}: edits of every kind`, () => {
      const choose = generator(seed);
      const { fixed, symbolic } = randomGraph(seed, 30);
      for (const start of [fixed, symbolic, randomModel(seed)]) {
        let model = start;
        expectAsFresh(model);
        for (let edit = 0; edit < 8; edit += 1) {
          model = edited(model, choose);
          expectAsFresh(model);
        }
        // And back: what was kept for the first model is not what is kept for the last one.
        expectAsFresh({ ...start });
      }
    });
  }

  for (let seed = 1; seed <= 12; seed += 1) {
    it(`seed ${seed}: passes`, async () => {
      const models: OnnxModel[] = [randomModel(seed)];
      for (const pass of [simplify, fuse, fp16]) models.push(await afterPass(pass, models.at(-1)!));
      for (const model of models) expectAsFresh(model);
    });
  }

  const files = (['.onnx', '.tflite'] as const).flatMap(modelFiles);
  it.each(files.filter((file) => fs.statSync(file).size < 2e6))('passes on %s', async (file) => {
    let { model } = readModelFile(file);
    expectAsFresh(model);
    for (const pass of [simplify, fuse]) {
      if (!pass.dialects.includes(model.dialect)) continue;
      model = await afterPass(pass, model);
      expectAsFresh(model);
    }
  });
});
