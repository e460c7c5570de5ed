import type { PageHandlers } from '../../../src/editor/pageProtocol.ts';
import type { Method, Params, Result } from '../../../src/engine/protocol.ts';
import type { RecipeStep } from '../../../src/passes/pass.ts';

const arrays = { Uint8Array, Uint16Array, Uint32Array, Float64Array } as const;

/** The engine in the test's process, over HTTP; typed arrays come as lists. */
async function engine<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
  const response = await fetch('/engine', { method: 'POST', body: JSON.stringify({ method, params }) });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return JSON.parse(text, (_, value: unknown) => {
    const packed = value as { typed?: keyof typeof arrays; data?: (number | null)[] } | null;
    if (packed?.typed === undefined || packed.data === undefined) return value;
    // NaN becomes null on the way.
    const numbers = packed.data.map((x) => x ?? Number.NaN);
    return new arrays[packed.typed](numbers);
  }) as Result<M>;
}

interface Now {
  readonly file: string;
  steps(): readonly RecipeStep[];
  device(): string | null;
}

/** What the made-up host answers itself is replaced by the engine's answers about a real file. */
export function realHandlers({ file, steps, device }: Now): Partial<PageHandlers> {
  const handle = async () => (await engine('open', { path: file, steps: steps() })).handle;
  const target = () => {
    const id = device();
    return id === null ? {} : { device: id };
  };
  return {
    graph: async () => engine('graph', { handle: await handle(), ...target() }),
    node: async ({ id }) => engine('node', { handle: await handle(), id, ...target() }),
    inspect: async () => engine('inspect', { handle: await handle() }),
    layers: async () => engine('layers', { handle: await handle() }),
    tensor: async ({ value }) => engine('tensor', { handle: await handle(), value }),
    check: async () => engine('check', { handle: await handle(), ...target() }),
    estimate: async () => engine('estimate', { handle: await handle(), device: device() ?? '' }),
    passes: () => engine('passes', {}),
    devices: () => engine('devices', {}),
  };
}
