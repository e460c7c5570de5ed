import type { LoadedGraph, Selection } from './loadedGraph.ts';
import { loadedGraph } from './loadedGraph.ts';
import type { DocumentState, PageMethod, PageParams, PageResult, Tab } from '../src/editor/page/protocol.ts';
import type { Host } from './host.ts';
import type { Change, Comparison } from './compare/comparison.ts';
import { type Resource, resource, settledOnce } from './resource.ts';
import { markFindings } from './marks.ts';
import { type Signal, signal } from './signal.ts';
import { type ViewState, readViewState } from './viewState.ts';
import type { LayerValues, OverlayId } from './graph/overlay.ts';
import type { Scale } from './graph/scale.ts';

/** A long job under way; one line of words and a way to stop it. */
interface Job {
  readonly title: string;
  readonly fraction: number;
  readonly message: string;
  readonly cancel: (() => void) | undefined;
}

interface OverlayMakers {
  sensitivity(scheme: string): void;
  /** Takes what was measured of the model as it is, by whomever. */
  recall(): void;
  sparsity(): void;
  benchmark(): void;
  comparison(): void;
}

/** What the parts of the page share. */
export interface App {
  readonly host: Host;
  readonly document: Signal<DocumentState | undefined>;
  readonly selection: Signal<Selection>;
  readonly overlay: Signal<OverlayId>;
  readonly scale: Signal<Scale>;
  /** Heat below this share of the scale is dimmed. */
  readonly threshold: Signal<number>;
  /** Values per layer that do not come with the graph. */
  readonly extra: Signal<ReadonlyMap<OverlayId, LayerValues>>;
  /** How to come by such values; set by who keeps them. */
  readonly make: Signal<OverlayMakers | undefined>;
  readonly tab: Signal<Tab>;
  readonly job: Signal<Job | undefined>;
  /** The last thing that happened, shown in the status line and read to screen readers. */
  readonly said: Signal<{ readonly text: string; readonly error: boolean }>;
  /** Why the model could not be opened at all. */
  readonly failed: Signal<string | undefined>;
  /** What a screen reader should hear of the graph; not shown. */
  readonly heard: Signal<string>;
  /** The model beside this one. */
  readonly comparison: Signal<Comparison | undefined>;
  /** How layers of this graph differ from those of the other one, by id. */
  readonly changes: Signal<ReadonlyMap<string, Change> | undefined>;
  /** Milliseconds per layer id of the last benchmark of this model. */
  readonly measured: Signal<ReadonlyMap<string, number> | undefined>;
  readonly graph: Resource<LoadedGraph>;
  /** The graph whose picture is on screen; what can wait for the picture watches this. */
  readonly drawn: Signal<LoadedGraph | undefined>;
  readonly inspect: Resource<PageResult<'inspect'>>;
  readonly layers: Resource<PageResult<'layers'>>;
  /** Asked for when the graph is there: compressing may take a while, and nobody waits for it. */
  readonly shipped: Resource<PageResult<'shipped'>>;
  readonly findings: Resource<PageResult<'check'>>;
  /** The findings that the graph's columns hold. */
  readonly marked: Signal<PageResult<'check'> | undefined>;
  readonly estimate: Resource<PageResult<'estimate'> | undefined>;
  readonly passes: Resource<PageResult<'passes'>>;
  readonly devices: Resource<PageResult<'devices'>>;
  readonly viewState: ViewState;
  /** Brings a layer on screen; set by the graph. */
  readonly show: Signal<((id: string) => void) | undefined>;
  /** Shows a tab and the pane it is in; set by the page. */
  readonly showTab: Signal<((tab: Tab) => void) | undefined>;
  /** Runs a job with progress and Cancel; an error is shown, and the answer is `undefined`. */
  run<M extends PageMethod>(
    title: string,
    method: M,
    params: PageParams<M>,
  ): Promise<PageResult<M> | undefined>;
  /** A call whose answer does not matter; only its failure is shown. */
  tell<M extends PageMethod>(method: M, params: PageParams<M>): void;
  say(text: string, options?: { readonly error: boolean }): void;
}

