import type {
  DocumentState,
  Notice,
  PageHandlers,
  PageInspect,
  PageMethod,
  ToHost,
  ToPage,
} from '../../../src/editor/page/protocol.ts';
import type { WireError } from '../../../src/engine/protocol.ts';
import type { InspectReport } from '../../../src/engine/answers.ts';
import type { RecipeStep } from '../../../src/passes/pass.ts';
import { type FakeNode, viewOf } from './builder.ts';
import { deviceList, passList } from './fakeCatalogue.ts';
import { applyStep, detailsOf, findingsOf, inspectOf, memoryOf, shippedOf } from './fakeModel.ts';
import { benchOf, changedOf, comparisonOf, estimateOf, optimizeOf, sensitivityOf } from './fakeRuns.ts';
import { largeNet, resnetLike, transformerLike } from './graphs.ts';
import { applyToFile, realHandlers } from './realHost.ts';
import { themes } from './themes.ts';

/** Runs before the page: plays the extension host and VS Code's theme. The address chooses the model and the theme. */

/** What the tests see of the host. */
interface FakeHost {
  readonly calls: { readonly method: PageMethod; readonly params: unknown }[];
  readonly cancelled: number[];
  /** Files that the page wrote. */
  readonly saved: { readonly name: string; readonly bytes: number; readonly head: string }[];
  /** Calls of these methods wait until `release`. */
  readonly held: Set<PageMethod>;
  release(): void;
  notify(notice: Notice): void;
  /** Makes the columns of the graph and throws them away. */
  buildGraph(): void;
  /** One more step, as if another view had asked for it. */
  apply(pass: string): Promise<unknown>;
  /** Nothing that the page asked for is still under way. */
  idle(): boolean;
  setTheme(id: string): void;
  state(): DocumentState;
  remembered(): unknown;
}

declare global {
  interface Window {
    fakeHost: FakeHost;
    acquireVsCodeApi: () => {
      postMessage(message: ToHost): void;
      getState(): unknown;
      setState(state: unknown): void;
    };
  }
}

const address = new URLSearchParams(location.search);

const models: Readonly<Record<string, () => readonly FakeNode[]>> = {
  resnet: () => resnetLike(3),
  transformer: () => transformerLike(12),
  flat: () => transformerLike(12, false),
  empty: () => [],
  large: () => largeNet(Number(address.get('size') ?? 10_000)),
};

const original = models[address.get('model') ?? 'resnet']!();
let steps: readonly RecipeStep[] = [];
let undone: readonly RecipeStep[] = [];
let device: string | null = address.get('device');
let data: string | null = address.get('data');
let measuredScheme: string | null = address.get('measured');
let revision = 1;
let nodes = original;

const calls: FakeHost['calls'] = [];
const saved: FakeHost['saved'] = [];

function sideBySide(former: readonly FakeNode[]) {
  const { before, after, diff } = comparisonOf(former, nodes);
  return { before: withoutRows(before), after: withoutRows(after), diff };
}

function withoutRows({ layers, ...report }: InspectReport): PageInspect {
  return { ...report, layerCount: layers.length };
}
const cancelled: number[] = [];
const held = new Set((address.get('hold')?.split(',') ?? []) as PageMethod[]);
let waiting: (() => void)[] = [];
const running = new Map<number, AbortController>();

const post = (message: ToPage) => window.postMessage(message, '*');

function state(): DocumentState {
  return {
    revision,
    model: JSON.stringify(steps),
    file: file?.slice(file.lastIndexOf('/') + 1) ?? 'network.onnx',
    format: file?.endsWith('.tflite') === true ? 'tflite' : 'onnx',
    dirty: steps.length > 0,
    trusted: address.get('trusted') !== 'no',
    device,
    budget: file === null ? { fileBytes: 1e6 } : {},
    data,
    steps,
    undone,
    selection: null,
  };
}

function changed(): void {
  nodes = steps.reduce(applyStep, original);
  revision++;
  post({ kind: 'notice', notice: 'changed', state: state() });
}

function edit(added: readonly RecipeStep[]) {
  const former = nodes;
  const before = inspectOf(former);
  steps = [...steps, ...added];
  undone = [];
  changed();
  const after = inspectOf(nodes);
  const headline = ({ fileBytes, params, macs }: typeof before) => ({ fileBytes, params, macs });
  return {
    before: headline(before),
    after: headline(after),
    changed: changedOf(former, nodes),
    notes: [],
    seconds: 0.1,
  };
}

