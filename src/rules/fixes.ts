import type { NodeId } from '../ir/model.ts';
import type { OptionValues } from '../passes/pass.ts';
import { passById } from '../passes/registry.ts';
import type { Fix, Gain, RuleContext } from './rule.ts';

interface Wanted {
  readonly title: string;
  readonly options?: OptionValues;
  readonly layers?: readonly NodeId[];
  readonly gain?: Gain;
}

/**
 * The fix by a pass, as a list that is empty where the pass does not exist, works on the other dialect only, or can do
 * nothing to the layers.
 */
export function passFix({ model }: RuleContext, id: string, wanted: Wanted): readonly Fix[] {
  const pass = passById(id);
  if (pass === undefined || !pass.dialects.includes(model.dialect)) return [];
  const { title, options = {}, layers, gain } = wanted;
  const more = gain === undefined ? {} : { gain };
  if (layers === undefined) return [{ pass: id, options, title, ...more }];
  const set = new Set(layers);
  const able = model.graphs
    .flatMap((graph) => graph.nodes)
    .filter((node) => set.has(node.id) && pass.appliesTo?.(node, model) !== false)
    .map((node) => node.id);
  return able.length === 0 ? [] : [{ pass: id, options, layers: able, title, ...more }];
}
