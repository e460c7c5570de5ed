import type { Rule } from './rule.ts';
import { layersWhere } from './places.ts';
import { onLayers } from './support.ts';

const random =
  /^(RandomNormal|RandomNormalLike|RandomUniform|RandomUniformLike|Multinomial|Bernoulli|RANDOM_UNIFORM|RANDOM_STANDARD_NORMAL|MULTINOMIAL)$/;

export const nonDeterministicOperator: Rule = {
  id: 'non-deterministic-operator',
  severity: 'warning',
  title: 'An operator that draws random numbers',
  manual: `The same input gives another output on every run, or on every runtime: a seed in the file means something else in each of
them. Such a model cannot be compared before and after a change, and most accelerators have no such kernel.

**Example.** The sampling of a variational autoencoder, left in when only its mean is used.

**Remedy.** Make the random numbers an input of the model, or export the deterministic part.`,
  check({ model }) {
    return onLayers(
      nonDeterministicOperator,
      layersWhere(model, ({ node }) => node.domain === '' && random.test(node.op)),
      (where) => `The results are random${where}.`,
    );
  },
};
