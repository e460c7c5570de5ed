import type {
  DocumentState,
  Notice,
  PageHandlers,
  PageMethod,
  ToHost,
  ToPage,
} from '../../../src/editor/pageProtocol.ts';
import type { BenchReport, Candidate, WireError } from '../../../src/engine/protocol.ts';
import type { RecipeStep } from '../../../src/passes/pass.ts';
import type { FakeNode } from './builder.ts';
import {
  applyStep,
  detailsOf,
  estimatesOf,
  deviceList,
  findingsOf,
  inspectOf,
  memoryOf,
  passList,
  viewOf,
} from './fakeModel.ts';
import { largeNet, resnetLike, transformerLike } from './graphs.ts';
import { realHandlers } from './realHost.ts';
import { themes } from './themes.ts';

/** Runs before the page: plays the extension host and VS Code's theme. The address chooses the model and the theme. */

/** What the tests see of the host. */
export interface FakeHost {
  readonly calls: { readonly method: PageMethod; readonly params: unknown }[];
  readonly cancelled: number[];
  /** Calls of these methods wait until `release`. */
  readonly held: Set<PageMethod>;
  release(): void;
  notify(notice: Notice): void;
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
let data: string | null = null;
let revision = 1;
let nodes = original;

const calls: FakeHost['calls'] = [];
const cancelled: number[] = [];
const held = new Set((address.get('hold')?.split(',') ?? []) as PageMethod[]);
let waiting: (() => void)[] = [];
const running = new Map<number, AbortController>();

const post = (message: ToPage) => window.postMessage(message, '*');

function state(): DocumentState {
  return {
    revision,
    model: JSON.stringify(steps),
    file: file ?? 'network.onnx',
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
  const before = inspectOf(nodes);
  steps = [...steps, ...added];
  undone = [];
  changed();
  const after = inspectOf(nodes);
  const headline = ({ fileBytes, params, macs }: typeof before) => ({ fileBytes, params, macs });
  return {
    before: headline(before),
    after: headline(after),
    changed: nodes.filter((node) => (node.kind ?? 0) === 0).map((node) => node.id),
    notes: [],
    seconds: 0.1,
  };
}

function benchOf(list: readonly FakeNode[]): Omit<BenchReport, 'against'> {
  const layers = list
    .filter((node) => (node.kind ?? 0) === 0)
    .map((node) => ({
      id: node.id,
      name: node.id,
      ms: 0.002 + (node.macs ?? 0) / (node.precision === 'int8' ? 2e8 : 5e7),
    }));
  const sum = layers.reduce((total, { ms }) => total + ms, 0);
  return {
    runtime: 'ONNX Runtime 1.30',
    provider: 'cpu',
    threads: 1,
    runs: 50,
    loadMs: 12.3,
    latencyMs: { min: sum * 0.97, median: sum, mean: sum * 1.02, p90: sum * 1.1, p99: sum * 1.3 },
    peakRssBytes: 91e6,
    layers: layers.map((layer) => ({ ...layer, share: layer.ms / sum })),
    fallback: [],
    inputs: 'seeded random inputs',
  };
}

function candidateOf(title: string, recipe: readonly RecipeStep[], score: number): Candidate {
  const list = recipe.reduce(applyStep, nodes);
  const { fileBytes, macs, peakActivationBytes } = inspectOf(list);
  const ms = benchOf(list).latencyMs.median;
  return {
    title,
    recipe,
    fileBytes,
    compressedBytes: Math.round(fileBytes * 0.9),
    macs,
    measuredMs: ms,
    latencyMs: ms * 20,
    energyMj: ms * 3,
    ramBytes: peakActivationBytes,
    fits: { flash: 'fits', ram: (peakActivationBytes ?? 0) > 96 << 10 ? 'does not fit' : 'fits' },
    score,
    scoreKind: 'agreement',
  };
}

const fit = (used: number, allowed: number) =>
  used <= allowed ? ('fits' as const) : ('does not fit' as const);

class Refusal extends Error {
  readonly reason: WireError['reason'];
  constructor(reason: WireError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

const file = address.get('file');
const real = file === null ? {} : realHandlers({ file, steps: () => steps, device: () => device });

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
  inspect: async () => inspectOf(nodes),
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
  estimate: async () => {
    const report = inspectOf(nodes);
    const ms = benchOf(nodes).latencyMs.median * 20;
    return {
      device: device ?? '',
      latencyMs: ms,
      latencyRangeMs: [ms / 1.5, ms * 1.5],
      basis: 'estimated',
      energyMj: ms * 0.15,
      energyScope: 'the board',
      notes: [],
      flashBytes: report.fileBytes,
      ramBytes: report.peakActivationBytes,
      fits: { flash: fit(report.fileBytes, 2 << 20), ram: fit(report.peakActivationBytes ?? 0, 96 << 10) },
      unsupported: [],
      layers: estimatesOf(nodes),
    };
  },
  passes: async () => ({ passes: passList }),
  devices: async () => ({ devices: deviceList }),
  setDevice: async (params) => {
    device = params.device;
    changed();
    return state();
  },
  apply: async ({ pass, options, layers }) =>
    edit([{ pass, options, ...(layers === undefined ? {} : { layers }) }]),
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
  compare: async () => ({
    before: inspectOf(original),
    after: inspectOf(nodes),
    diff: {
      added: [],
      removed: [],
      changed: nodes
        .filter((node) => node.precision === 'int8' || node.precision === 'float16')
        .map((node) => ({ id: node.id, classes: ['type', 'weights'] as const })),
      unchanged: nodes.filter((node) => node.precision === undefined).length,
      before: { fileBytes: 0, params: 0, macs: 0 },
      after: { fileBytes: 0, params: 0, macs: 0 },
      notCovered: [],
    },
  }),
  optimize: async (params) => {
    const candidates = [
      candidateOf('Half precision', [{ pass: 'fp16', options: {} }], 0.999),
      candidateOf('Quantize to int8', [{ pass: 'quantize-static', options: { ranges: 'minmax' } }], 0.991),
      { ...candidateOf('Split for the delegate', [], 1), failure: 'Delegates are a TFLite matter.' },
    ];
    return {
      device: params.device,
      data: 'seeded random inputs',
      baseline: candidateOf('As it is', [], 1),
      candidates,
      pareto: [0, 1],
      chosen: 1,
      maxDrop: params.maxDrop ?? 1,
      reason: 'Quantize to int8 is the smallest that loses at most 1 point.',
      out: null,
    };
  },
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
  cancelled,
  held,
  release() {
    held.clear();
    for (const resolve of waiting) resolve();
    waiting = [];
  },
  notify: (notice) => post({ kind: 'notice', ...notice }),
  setTheme,
  state,
  remembered: () => JSON.parse(sessionStorage.getItem(stateKey) ?? 'null') as unknown,
};
setTheme(address.get('theme') ?? 'dark');
