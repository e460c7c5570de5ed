import { GraphEditor } from '../../ir/edit.ts';
import type { Model, Node, NodeId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor } from '../../ir/numbers.ts';
import type { Calibrator } from '../pass.ts';
import { factsOf } from '../support/facts.ts';

/** Measures how far a model's outputs are from those of the reference: a share of their variance, summed over outputs. */
export type Distance = (current: Model) => Promise<number | undefined>;

/**
 * Outputs are seen through dense layers that are added to both models to read them: float outputs of rank 2 or more. One
 * run of both models over the data per measurement. `undefined` when no output can be seen.
 */
export async function distanceFrom(reference: Model, calibrator: Calibrator): Promise<Distance> {
  const { model, probes } = withReaders(reference);
  const own = await calibrator.moments(model, probes);
  return async (current) => {
    const other = withReaders(current);
    const pairs = probes.map((id) => ({ reference: id, current: id }));
    const seen = await calibrator.crossMoments(model, other.model, pairs);
    let distance: number | undefined;
    for (const id of probes) {
      const [before, both] = [own.get(id), seen.get(id)];
      if (before === undefined || both === undefined) continue;
      let [error, variance] = [0, 0];
      for (let i = 0; i < both.size; i += 1) {
        const at = i * (both.size + 1);
        const power = before.gram[at] as number;
        variance += power - (before.mean[i] as number) ** 2;
        error += power - 2 * (both.cross[at] as number) + (both.gram[at] as number);
      }
      if (variance > 0) distance = (distance ?? 0) + Math.max(0, error) / variance;
    }
    return distance;
  };
}

function withReaders(model: Model): { model: Model; probes: readonly NodeId[] } {
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  const facts = factsOf(model);
  const last = graph.nodes.at(-1);
  const template =
    model.dialect === 'onnx' ? undefined : graph.nodes.find(({ op }) => op === 'FULLY_CONNECTED');
  const nodes: Node[] = [];
  for (const id of graph.outputs) {
    const type = facts.typeOf(id);
    const size = type?.shape?.at(-1);
    if (type?.dtype !== 'float32' || (type.shape?.length ?? 0) < 2 || typeof size !== 'number') continue;
    const dims = model.dialect === 'onnx' ? [size, 1] : [1, size];
    const weight = editor.addConstant(`${id}_seen_weight`, floatTensor(dims, new Float32Array(size)));
    const shape = type.shape?.map((dim, axis) => (axis === (type.shape?.length ?? 0) - 1 ? 1 : dim)) ?? [];
    const output = editor.addValue(`${id}_seen`, { type: { ...type, shape } });
    const probe = editor.freshNode(`${id}_seen`);
    if (model.dialect === 'onnx')
      nodes.push({
        id: probe,
        name: probe,
        op: 'MatMul',
        domain: '',
        inputs: [id, weight],
        outputs: [output],
        attributes: new Map(),
      });
    else if (template !== undefined) {
      const bias = editor.addConstant(`${id}_seen_bias`, floatTensor([1], new Float32Array(1)));
      nodes.push({ ...template, id: probe, inputs: [id, weight, bias], outputs: [output] });
    }
  }
  if (last !== undefined) editor.insertAfter(last.id, nodes);
  return { model: withMainGraph(model, editor.finish()), probes: nodes.map((node) => node.id) };
}
