import { intAttribute } from '../../ir/attribute.ts';
import type { Graph, Node, Value, ValueId } from '../../ir/model.ts';
import { nodeExtra, tensorExtra } from './extra.ts';
import type { Signature } from './versionConditions.ts';
import { versionRules } from './versionRules.ts';

/**
 * The version an operator is stored with: the one read from the file while the operator and the types of its operands
 * are as they were, and otherwise what the types need, or more where the node says so.
 */
export function versionToWrite(node: Node, graph: Graph): number {
  const extra = nodeExtra(node);
  const chosen = node.version !== extra?.as.version;
  if (node.domain === 'custom') return node.version ?? 1;
  if (extra !== undefined && !chosen && isAsRead(node, extra, graph)) return node.version ?? 1;
  const needed = neededVersion(node, graph);
  return chosen ? Math.max(needed, node.version ?? 1) : needed;
}

/** The version that a builtin operator needs for the types it is used with; 1 for custom operators. */
export function neededVersion(node: Node, graph: Graph): number {
  if (node.domain !== '') return 1;
  const signature = signatureOf(node, graph);
  return versionRules[node.op]?.find(([, when]) => when(signature))?.[0] ?? 1;
}

function isAsRead(node: Node, extra: NonNullable<ReturnType<typeof nodeExtra>>, graph: Graph): boolean {
  const { as, operands } = extra;
  if (node.op !== as.op || node.domain !== as.domain || node.attributes !== as.attributes) return false;
  const ids = [...node.inputs, ...node.outputs];
  if (ids.length !== operands.length || node.inputs.length !== as.inputs.length) return false;
  return ids.every((id, index) => {
    const now = id === null ? undefined : graph.values.get(id);
    const before = operands[index];
    return now === before || (now !== undefined && before !== undefined && sameKind(now, before));
  });
}

/** Element type, rank and granularity of quantization: versions depend on nothing else of a value. */
function sameKind(a: Value, b: Value): boolean {
  return (
    typeOf(a)?.dtype === typeOf(b)?.dtype &&
    typeOf(a)?.shape?.length === typeOf(b)?.shape?.length &&
    a.quantization?.scale.length === b.quantization?.scale.length
  );
}

function typeOf(value: Value | undefined) {
  if (value?.type?.kind === 'tensor' || value?.type?.kind === 'sparse') return value.type;
  return value?.constant && { dtype: value.constant.dtype, shape: value.constant.dims };
}

/** Options that are not 0 when they are absent. */
const defaults: Readonly<Record<string, number>> = {
  dilation_w_factor: 1,
  dilation_h_factor: 1,
  pot_scale_int16: 1,
};

function signatureOf(node: Node, graph: Graph): Signature {
  const valueOf = (ids: readonly (ValueId | null)[], index: number) => {
    const id = ids[index];
    return id === undefined || id === null ? undefined : graph.values.get(id);
  };
  const at = (side: 'input' | 'output', index: number) =>
    valueOf(side === 'input' ? node.inputs : node.outputs, index);
  const shape = (index: number) => typeOf(at('input', index))?.shape ?? [];
  const ranks = node.inputs.map((_, index) => shape(index).length);
  return {
    inputs: node.inputs.length,
    input: (index) => typeOf(at('input', index))?.dtype,
    output: (index) => typeOf(at('output', index))?.dtype,
    rank: (index) => ranks[index] ?? 0,
    perChannel: (side, index) => (at(side, index)?.quantization?.scale.length ?? 0) > 1,
    isQuantized: (index) => at('input', index)?.quantization !== undefined,
    scale: (side, index) => at(side, index)?.quantization?.scale[0] ?? 0,
    isSparse: (index) => {
      const constant = at('input', index)?.constant;
      return constant !== undefined && tensorExtra(constant)?.sparsity !== undefined;
    },
    option: (name) => intAttribute(node, name, defaults[name] ?? 0),
    broadcastsBeyond4: shape(0).join() !== shape(1).join() && Math.max(0, ...ranks) > 4,
    isGrouped: shape(0).at(-1) !== undefined && shape(1).length === 4 && shape(0).at(-1) !== shape(1).at(-1),
  };
}
