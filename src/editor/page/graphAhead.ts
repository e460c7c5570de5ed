import type { CallOptions, Result } from '../../engine/protocol.ts';

/** The graph that a page is about to ask for, asked of the engine before the page does. */
export interface GraphAhead {
  /** Asks now, for a page that is on its way or will hear of a change in a moment. */
  ask(): void;
  /** The answer for the page: the one that was asked for when nothing has changed since, else a new one. */
  take(options: CallOptions): Promise<Result<'graph'>>;
}

/** `key` is what the answer depends on. An answer is given once, so that it is not kept beside the page's own. */
export function graphAhead(
  key: () => unknown,
  load: (options?: CallOptions) => Promise<Result<'graph'>>,
): GraphAhead {
  let asked: { readonly key: unknown; readonly answer: Promise<Result<'graph'>> } | undefined;
  return {
    ask() {
      const answer = load();
      asked = { key: key(), answer };
      // Nobody may come for it; whoever does asks again and is told what is wrong.
      answer.catch(() => undefined);
    },
    take(options) {
      const found = asked;
      asked = undefined;
      if (found === undefined || found.key !== key()) return load(options);
      return found.answer.catch(() => load(options));
    },
  };
}
