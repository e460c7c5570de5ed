import type { Value } from '../ir/model.ts';
import { indexOf } from '../ir/walk.ts';
import { isReadable, sameTensor } from '../passes/support/constants.ts';
import type { Rule } from './rule.ts';
import { bytesText, count, onModel } from './support.ts';
import { surveyedBytes } from './survey.ts';

/** Bytes that must be stored twice before anybody hears of it. */
const worthwhile = 1024;

export const duplicateWeights: Rule = {
  id: 'duplicate-weights',
  severity: 'warning',
  title: 'The same weights are stored more than once',
  manual: `Two or more constants hold the same elements in the same shape, each with bytes of its own. Tied weights (an embedding that
is also the output layer, layers that share parameters) come out of exporters like that.

**Example.** A shared convolution of two branches, exported once per branch.

**Remedy.** Run \`simplify\`: both layers then read one copy.`,
  check({ model }) {
    const graph = model.graphs[0];
    const { uses, isOutput } = indexOf(graph);
    const groups = new Map<string, Value[]>();
    for (const value of graph.values.values()) {
      const { constant } = value;
      if (constant === undefined || !uses.has(value.id) || isOutput.has(value.id)) continue;
      if (value.variable === true || graph.inputs.includes(value.id) || !isReadable(constant)) continue;
      if (constant.data.length < worthwhile || constant.data.length > surveyedBytes) continue;
      const key = `${constant.dtype} ${constant.dims.join()} ${encodingOf(value)}`;
      groups.set(key, [...(groups.get(key) ?? []), value]);
    }
    const copies = [...groups.values()].flatMap(copiesIn);
    if (copies.length === 0) return [];
    const fileBytes = copies.reduce((sum, { constant }) => sum + (constant?.data.length ?? 0), 0);
    const fix = {
      pass: 'simplify',
      options: {},
      title: 'Store shared weights once: same result',
      gain: { fileBytes },
    };
    return onModel(
      duplicateWeights,
      `${count(copies.length, 'constant')} repeat what another one holds (${bytesText(fileBytes)}).`,
      [fix],
    );
  },
};

/** The values whose elements an earlier one of the group already has, stored in other bytes. */
function copiesIn(group: readonly Value[]): readonly Value[] {
  const originals: Value[] = [];
  const copies: Value[] = [];
  for (const value of group) {
    const twin = originals.find(
      ({ constant }) =>
        value.constant !== undefined && constant !== undefined && sameTensor(constant, value.constant),
    );
    if (twin === undefined) originals.push(value);
    else if (twin.constant?.data !== value.constant?.data) copies.push(value);
  }
  return copies;
}

function encodingOf({ quantization }: Value): string {
  if (quantization === undefined) return '';
  return `${[...quantization.scale].join()} ${quantization.zeroPoint.join()} ${quantization.axis}`;
}
