import { encodeNumbers } from '../../ir/numbers.ts';
import type { HostTensor, Session, Tensors } from '../runner.ts';

/**
 * A session that keeps its states to itself: zeros at first, then what its last run gave as `…_next`. Runs follow one
 * another, whoever asks for several at once. Neither states nor their next values are among its inputs and outputs.
 */
export function carryingStates(session: Session, states: readonly string[]): Session {
  const next = new Set(states.map((name) => `${name}_next`));
  let kept: Record<string, HostTensor> = {};
  for (const { name, dtype, dims } of session.info.inputs) {
    const count = dims.reduce((product, dim) => product * dim, 1);
    if (states.includes(name))
      kept[name] = { dtype, dims, data: encodeNumbers(dtype, new Float64Array(count)) };
  }
  let last: Promise<unknown> = Promise.resolve();
  const step = async (feeds: Tensors): Promise<Tensors> => {
    const outputs = await session.run({ ...feeds, ...kept });
    kept = Object.fromEntries(states.map((name) => [name, outputs[`${name}_next`] as HostTensor]));
    return outputs;
  };
  return {
    ...session,
    info: {
      ...session.info,
      inputs: session.info.inputs.filter(({ name }) => !states.includes(name)),
      outputs: session.info.outputs.filter(({ name }) => !next.has(name)),
    },
    run(feeds) {
      const made = last.then(() => step(feeds));
      last = made.catch(() => undefined);
      return made;
    },
    profile: (feeds, runs) => session.profile({ ...feeds, ...kept }, runs),
    close: () => session.close(),
  };
}
