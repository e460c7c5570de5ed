import type { PageHandlers, PageInspect } from '../../../src/editor/pageProtocol.ts';
import type { InspectReport, Method, Params, Result } from '../../../src/engine/protocol.ts';
import type { RecipeStep } from '../../../src/passes/pass.ts';

const arrays = { Uint8Array, Uint16Array, Uint32Array, Float32Array, Float64Array } as const;

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
  const compared = async (former: string) => {
    const now = await handle();
    return {
      before: withoutRows(await engine('inspect', { handle: former })),
      after: withoutRows(await engine('inspect', { handle: now })),
      diff: await engine('diff', { a: former, b: now }),
    };
  };
  return {
    graph: async () => engine('graph', { handle: await handle(), ...target() }),
    node: async ({ id }) => engine('node', { handle: await handle(), id, ...target() }),
    inspect: async () => withoutRows(await engine('inspect', { handle: await handle() })),
    layers: async () => engine('layers', { handle: await handle() }),
    tensor: async (at) => engine('tensor', { handle: await handle(), ...at }),
    tensorPage: async (at) => engine('tensorPage', { handle: await handle(), ...at }),
    channels: async (at) => engine('channels', { handle: await handle(), ...at }),
    sparsity: async () => engine('sparsity', { handle: await handle() }),
    other: async ({ against }) => {
      const path = against.kind === 'file' ? against.path : file;
      const before = against.kind === 'file' ? [] : steps().slice(0, against.count);
      const { handle: former } = await engine('open', { path, steps: before });
      const title = path.slice(path.lastIndexOf('/') + 1);
      return {
        title,
        graph: await engine('graph', { handle: former, ...target() }),
        ...(await compared(former)),
      };
    },
    pickOther: async () => ({
      kind: 'file',
      path: new URLSearchParams(location.search).get('other') ?? file,
    }),
    history: async () => {
      const points = [];
      for (let count = 0; count <= steps().length; count++) {
        const { handle: at } = await engine('open', { path: file, steps: steps().slice(0, count) });
        const { fileBytes, params, macs } = await engine('inspect', { handle: at });
        points.push({ fileBytes, params, macs });
      }
      return { points };
    },
    check: async () => engine('check', { handle: await handle(), ...target() }),
    estimate: async () => engine('estimate', { handle: await handle(), device: device() ?? '' }),
    passes: () => engine('passes', {}),
    devices: () => engine('devices', {}),
  };
}

function withoutRows({ layers, ...report }: InspectReport): PageInspect {
  return { ...report, layerCount: layers.length };
}
