import type { PassInfo } from '../../engine/protocol.ts';
import type { Dialect } from '../../ir/model.ts';

/** Passes that can work on a model of this format, with the options that mean something there. */
export function passesFor(passes: readonly PassInfo[], format: Dialect): readonly PassInfo[] {
  return passes.filter((pass) => pass.dialects.includes(format)).map((pass) => withOptionsFor(pass, format));
}

export function withOptionsFor(pass: PassInfo, format: Dialect): PassInfo {
  const options = pass.options.filter(({ dialects }) => dialects === undefined || dialects.includes(format));
  return options.length === pass.options.length ? pass : { ...pass, options };
}
