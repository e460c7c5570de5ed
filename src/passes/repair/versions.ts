import type { DType } from '../../ir/dtype.ts';
import type { Model, OnnxModel } from '../../ir/model.ts';
import { graphsOf } from '../../ir/walk.ts';
import { definedIn, newestOpset } from '../../ops/onnx/versions.ts';
import { sameDomain } from '../../ops/registry.ts';
import { opsetOf } from '../support/graph.ts';
import type { Repaired } from './repaired.ts';

/** The IR version that brought an element type (onnx/docs/Versioning.md and the release notes). */
const typesSince: Partial<Record<DType, number>> = {
  float8e4m3fn: 9,
  float8e4m3fnuz: 9,
  float8e5m2: 9,
  float8e5m2fnuz: 9,
  int4: 10,
  uint4: 10,
  float4e2m1: 11,
  float8e8m0: 12,
  int2: 13,
  uint2: 13,
};

/**
 * Lowers the stamps of operator set and IR version to what a runtime reads, where the file means the same under them: no
 * operator's definition is newer than the wanted set, and nothing in the file needs the newer format.
 */
export function restamp(model: Model, opset: number, ir: number): Repaired | undefined {
  if (model.dialect !== 'onnx') return undefined;
  const notes: string[] = [];
  let current = model;
  const own = opsetOf(model);
  if (own > opset) {
    const refusal = newerThan(model, own, opset);
    if (refusal === undefined) {
      current = { ...current, opsets: withOpset(current, opset) };
      notes.push(`operator set ${own} to ${opset}`);
    } else notes.push(refusal);
  }
  if (current.irVersion > ir) {
    const needed = neededIr(current);
    if (needed <= ir) {
      notes.push(`IR version ${current.irVersion} to ${ir}`);
      current = { ...current, irVersion: ir };
    } else notes.push(`the file uses what came with IR version ${needed}, above ${ir}`);
  }
  return notes.length === 0 ? undefined : { model: current, changed: [], notes };
}

/** The first reason why the model does not mean the same under the older set. */
function newerThan(model: OnnxModel, from: number, to: number): string | undefined {
  if (from > newestOpset) return `operator set ${from} is newer than what is known here`;
  for (const graph of graphsOf(model)) {
    for (const node of graph.nodes) {
      if (sameDomain(node.domain) !== '' || isFunction(model, node.op)) continue;
      const since = definedIn(node.op, from);
      if (since === undefined) return `${node.op} (${node.id}) is not an operator of set ${from}`;
      if (since > to) return `${node.op} (${node.id}) means something else before set ${since}`;
    }
  }
  return undefined;
}

function isFunction(model: OnnxModel, op: string): boolean {
  return model.functions.some((def) => sameDomain(def.domain) === '' && def.name === op);
}

function withOpset(model: OnnxModel, opset: number): ReadonlyMap<string, number> {
  const name = model.opsets.has('ai.onnx') && !model.opsets.has('') ? 'ai.onnx' : '';
  return new Map(model.opsets).set(name, opset);
}

/** The lowest IR version that can say what the model says. */
function neededIr(model: OnnxModel): number {
  let needed = model.functions.length > 0 ? 8 : 4;
  const need = (dtype: DType | undefined) => {
    if (dtype !== undefined) needed = Math.max(needed, typesSince[dtype] ?? 0);
  };
  if (model.functions.some((def) => def.overload !== '')) needed = Math.max(needed, 10);
  for (const graph of graphsOf(model)) {
    for (const value of graph.values.values()) {
      need(value.constant?.dtype);
      if (value.type?.kind === 'tensor' || value.type?.kind === 'sparse') need(value.type.dtype);
      else if (value.type?.kind === 'optional' || value.type?.kind === 'sequence')
        needed = Math.max(needed, 8);
    }
    for (const node of graph.nodes) {
      if ((node.overload ?? '') !== '') needed = Math.max(needed, 10);
      for (const attribute of node.attributes.values())
        if (attribute.kind === 'tensor') need(attribute.value.dtype);
    }
  }
  return needed;
}
