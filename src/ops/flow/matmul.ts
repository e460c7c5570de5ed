import { intAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { ValueId } from '../../ir/model.ts';
import type { ChannelFlow, FlowContext } from './flow.ts';
import { at, holdNode, inputsOf, optional, outputsOf, tieBroadcast } from './flow.ts';

/** Products of matrices, leading axes broadcast; a vector stands for a single row or column. */
export function tieMatmul(
  context: FlowContext,
  a: ValueId,
  b: ValueId,
  y: ValueId,
  transposed: { readonly a: boolean; readonly b: boolean },
): void {
  const [rankA, rankB, rankY] = [a, b, y].map((id) => context.shape(id)?.length ?? 0) as [
    number,
    number,
    number,
  ];
  if (rankA < 2 || rankB < 2 || rankY !== Math.max(rankA, rankB)) return holdNode(context);
  const [rows, innerA] = transposed.a ? [rankA - 1, rankA - 2] : [rankA - 2, rankA - 1];
  const [innerB, columns] = transposed.b ? [rankB - 1, rankB - 2] : [rankB - 2, rankB - 1];
  context.tie(at(a, innerA), at(b, innerB));
  context.tie(at(a, rows), at(y, rankY - 2));
  context.tie(at(b, columns), at(y, rankY - 1));
  for (const [id, rank] of [
    [a, rankA],
    [b, rankB],
  ] as const) {
    for (let axis = 0; axis < rank - 2; axis += 1) {
      if (context.shape(id)?.[axis] === 1) context.hold(at(id, axis));
      else context.tie(at(id, axis), at(y, axis + rankY - rank));
    }
  }
}

export const matmul: ChannelFlow = {
  flow(context) {
    const [a, b] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    if (a === undefined || b === undefined || y === undefined) return;
    tieMatmul(context, a, b, y, { a: false, b: false });
  },
};

export const gemm: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const [a, b] = inputsOf(node);
    const [y] = outputsOf(node);
    if (a === undefined || b === undefined || y === undefined) return;
    const flag = (name: string) => intAttribute(node, name, 0) !== 0;
    tieMatmul(context, a, b, y, { a: flag('transA'), b: flag('transB') });
    const c = optional(node, 2);
    if (c !== undefined) tieBroadcast(context, c, y);
  },
};

/** Axes with one letter are one axis, in plain equations without ellipsis and without a letter twice in an operand. */
export const einsum: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const [left, right] = stringAttribute(node, 'equation', '').replaceAll(' ', '').split('->');
    const operands = [...inputsOf(node), ...outputsOf(node)];
    const terms = right === undefined ? [] : [...(left ?? '').split(','), right];
    const plain = terms.every((term) => /^[A-Za-z]*$/.test(term) && new Set(term).size === term.length);
    const fits = operands.every((id, i) => context.shape(id)?.length === terms[i]?.length);
    if (!plain || terms.length !== operands.length || !fits) return holdNode(context);
    const first = new Map<string, ReturnType<typeof at>>();
    operands.forEach((id, i) => {
      for (const [axis, letter] of [...(terms[i] as string)].entries()) {
        const known = first.get(letter);
        if (known === undefined) first.set(letter, at(id, axis));
        else context.tie(known, at(id, axis));
      }
    });
  },
};
