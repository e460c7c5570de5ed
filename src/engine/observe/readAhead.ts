import { setImmediate } from 'node:timers/promises';
import type { Dataset } from '../../runtime/data/dataset.ts';
import type { HostTensor, Tensors } from '../../runtime/runner.ts';

interface ReadAhead {
  /** Gives the samples that are there already, once; makes the others. */
  readonly data: Dataset;
  /** Ends the reading; samples that nobody asked for are let go. */
  stop(): void;
}

/** What is kept of samples that nobody asked for yet. */
const mostBytes = 16 * 2 ** 20;

/**
 * Makes the samples of a dataset from number `first` up to `end` one after another while this process has nothing else to do, as when another
 * one loads a model or runs it.
 */
export function readAhead(
  data: Dataset,
  [first, end]: readonly [number, number],
  most = mostBytes,
): ReadAhead {
  const unit = data.batch === 'free' ? 1 : data.batch;
  const ready = new Map<number, Tensors>();
  let bytes = 0;
  let next = first;
  const stopped = new AbortController();
  let roomMade: (() => void) | undefined;
  const take = (at: number): Tensors => {
    const made = ready.get(at);
    if (made === undefined) return data.feeds(at, unit);
    ready.delete(at);
    bytes -= bytesOf(made);
    roomMade?.();
    return made;
  };
  const fill = async () => {
    while (next < end && !stopped.signal.aborted) {
      if (bytes > most)
        await new Promise<void>((resolve) => {
          roomMade = resolve;
        });
      else {
        const made = data.feeds(next, unit);
        ready.set(next, made);
        bytes += bytesOf(made);
        next += unit;
      }
      await setImmediate();
    }
  };
  // What cannot be made fails again, and is reported, where it is asked for.
  fill().catch(() => undefined);
  return {
    data: {
      ...data,
      feeds(from, count = unit) {
        next = Math.max(next, from + count);
        if (data.batch !== 'free') return take(from);
        return joined(Array.from({ length: count }, (_, i) => take(from + i)));
      },
    },
    stop() {
      stopped.abort();
      ready.clear();
      roomMade?.();
    },
  };
}

/** A dataset that need not make again, once, the samples which somebody had to look at before. */
interface OnceMore extends Dataset {
  /** Feeds from sample `first` on, as many as one inference takes (1 when that is free); left out where there are many. */
  keep(first: number, feeds: Tensors): void;
}

export function onceMore(data: Dataset, most = mostBytes): OnceMore {
  const unit = data.batch === 'free' ? 1 : data.batch;
  const kept = new Map<number, Tensors>();
  let bytes = 0;
  return {
    ...data,
    keep(first, feeds) {
      bytes += bytesOf(feeds);
      if (bytes <= most) kept.set(first, feeds);
    },
    feeds(first, count = unit) {
      const made = count === unit ? kept.get(first) : undefined;
      if (made !== undefined) kept.delete(first);
      return made ?? data.feeds(first, count);
    },
  };
}

function bytesOf(tensors: Tensors): number {
  return Object.values(tensors).reduce((sum, { data }) => sum + data.length, 0);
}

/** Samples of one element each along the first axis. */
function joined(samples: readonly Tensors[]): Tensors {
  const [first] = samples;
  if (first === undefined || samples.length === 1) return first ?? {};
  const of = (name: string) => samples.map((each) => each[name] as HostTensor);
  return Object.fromEntries(Object.keys(first).map((name) => [name, stacked(of(name))]));
}

function stacked(tensors: readonly HostTensor[]): HostTensor {
  const { dtype, dims, data, strings } = tensors[0] as HostTensor;
  const all = new Uint8Array(tensors.length * data.length);
  for (const [i, each] of tensors.entries()) all.set(each.data, i * data.length);
  return {
    dtype,
    dims: [tensors.length, ...dims.slice(1)],
    data: all,
    ...(strings && { strings: tensors.flatMap((each) => each.strings ?? []) }),
  };
}
