import { KerfError } from '../../ir/errors.ts';
import type { Dialect } from '../../ir/model.ts';
import { parseTarget } from './parse.ts';
import coreml from './rules/coreml.json' with { type: 'json' };
import edgetpu from './rules/edgetpu.json' with { type: 'json' };
import ethosU from './rules/ethos-u.json' with { type: 'json' };
import ortArm from './rules/ort-arm.json' with { type: 'json' };
import ortX86 from './rules/ort-x86.json' with { type: 'json' };
import ortX86Amx from './rules/ort-x86-amx.json' with { type: 'json' };
import ortX86Vnni from './rules/ort-x86-vnni.json' with { type: 'json' };
import qnn from './rules/qnn.json' with { type: 'json' };
import tensorrt from './rules/tensorrt.json' with { type: 'json' };
import tflm from './rules/tflm.json' with { type: 'json' };
import xnnpack from './rules/xnnpack.json' with { type: 'json' };
import type { TargetRules } from './target.ts';

/** Every target, those for which models are quantized by default first. */
export const targets: readonly TargetRules[] = [
  ortX86Vnni,
  ortX86Amx,
  ortX86,
  ortArm,
  qnn,
  tensorrt,
  coreml,
  xnnpack,
  tflm,
  ethosU,
  edgetpu,
].map((rules) => parseTarget(rules, `${rules.id}.json`));

/** What a `target` option takes: ids, and the short names that fit either dialect. */
export const targetNames: readonly string[] = [
  ...new Set(targets.flatMap((target) => [...(target.aliases ?? []), target.id])),
];

/**
 * The target of a name for models of a dialect. Throws `KerfError('bad-option')` naming the ones there are when the name
 * is unknown or stands for the other dialect.
 */
export function targetFor(name: string, dialect: Dialect): TargetRules {
  const fitting = targets.filter((target) => target.dialect === dialect);
  const found = fitting.find((target) => target.id === name || target.aliases?.includes(name) === true);
  if (found !== undefined) return found;
  const other = targets.find((target) => target.id === name);
  const why = other === undefined ? 'there is no such target' : `${other.name} loads ${other.dialect} models`;
  const ids = fitting.map((target) => target.id).join(', ');
  throw new KerfError('bad-option', `target=${name}: ${why}; for ${dialect} there are ${ids}`);
}

/** As `targetFor`, but a target of the other dialect is given as well: a check says of it that it does not load the model. */
export function targetNamed(name: string, dialect: Dialect): TargetRules {
  return targets.find((target) => target.id === name) ?? targetFor(name, dialect);
}

/** The rules that a device has for models of a dialect. */
export function targetOfDevice(
  device: { readonly targets?: readonly string[] },
  dialect: Dialect,
): TargetRules | undefined {
  return targets.find((each) => each.dialect === dialect && device.targets?.includes(each.id) === true);
}
