import { KerfError } from '../../ir/errors.ts';
import type { BackendSession } from './backend.ts';
import type { ReplayStage, Tensors } from '../runner.ts';

type Stage = Omit<ReplayStage, 'session'> & { readonly session: number };

interface Replay {
  keep(tag: string, tensors: Tensors): void;
  forget(names: readonly string[] | null): void;
  run(stages: readonly Stage[], tags: readonly string[]): Promise<(Tensors | null)[]>;
}

/** Chains of inferences on tensors that stay in this process; `sessionOf` finds the loaded models. */
export function createReplay(sessionOf: (id: number) => BackendSession): Replay {
  const kept = new Map<string, Record<string, Tensors[string]>>();
  const ofTag = (tag: string) => {
    let tensors = kept.get(tag);
    if (tensors === undefined) {
      tensors = {};
      kept.set(tag, tensors);
    }
    return tensors;
  };
  const runTag = async (stages: readonly Stage[], tag: string): Promise<Tensors | null> => {
    const tensors = ofTag(tag);
    const passing: string[] = [];
    let rest: Tensors = {};
    for (const stage of stages) {
      const outputs = await sessionOf(stage.session).run(fed(stage, tensors, tag));
      if (stage.unless !== undefined && repeats(stage.unless, outputs, tensors))
        return drop(tensors, passing);
      const given: Record<string, Tensors[string]> = {};
      for (const [name, tensor] of Object.entries(outputs)) {
        const as = stage.keep[name];
        if (as === undefined) given[name] = tensor;
        else {
          tensors[as] = tensor;
          if (stage.passing === true) passing.push(as);
        }
      }
      rest = { ...rest, ...given };
    }
    drop(tensors, passing);
    return rest;
  };
  return {
    keep: (tag, tensors) => void Object.assign(ofTag(tag), tensors),
    forget(names) {
      if (names === null) kept.clear();
      else for (const tensors of kept.values()) drop(tensors, names);
    },
    async run(stages, tags) {
      const results: (Tensors | null)[] = [];
      for (const tag of tags) results.push(await runTag(stages, tag));
      return results;
    },
  };
}

function fed(stage: Stage, tensors: Tensors, tag: string): Tensors {
  return Object.fromEntries(
    Object.entries(stage.feed).map(([input, name]) => {
      const tensor = tensors[name];
      if (tensor === undefined) throw new KerfError('internal', `nothing is kept as ${name} of ${tag}`);
      return [input, tensor];
    }),
  );
}

function repeats(unless: Readonly<Record<string, string>>, outputs: Tensors, kept: Tensors): boolean {
  return Object.entries(unless).every(([output, name]) => {
    const [a, b] = [outputs[output]?.data, kept[name]?.data];
    return a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;
  });
}

function drop(tensors: Record<string, Tensors[string]>, names: readonly string[]): null {
  for (const name of names) Reflect.deleteProperty(tensors, name);
  return null;
}
