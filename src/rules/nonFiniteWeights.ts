import { isFloat } from '../ir/dtype.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { Finding, Rule } from './rule.ts';
import { placesOf, weightsOf } from './places.ts';
import { onModel } from './support.ts';
import { isLookedAt, surveyOf } from './survey.ts';

export const nonFiniteWeights: Rule = {
  id: 'non-finite-weights',
  severity: 'error',
  title: 'Weights that are not numbers',
  manual: `A weight holds NaN or infinity. Every output that depends on it becomes NaN sooner or later, and no quantizer can find a
range for it. Infinite constants that are not weights (attention masks, limits) are allowed.

**Example.** A training run diverged and its last checkpoint was exported.

**Remedy.** Export an earlier checkpoint. Constants above 64 MB, and what comes after the first 512 MB, are not read.`,
  check({ model }) {
    const findings: Finding[] = [];
    const reported = new Set<Tensor>();
    for (const { node, tensor } of weightsOf(model)) {
      const look = isFloat(tensor.dtype) && !reported.has(tensor) && isLookedAt(model, tensor);
      const survey = look ? surveyOf(tensor) : undefined;
      const bad = (survey?.nans ?? 0) + (survey?.infinities ?? 0);
      if (bad === 0) continue;
      reported.add(tensor);
      const message = `${bad} weights are NaN or infinite.`;
      findings.push({ rule: 'non-finite-weights', severity: 'error', layer: node.id, message, fixes: [] });
    }
    return [...findings, ...otherConstants(model, reported)];
  },
};

function otherConstants(model: Parameters<typeof placesOf>[0], reported: ReadonlySet<Tensor>) {
  const graphs = new Set([...placesOf(model)].map(({ graph }) => graph));
  return [...graphs].flatMap((graph) =>
    [...graph.values.values()].flatMap(({ name, constant }) => {
      if (constant === undefined || !isFloat(constant.dtype) || reported.has(constant)) return [];
      if (!isLookedAt(model, constant)) return [];
      const nans = surveyOf(constant)?.nans ?? 0;
      return nans === 0 ? [] : onModel(nonFiniteWeights, `The constant “${name}” holds ${nans} NaN.`);
    }),
  );
}
