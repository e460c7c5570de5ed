import { KerfError } from '../../ir/errors.ts';
import type { Graph, Model, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';

/** `a, b` as a list; empty items are dropped. */
export function listOf(text: string): readonly string[] {
  return text
    .split(/[,;\n]/)
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** `a=b, c=d` as pairs. Throws `KerfError('bad-option')` for an item without `=`. */
export function pairsOf(option: string, text: string): readonly (readonly [string, string])[] {
  return listOf(text).map((item) => {
    const at = item.lastIndexOf('=');
    const pair = [item.slice(0, at).trim(), item.slice(at + 1).trim()] as const;
    if (at < 1 || pair[0] === '' || pair[1] === '')
      throw new KerfError('bad-option', `${option}: '${item}' is not of the form name=value`);
    return pair;
  });
}

/** Numbers of a list. Throws `KerfError('bad-option')` for an item that is none. */
export function numbersOf(option: string, text: string): readonly number[] {
  return listOf(text).map((item) => {
    const value = Number(item);
    if (!Number.isFinite(value)) throw new KerfError('bad-option', `${option}: '${item}' is not a number`);
    return value;
  });
}

/** The value of the main graph with this id or stored name. Throws `KerfError('bad-option')` with the closest names. */
export function findValue(model: Model, option: string, name: string): ValueId {
  const { values } = model.graphs[0];
  const { producer } = indexOf(model.graphs[0]);
  // ONNX files need not declare what an operator makes.
  if (values.has(name) || producer.has(name)) return name;
  for (const value of values.values()) if (value.name === name) return value.id;
  const near = [...new Set([...producer.keys(), ...values.keys()])]
    .filter((id) => id.toLowerCase().includes(name.toLowerCase()))
    .slice(0, 5);
  const hint = near.length === 0 ? '' : `; there are: ${near.join(', ')}`;
  throw new KerfError('bad-option', `${option}: the main graph has no tensor '${name}'${hint}`);
}

/** One end of the model by name, or its only one. Throws `KerfError('bad-option')` naming the choices. */
export function endOf(model: Model, side: 'inputs' | 'outputs', option: string, name: string): ValueId {
  const graph = model.graphs[0];
  const ends = side === 'inputs' ? fedInputs(graph) : graph.outputs;
  if (name === '' && ends.length === 1) return ends[0] as ValueId;
  const found = ends.find((id) => id === name || (name !== '' && graph.values.get(id)?.name === name));
  if (found !== undefined) return found;
  const what = name === '' ? 'one has to be named' : `'${name}' is none`;
  throw new KerfError('bad-option', `${option}: ${what}; the ${side} are ${ends.join(', ')}`);
}

/** Inputs that a caller has to feed. */
export function fedInputs(graph: Graph): readonly ValueId[] {
  return graph.inputs.filter((id) => graph.values.get(id)?.constant === undefined);
}
