import type { TargetRules } from '../../devices/targets/target.ts';
import type { Node, OnnxModel } from '../../ir/model.ts';
import { denseBias } from '../prepare/denseBias.ts';
import { splitHardSwish } from '../prepare/hardSwish.ts';
import { widenChannels } from '../prepare/widenChannels.ts';
import { factsOf } from '../support/facts.ts';
import { meanToPool } from './meanToPool.ts';

interface TargetForm {
  readonly model: OnnxModel;
  readonly notes: readonly string[];
}

/** The same function in the operators and the channel counts for which the target has integer kernels. */
export function targetForm(
  model: OnnxModel,
  { rewrites, layout }: TargetRules,
  allowed: (node: Node) => boolean,
): TargetForm {
  const notes: string[] = [];
  let current = model;
  if (rewrites?.includes('mean') === true) current = meanToPool(current, factsOf(current), allowed);
  if (rewrites?.includes('dense-bias') === true) current = denseBias(current, factsOf(current), allowed);
  if (rewrites?.includes('hard-swish') === true) current = splitHardSwish(current, allowed);
  if (layout !== undefined) {
    const { model: wide, layers } = widenChannels(current, factsOf(current), layout, allowed);
    current = wide;
    if (layers > 0) notes.push(`${layers} convolutions widened to the channels that the fast kernels take`);
  }
  return { model: current, notes };
}
