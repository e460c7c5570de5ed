import type { Tensor } from '../ir/tensor.ts';
import { graphsOf } from '../ir/walk.ts';
import type { Rule } from './rule.ts';
import { bytesText, count, onModel } from './support.ts';
import { isLookedAt, surveyOf } from './survey.ts';

/** Smaller ones are not worth a look. */
const worthwhile = 16_384;

export const constantFilled: Rule = {
  id: 'constant-filled',
  severity: 'warning',
  title: 'A large constant holds the same number everywhere',
  manual: `A constant of 16 kB or more holds one number, repeated. An exporter expanded a scalar, or a buffer was never trained. It
takes room in flash and time to load, and says nothing that one number would not.

**Example.** A mask of 1024 × 1024 ones, 4 MB.

**Remedy.** Let the exporter broadcast the scalar, or build the tensor at run time (ConstantOfShape, FILL).`,
  check({ model }) {
    const filled = new Set<Tensor>();
    const names: string[] = [];
    for (const graph of graphsOf(model)) {
      for (const { name, constant } of graph.values.values()) {
        if (
          constant === undefined ||
          constant.data.length < worthwhile ||
          filled.has(constant) ||
          !isLookedAt(model, constant)
        )
          continue;
        const survey = surveyOf(constant);
        if (survey === undefined || survey.min !== survey.max || survey.nans > 0) continue;
        filled.add(constant);
        names.push(name);
      }
    }
    if (filled.size === 0) return [];
    const bytes = [...filled].reduce((sum, { data }) => sum + data.length, 0);
    const what = names.length === 1 ? `“${names[0]}” holds` : `${count(names.length, 'constant')} hold`;
    return onModel(constantFilled, `${what} one number everywhere (${bytesText(bytes)}).`);
  },
};