class Refusal extends Error {
  readonly reason: WireError['reason'];
  constructor(reason: WireError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

const file = address.get('file');
const real =
  file === null ? {} : realHandlers({ file, steps: () => steps, device: () => device, dataset: data });

const handlers: PageHandlers = {
  ready: async () => state(),
  graph: async () => {
    const view = viewOf(nodes);
    return device === null ? { ...view, estimateMs: view.estimateMs.map(() => Number.NaN) } : view;
  },
  node: async ({ id }) => {
    const details = detailsOf(nodes, id);
    if (details === undefined) throw new Refusal('not-found', `There is no layer ${id}.`);
    return details;
  },
  inspect: async () => withoutRows(inspectOf(nodes)),
  shipped: async () => shippedOf(nodes, original),
  layers: async () => ({
    layers: inspectOf(nodes).layers.map((row) => ({
      ...row,
      family: 'other' as const,
      macs: row.macs ?? undefined,
      flops: row.flops ?? undefined,
      activationBytes: row.activationBytes ?? undefined,
      inputBytes: detailsOf(nodes, row.id)?.cost.inputBytes ?? undefined,
      outputTypes: ['float32'],
      formula: '',
    })),
    memory: memoryOf(nodes),
  }),
  tensor: async () => ({
    elements: 2304,
    min: -0.41,
    max: 0.38,
    mean: 0.0012,
    std: 0.083,
    zeros: 3,
    nonFinite: 0,
    histogram: {
      counts: Array.from({ length: 40 }, (_, i) => Math.round(300 * Math.exp(-(((i - 20) / 6) ** 2)))),
      from: -0.41,
      to: 0.38,
    },
    preview: [0.0123, -0.0871, 0.114, 0.0004, -0.209, 0.0566],
  }),
  check: async () => ({ findings: findingsOf(nodes) }),
  estimate: async () => estimateOf(device, nodes),
  passes: async () => ({ passes: passList }),
  devices: async () => ({ devices: deviceList }),
  setDevice: async (params) => {
    device = params.device;
    changed();
    return state();
  },
  apply: async ({ pass, options, layers }) => {
    const wanted = { pass, options, ...(layers === undefined ? {} : { layers }) };
    if (file === null) return edit([wanted]);
    const { step, report } = await applyToFile(file, steps, wanted, data);
    steps = [...steps, step];
    undone = [];
    changed();
    return report;
  },
  applyRecipe: async (params) => edit(params.steps),
  undo: async () => {
    const last = steps[steps.length - 1];
    if (last !== undefined) {
      undone = [last, ...undone];
      steps = steps.slice(0, -1);
      changed();
    }
    return null;
  },
  redo: async () => {
    const [next, ...rest] = undone;
    if (next !== undefined) {
      steps = [...steps, next];
      undone = rest;
      changed();
    }
    return null;
  },
  bench: async (params, call) => {
    call.progress(0.5, 'run 25 of 50');
    const before = benchOf(original);
    const now = benchOf(nodes);
    return params.original
      ? { ...now, against: { ...before, speedup: before.latencyMs.median / now.latencyMs.median } }
      : now;
  },
  evaluate: async () => ({
    samples: 100,
    data: 'digits.npz',
    top1: 0.973,
    reference: { agreement: 0.99, sqnrDb: 38.2, cosine: 0.9993, klDiv: 0.0004 },
  }),
  other: async ({ against }) => {
    const former =
      against.kind === 'file' ? resnetLike(2) : steps.slice(0, against.count).reduce(applyStep, original);
    const title = against.kind === 'file' ? 'other.onnx' : `network.onnx after step ${against.count}`;
    return { title, graph: viewOf(former), ...sideBySide(former) };
  },
  pickOther: async () => ({ kind: 'file', path: '/models/other.onnx' }),
  compareTexts: async () => null,
  history: async () => ({
    points: [0, ...steps.map((_, i) => i + 1)].map((count) => {
      const { fileBytes, params, macs } = inspectOf(steps.slice(0, count).reduce(applyStep, original));
      return { fileBytes, params, macs };
    }),
  }),
  tensorPage: async ({ offset, count }) => ({
    dtype: 'float32',
    dims: [16, 16, 3, 3],
    offset,
    values: Float64Array.from({ length: Math.max(0, Math.min(count, 2304 - offset)) }, (_, i) =>
      Math.sin(offset + i),
    ),
  }),
  channels: async ({ axis = 0 }) => ({
    dims: [16, 16, 3, 3],
    axis,
    channels: 16,
    channelsPerRow: 1,
    rows: 16,
    columns: 48,
    cells: Float32Array.from({ length: 16 * 48 }, (_, i) => Math.sin(i / 7) * (i % 48 === 3 ? 2 : 0.4)),
    min: new Float32Array(16).fill(-0.4),
    max: new Float32Array(16).fill(0.4),
    zeros: Float32Array.from({ length: 16 }, (_, i) => (i === 5 ? 1 : 0)),
  }),
  exportTensor: async ({ name }) => ({ file: `${name}.npy`, bytes: 9344 }),
  sparsity: async () => {
    const layers = nodes.filter((node) => (node.params ?? 0) > 0).map(({ id }) => id);
    return { layers, share: Float64Array.from(layers, (_, i) => (i % 5) / 5) };
  },
  sensitivity: async ({ scheme }) => {
    measuredScheme = scheme;
    return sensitivityOf(scheme, nodes);
  },
  measured: async () => (measuredScheme === null ? null : sensitivityOf(measuredScheme, nodes)),
  exportAs: async ({ name }) => ({ file: name, bytes: 12_345 }),
  saveFile: async ({ name, content }) => {
    saved.push({ name, bytes: content.length, head: new TextDecoder().decode(content.slice(0, 200)) });
    return { file: name };
  },
  pickOverlay: async () => null,
  optimize: async (params) => optimizeOf(params.device, nodes, params.maxDrop ?? 1),
  writeCandidate: async () => ({
    model: 'network.int8.onnx',
    recipe: 'network.int8.kerf.json',
    fileBytes: 81_000,
  }),
  select: async () => null,
  showText: async () => null,
  showRule: async () => null,
  pickData: async () => {
    data = 'digits.json';
    changed();
    return state();
  },
  copy: async () => null,
  ...real,
};

async function serve(id: number, method: PageMethod, params: unknown): Promise<void> {
  calls.push({ method, params });
  const abort = new AbortController();
  running.set(id, abort);
  const progress = (fraction: number, message: string) => post({ kind: 'progress', id, fraction, message });
  try {
    if (held.has(method)) {
      progress(0.3, 'waiting for the test');
      await new Promise<void>((resolve, reject) => {
        waiting.push(resolve);
        abort.signal.addEventListener('abort', () => reject(new Refusal('cancelled', 'Cancelled.')));
      });
    }
    const handler = handlers[method] as (params: unknown, call: unknown) => Promise<unknown>;
    post({ kind: 'result', id, revision, result: await handler(params, { signal: abort.signal, progress }) });
  } catch (error) {
    const reason = error instanceof Refusal ? error.reason : 'internal';
    post({ kind: 'error', id, error: { reason, message: (error as Error).message } });
  } finally {
    running.delete(id);
  }
}

function setTheme(id: string): void {
  const theme = themes.find((candidate) => candidate.id === id)!;
  const style = document.documentElement.style;
  for (const name of [...style].filter((property) => property.startsWith('--vscode-')))
    style.removeProperty(name);
  for (const [name, value] of Object.entries(theme.tokens)) style.setProperty(`--vscode-${name}`, value);
  document.body.className = theme.bodyClass;
}

const stateKey = 'fake-host-state';

window.acquireVsCodeApi = () => ({
  postMessage(message) {
    if (message.kind === 'cancel') {
      cancelled.push(message.id);
      running.get(message.id)?.abort();
      return;
    }
    void serve(message.id, message.method, message.params);
  },
  getState: () => JSON.parse(sessionStorage.getItem(stateKey) ?? 'null') as unknown,
  setState: (value) => sessionStorage.setItem(stateKey, JSON.stringify(value)),
});

window.fakeHost = {
  calls,
  saved,
  cancelled,
  held,
  release() {
    held.clear();
    for (const resolve of waiting) resolve();
    waiting = [];
  },
  notify: (notice) => post({ kind: 'notice', ...notice }),
  buildGraph: () => void viewOf(nodes),
  apply: (pass) =>
    handlers.apply({ pass, options: {} }, { signal: new AbortController().signal, progress() {} }),
  idle: () => running.size === 0,
  setTheme,
  state,
  remembered: () => JSON.parse(sessionStorage.getItem(stateKey) ?? 'null') as unknown,
};
setTheme(address.get('theme') ?? 'dark');