export function createApp(host: Host): App {
  const viewState = readViewState(host);
  const document = signal<DocumentState | undefined>(undefined);
  const selection = signal<Selection>(viewState.get('selection'));
  const overlay = signal<OverlayId>(viewState.get('overlay'));
  const scale = signal<Scale>(viewState.get('scale'));
  const threshold = signal(viewState.get('threshold'));
  const tab = signal<Tab>(viewState.get('tab'));
  const job = signal<Job | undefined>(undefined);
  const said = signal({ text: '', error: false });
  const say: App['say'] = (text, options) => said.set({ text, error: options?.error ?? false });
  selection.onChange((value) => viewState.set('selection', value));
  overlay.onChange((value) => viewState.set('overlay', value));
  scale.onChange((value) => viewState.set('scale', value));
  threshold.onChange((value) => viewState.set('threshold', value));
  tab.onChange((value) => viewState.set('tab', value));
  const model = () => document.get()?.model;
  const once = () => (document.get() === undefined ? undefined : 'once');
  const revision = () => document.get()?.revision;
  const marked = signal<PageResult<'check'> | undefined>(undefined);
  const graph = resource(revision, async () => {
    const view = await host.call('graph', {});
    performance.mark('kerf:graph');
    const loaded = loadedGraph(view);
    const known = marked.get();
    if (known !== undefined) markFindings(loaded.view, known);
    return loaded;
  });
  // Asked for before anything is redrawn for the new state.
  document.onChange(() => graph.refresh());
  const findings = resource(revision, () => host.call('check', {}));
  findings.watch(({ value }) => {
    if (value === undefined) return;
    const loaded = graph.get().value;
    if (loaded !== undefined) markFindings(loaded.view, value);
    marked.set(value);
  });
  return {
    host,
    document,
    selection,
    overlay,
    scale,
    threshold,
    extra: signal<ReadonlyMap<OverlayId, LayerValues>>(new Map()),
    make: signal<OverlayMakers | undefined>(undefined),
    tab,
    job,
    said,
    failed: signal<string | undefined>(undefined),
    heard: signal(''),
    comparison: signal<Comparison | undefined>(undefined),
    changes: signal<ReadonlyMap<string, Change> | undefined>(undefined),
    measured: signal<ReadonlyMap<string, number> | undefined>(undefined),
    graph,
    drawn: signal<LoadedGraph | undefined>(undefined),
    inspect: resource(revision, () => host.call('inspect', {})),
    layers: resource(model, () => host.call('layers', {})),
    shipped: resource(model, async () => {
      await settledOnce(graph);
      return host.call('shipped', {});
    }),
    findings,
    marked,
    estimate: resource(revision, async () =>
      document.get()?.device === null ? undefined : host.call('estimate', {}),
    ),
    passes: resource(once, () => host.call('passes', {})),
    devices: resource(once, () => host.call('devices', {})),
    viewState,
    show: signal<((id: string) => void) | undefined>(undefined),
    showTab: signal<((tab: Tab) => void) | undefined>(undefined),
    run: (title, method, params) => runJob({ host, job, say }, title, method, params),
    tell(method, params) {
      host.call(method, params).catch((error: unknown) => {
        if ((error as { reason?: string }).reason !== 'cancelled')
          say((error as Error).message, { error: true });
      });
    },
    say,
  };
}

async function runJob<M extends PageMethod>(
  { host, job, say }: Pick<App, 'host' | 'job' | 'say'>,
  title: string,
  method: M,
  params: PageParams<M>,
): Promise<PageResult<M> | undefined> {
  if (job.get() !== undefined) {
    say(`${job.get()!.title} is still running. Cancel it first.`, { error: true });
    return undefined;
  }
  const abort = new AbortController();
  const show = (fraction: number, message: string) =>
    job.set({ title, fraction, message, cancel: () => abort.abort() });
  show(0, 'starting');
  try {
    return await host.call(method, params, { signal: abort.signal, onProgress: show });
  } catch (error) {
    const cancelled = (error as { reason?: string }).reason === 'cancelled';
    const message = error instanceof Error ? error.message : String(error);
    say(cancelled ? `${title}: cancelled, nothing was changed.` : `${title}: ${message}`, {
      error: !cancelled,
    });
    return undefined;
  } finally {
    job.set(undefined);
  }
}
