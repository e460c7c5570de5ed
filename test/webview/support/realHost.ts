import type { PageHandlers, PageInspect } from '../../../src/editor/page/protocol.ts';
import type { Handle, Method, Params, Result } from '../../../src/engine/protocol.ts';
import type { RecipeStep } from '../../../src/passes/pass.ts';

const arrays = { Uint8Array, Uint16Array, Uint32Array, Float32Array, Float64Array } as const;

/** The engine in the test's process, over HTTP; the bytes of typed arrays come behind the JSON. */
async function engine<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
  const response = await fetch('/engine', { method: 'POST', body: JSON.stringify({ method, params }) });
  if (!response.ok) throw new Error(await response.text());
  const buffer = await response.arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(buffer, buffer.byteLength - length));
  return unpacked(JSON.parse(text), buffer) as Result<M>;
}

function unpacked(value: unknown, buffer: ArrayBuffer): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value))
    return typeof value[0] === 'object' ? value.map((part) => unpacked(part, buffer)) : value;
  const { typed, offset, bytes } = value as { typed?: keyof typeof arrays; offset?: number; bytes?: number };
  if (typed === undefined || offset === undefined || bytes === undefined)
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, unpacked(part, buffer)]));
  const begin = 8 + offset;
  return new arrays[typed](buffer.slice(begin, begin + bytes));
}

interface Now {
  readonly file: string;
  steps(): readonly RecipeStep[];
  device(): string | null;
  /** Path of the data that calibrate and judge. */
  readonly dataset: string | null;
}

const handles = new Map<string, Promise<Handle>>();

/** The model after some steps; as the extension's document, asked for once. */
function handleOf(file: string, steps: readonly RecipeStep[]): Promise<Handle> {
  const key = JSON.stringify([file, steps]);
  const known = handles.get(key) ?? engine('open', { path: file, steps }).then(({ handle }) => handle);
  handles.set(key, known);
  return known;
}

/** The server keeps the rows of an inspection, as the extension's host does. */
async function inspected(handle: Handle): Promise<PageInspect> {
  return (await engine('inspect', { handle })) as unknown as PageInspect;
}

let declared: Promise<Result<'passes'>> | undefined;

/** One more step on a real file, as a person's edit does it, with the data that the pass may want. */
export async function applyToFile(
  file: string,
  steps: readonly RecipeStep[],
  { pass, ...call }: RecipeStep,
  data: string | null,
): Promise<{ readonly step: RecipeStep; readonly report: Result<'apply'>['report'] }> {
  const { passes } = await (declared ??= engine('passes', {}));
  const calibrates = passes.some(({ id, calibration }) => id === pass && calibration !== 'none');
  const step = { pass, ...call, ...(calibrates && data !== null && { data }) };
  const { handle, report } = await engine('apply', { handle: await handleOf(file, steps), step });
  handles.set(JSON.stringify([file, [...steps, step]]), Promise.resolve(handle));
  return { step, report };
}

/** What the made-up host answers itself is replaced by the engine's answers about a real file. */
export function realHandlers({ file, steps, device, dataset }: Now): Partial<PageHandlers> {
  const handle = () => handleOf(file, steps());
  const target = () => {
    const id = device();
    return id === null ? {} : { device: id };
  };
  const compared = async (former: string) => {
    const now = await handle();
    return {
      before: await inspected(former),
      after: await inspected(now),
      diff: await engine('diff', { a: former, b: now }),
    };
  };
  return {
    graph: async () => engine('graph', { handle: await handle(), ...target(), marks: false }),
    node: async ({ id }) => engine('node', { handle: await handle(), id, ...target() }),
    inspect: async () => inspected(await handle()),
    shipped: async () => {
      const { handle: original } = await engine('open', { path: file });
      const now = await handle();
      const { compressedBytes: originalBytes } = await engine('shipped', { handle: original });
      const sizes = await engine(
        'shipped',
        now === original ? { handle: now } : { handle: now, against: original },
      );
      return { ...sizes, originalBytes, tooLarge: false };
    },
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
    bench: async ({ options, original }) => {
      const against = original ? { against: (await engine('open', { path: file, steps: [] })).handle } : {};
      return engine('bench', { handle: await handle(), options, ...against });
    },
    evaluate: async ({ data = dataset }) => {
      const { handle: reference } = await engine('open', { path: file, steps: [] });
      return engine('evaluate', { handle: await handle(), reference, ...(data === null ? {} : { data }) });
    },
    optimize: async ({ device: on, maxDrop }) =>
      engine('optimize', {
        handle: await handle(),
        device: on,
        ...(maxDrop === undefined ? {} : { maxDrop }),
        ...(dataset === null ? {} : { data: dataset }),
      }),
    estimate: async () => engine('estimate', { handle: await handle(), device: device() ?? '' }),
    passes: () => (declared ??= engine('passes', {})),
    devices: () => engine('devices', {}),
  };
}
