import { targetOfDevice } from '../devices/targets/registry.ts';
import { feedsOf } from '../ir/model.ts';
import { passFix } from './fixes.ts';
import type { Fix, Rule, RuleContext } from './rule.ts';
import { onModel } from './support.ts';

/** The batch is what everyone binds to 1; other dimensions are the person's choice. */
function batchFix(context: RuleContext, open: ReadonlySet<string>): readonly Fix[] {
  const batches = feedsOf(context.model.graphs[0]).map(({ type }) =>
    type?.kind === 'tensor' ? type.shape?.[0] : undefined,
  );
  const [batch] = batches;
  const bound = typeof batch === 'string' && open.has(batch) && batches.every((each) => each === batch);
  if (!bound || !/^(n|b|batch|batch_?size|unk__\d+)$/i.test(batch)) return [];
  return passFix(context, 'set-shape', { title: `Fix the batch “${batch}” to 1`, options: { batch: '1' } });
}

/** Every dimension of the inputs that has a name instead of a number, the batch included. */
function namedDimensions({ model }: RuleContext): readonly string[] {
  const names = feedsOf(model.graphs[0]).flatMap(({ type }) =>
    type?.kind === 'tensor' ? (type.shape ?? []).filter((dim) => typeof dim === 'string') : [],
  );
  return [...new Set(names)];
}

/** What takes fixed shapes only, by name: the target itself, or the tools of the device, which set the batch to 1 themselves. */
function whoNeedsNumbers({
  target,
  device,
  model,
}: RuleContext): { name: string; batch: boolean } | undefined {
  const rules = target ?? (device === undefined ? undefined : targetOfDevice(device, model.dialect));
  if (rules?.staticShapes === true && rules.dialect === model.dialect)
    return { name: rules.name, batch: true };
  return target === undefined && device?.staticShapes === true
    ? { name: device.name, batch: false }
    : undefined;
}

export const dynamicShape: Rule = {
  id: 'dynamic-shape',
  severity: 'information',
  title: 'Dimensions are left open',
  manual: `Some dimensions of the inputs are not fixed. Costs are counted for size 1 unless another size is given. Most
microcontroller runtimes and NPUs compile for fixed shapes and refuse such a model, or run it slowly.

**Example.** An input \`[batch, 3, height, width]\`.

**Remedy.** Run \`set-shape\`. Export the model with fixed shapes, or bind the dimensions when you inspect it (\`--bind batch=1\`).`,
  check(context) {
    const needed = whoNeedsNumbers(context);
    const free = context.analysis.freeDimensions;
    const open = needed?.batch === true ? [...new Set([...namedDimensions(context), ...free])] : free;
    if (open.length === 0) return [];
    const names = open.map((name) => `“${name}”`).join(', ');
    const rule = needed === undefined ? dynamicShape : { id: dynamicShape.id, severity: 'warning' as const };
    const why = needed === undefined ? '' : ` ${needed.name} needs fixed shapes.`;
    return onModel(rule, `Dimensions are left open: ${names}.${why}`, batchFix(context, new Set(open)));
  },
};
