import { bodiesOf } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, OnnxModel, TfliteModel, Value, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { OptionValues, Pass, PassResult } from '../pass.ts';
import { readOptions } from '../support/options.ts';
import { findValue, pairsOf } from './names.ts';

/** Renames inputs, outputs and other tensors. */
export const rename: Pass = {
  id: 'rename',
  title: 'Rename inputs, outputs or tensors',
  summary: 'Gives tensors other names; in TFLite also their names in the signatures.',
  dialects: ['onnx', 'tflite'],
  exact: true,
  calibration: 'none',
  options: [
    {
      name: 'names',
      title: 'Old and new names',
      type: 'text',
      default: '',
      example: 'input.1=image, 495=logits',
    },
  ],
  run: runRename,
};

async function runRename(model: Model, given: OptionValues): Promise<PassResult> {
  const options = readOptions(rename.options, given);
  const pairs = pairsOf('names', options.text('names'));
  if (pairs.length === 0) throw new KerfError('bad-option', 'names: no names given');
  let current = model;
  const touched = new Set<string>();
  for (const [name, next] of pairs) {
    const id = findValue(current, 'names', name);
    if (id === next && current.graphs[0].values.get(id)?.name === next) continue;
    refuseTaken(current, id, next);
    for (const node of readersAndMaker(current, id)) touched.add(node);
    current = current.dialect === 'onnx' ? renamedOnnx(current, id, next) : renamedTflite(current, id, next);
  }
  return {
    model: current,
    changed: [...touched],
    notes: pairs.map(([name, next]) => `${name} is now ${next}`),
  };
}

function refuseTaken(model: Model, id: ValueId, next: string): void {
  const graph = model.graphs[0];
  const made = indexOf(graph).producer.has(next) && next !== id;
  if (made) throw new KerfError('bad-option', `names: there is a tensor '${next}' already`);
  for (const value of graph.values.values()) {
    if (value.id !== id && (value.id === next || value.name === next))
      throw new KerfError('bad-option', `names: there is a tensor '${next}' already`);
  }
}

function readersAndMaker(model: Model, id: ValueId): readonly string[] {
  const { uses, producer } = indexOf(model.graphs[0]);
  const maker = producer.get(id);
  return [...(uses.get(id) ?? []).map((use) => use.node.id), ...(maker === undefined ? [] : [maker.id])];
}

/** In ONNX the name is the identity: whoever makes or reads the tensor has to say the new one. */
function renamedOnnx(model: OnnxModel, id: ValueId, next: string): OnnxModel {
  const graph = model.graphs[0];
  if (graph.nodes.some((node) => bodiesOf(node).some((body) => body.values.has(next))))
    throw new KerfError('bad-option', `names: a body of If or Loop has a tensor '${next}'`);
  const editor = new GraphEditor(graph, model);
  editor.setValue({ ...graph.values.get(id), id: next, name: next });
  const maker = indexOf(graph).producer.get(id);
  if (maker !== undefined) {
    const outputs = maker.outputs.map((each) => (each === id ? next : each));
    editor.replaceNode(maker.id, [{ ...maker, outputs }]);
  }
  editor.setInputs(graph.inputs.map((each) => (each === id ? next : each)));
  editor.replaceUses(id, next);
  const { values, ...rest } = editor.finish();
  return withMainGraph(model, { ...rest, values: new Map([...values].filter(([each]) => each !== id)) });
}

/** TFLite operators refer to tensors by number, so a name is a label; signatures have labels of their own. */
function renamedTflite(model: TfliteModel, id: ValueId, next: string): TfliteModel {
  const graph = model.graphs[0];
  const values = new Map(graph.values);
  values.set(id, { ...(graph.values.get(id) as Value), name: next });
  const relabel = (ends: readonly (readonly [string, ValueId])[]) =>
    ends.map(([key, value]) => [value === id ? next : key, value] as const);
  return {
    ...withMainGraph(model, { ...graph, values }),
    signatures: model.signatures.map((each) =>
      each.graph === 0 ? { ...each, inputs: relabel(each.inputs), outputs: relabel(each.outputs) } : each,
    ),
  };
}
