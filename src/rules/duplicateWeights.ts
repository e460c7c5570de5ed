import type { Value } from '../ir/model.ts';
import type { Tensor } from '../ir/tensor.ts';
import { indexOf } from '../ir/walk.ts';
import { isReadable, sameTensor } from '../passes/support/constants.ts';
import type { Rule } from './rule.ts';
import { bytesText, count, onModel } from './support.ts';
import { isLookedAt } from './survey.ts';

/** Bytes that must be stored twice before anybody hears of it. */
const worthwhile = 1024;
/** Bytes at each end that tell most weights apart. */
const sample = 32;

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
      if (constant.data.length < worthwhile || !isLookedAt(model, constant)) continue;
      const key = `${constant.dtype} ${constant.dims.join()} ${endsOf(constant)} ${encodingOf(value)}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [value]);
      else group.push(value);
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
      `${count(copies.length, 'constant')} ${copies.length === 1 ? 'repeats' : 'repeat'} what another one holds (${bytesText(fileBytes)}).`,
      [fix],
    );
  },
};

/** The values whose elements an earlier one of the group already has, stored in other bytes. */
function copiesIn(group: readonly Value[]): readonly Value[] {
  const originals: Tensor[] = [];
  const seen = new Set<object>();
  return group.filter(({ constant }) => {
    if (constant === undefined || seen.has(constant.data)) return false;
    seen.add(constant.data);
    if (originals.some((original) => sameTensor(original, constant))) return true;
    originals.push(constant);
    return false;
  });
}

/** The first and last bytes: whole tensors are only compared when these agree. */
function endsOf({ data }: Tensor): string {
  const ends = [data.read(0, sample), data.read(data.length - sample, sample)];
  return ends.map((bytes) => bytes.join()).join(' ');
}

function encodingOf({ quantization }: Value): string {
  if (quantization === undefined) return '';
  return `${[...quantization.scale].join()} ${quantization.zeroPoint.join()} ${quantization.axis}`;
}
