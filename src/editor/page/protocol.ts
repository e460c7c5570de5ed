import type { Dialect } from '../../ir/model.ts';
import type { Budget } from '../../rules/rule.ts';
import type { OptionValues, RecipeStep } from '../../passes/pass.ts';
import type {
  BenchOptions,
  BenchReport,
  EstimateReport,
  EvalReport,
  OptimizeReport,
  Result,
  WireError,
} from '../../engine/protocol.ts';
import type { ApplyReport, DiffReport, InspectReport, Headline } from '../../engine/answers.ts';
import type { GraphView } from '../../engine/view.ts';

/**
 * The contract between the page (webview-ui/) and the extension host. The page pulls; the host pushes notices only.
 *
 * The HTML the host serves:
 * - `<link rel="stylesheet" href="…/codicons/codicon.css">` and `<link rel="stylesheet" href="…/main.css">`
 * - `<meta property="csp-nonce" content="…">` and the same nonce in `style-src`: the toolkit asks the browser about
 *   `:focus-visible` with a style element and shows focus rings on every click when that is refused.
 * - `<body data-layout-worker="<webview uri of layoutWorker.js>">`: fetched and started from a blob, because a worker
 *   of another origin is refused. CSP needs `worker-src blob:` and `connect-src ${cspSource}`.
 * - `<script nonce="…" src="…/main.js"></script>` at the end of the body. Nothing else: the page builds itself.
 *
 * Every answer is about the document's current model, device and budget; the host knows them, the page does not pass
 * handles. Typed arrays travel as they are; views are sliced before sending, because the whole buffer behind a view
 * would be sent.
 */

/** What the page must know of the document. Small; sent with `ready` and with every `changed`. */
export interface DocumentState {
  /** Grows whenever the model, the device or the budget changes, undo and redo included. */
  readonly revision: number;
  /** Of the model alone: the same value means the same graph, whatever the device. */
  readonly model: string;
  /** File name without folder. */
  readonly file: string;
  readonly format: Dialect;
  readonly dirty: boolean;
  /** False in an untrusted workspace: looking is allowed, running a model is not. */
  readonly trusted: boolean;
  /** Id of the target device. */
  readonly device: string | null;
  readonly budget: Budget;
  /** Dataset that calibrating passes and evaluation use; null means seeded random inputs. */
  readonly data: string | null;
  /** Steps applied since the file was opened. */
  readonly steps: readonly RecipeStep[];
  /** Steps undone that redo would apply, next one first. */
  readonly undone: readonly RecipeStep[];
  /** Layer selected in another view, if any. */
  readonly selection: string | null;
}

export type Tab =
  | 'layers'
  | 'weights'
  | 'benchmark'
  | 'compare'
  | 'memory'
  | 'roofline'
  | 'recipe'
  | 'optimize';

/** What the model is compared with: itself after so many of its steps (0: as opened), or another file. */
export type Against =
  | { readonly kind: 'steps'; readonly count: number }
  | { readonly kind: 'file'; readonly path: string };

/** `inspect` without its rows: the graph's columns hold those. */
export type PageInspect = Omit<InspectReport, 'layers'> & { readonly layerCount: number };

/** Sizes after brotli; null where they are unknown: weights are missing, or nobody measured because the file is large. */
export interface PageShipped {
  readonly compressedBytes: number | null;
  /** Of the file as it was opened. */
  readonly originalBytes: number | null;
  /** What makes the model out of the file as it was opened; null where it is that file. */
  readonly deltaBytes: number | null;
  readonly tooLarge: boolean;
}

/** The model on the other side of a comparison, and what differs from it to the current one. */
export interface OtherModel {
  readonly title: string;
  readonly graph: GraphView;
  readonly before: PageInspect;
  readonly after: PageInspect;
  readonly diff: DiffReport;
}

/** What each layer alone does to the outputs; null: nothing. */
export interface PageSensitivity {
  readonly scheme: string;
  readonly data: string;
  readonly layers: readonly { readonly id: string; readonly sqnrDb: number | null }[];
}

/** A constant of the model: `value` in graph number `graph` (the main graph when absent). */
interface Constant {
  readonly value: string;
  readonly graph?: number;
}

type None = Record<string, never>;

/** Everything the page may ask. Request, response, client and host handlers derive from this interface. */
export interface PageApi {
  /**
   * The handshake. Stateless and repeatable: a hidden tab loses its page and a new page says `ready` again. Calls of a
   * former page that are still under way are cancelled, their answers are not sent.
   */
  ready(p: None): DocumentState;

  /** Without findings: `check` has them. */
  graph(p: None): Result<'graph'>;
  node(p: { id: string }): Result<'node'>;
  inspect(p: None): PageInspect;
  layers(p: None): Result<'layers'>;
  /** What an update over the air carries; may take seconds. */
  shipped(p: None): PageShipped;
  tensor(p: Constant): Result<'tensor'>;
  /** Weights cross in pages of a few kilobytes, never whole. */
  tensorPage(p: Constant & { offset: number; count: number }): Result<'tensorPage'>;
  channels(p: Constant & { axis?: number }): Result<'channels'>;
  /** Writes `.npy` where the person says; null when they do not. */
  exportTensor(p: Constant & { name: string }): { file: string; bytes: number } | null;
  sparsity(p: None): Result<'sparsity'>;
  sensitivity(p: { scheme: string }): PageSensitivity;
  /** The last measurement of the model as it is, whoever asked for it; null without one. */
  measured(p: None): PageSensitivity | null;
  check(p: None): Result<'check'>;
  estimate(p: None): EstimateReport;
  passes(p: None): Result<'passes'>;
  devices(p: None): Result<'devices'>;

  /** Sets the target device of the document; answers with the new state (a `changed` notice follows as well). */
  setDevice(p: { device: string | null }): DocumentState;

  /**
   * One undoable edit. When the pass wants calibration and the document has no dataset, the host asks the person; a
   * dismissed question is the error `cancelled`.
   */
  apply(p: { pass: string; options: OptionValues; layers?: readonly string[] }): ApplyReport;
  /** Several steps as one undoable edit. */
  applyRecipe(p: { title: string; steps: readonly RecipeStep[] }): ApplyReport;
  undo(p: None): null;
  redo(p: None): null;

  /** `original` adds the file as it is on disk, measured in alternating runs: it is `against` in the report. */
  bench(p: { options: BenchOptions; original: boolean }): BenchReport;
  /** Against labels where the dataset has some, and against the file on disk. Without `data` the host asks for it. */
  evaluate(p: { data?: string }): EvalReport;
  /** The model to show beside this one. */
  other(p: { against: Against }): OtherModel;
  /** Asks which file to compare with; null when the question is dismissed. */
  pickOther(p: None): Against | null;
  /** The text forms of another file and of this model, side by side, with a report. */
  compareTexts(p: { path: string }): null;
  /** Numbers of the model after each of its steps, the original first. */
  history(p: None): { points: readonly Headline[] };
  /** Tries recipes for the device; writes nothing. The page offers the candidates, `applyRecipe` takes one. */
  optimize(p: { device: string; maxDrop?: number }): OptimizeReport;
  /** Writes a candidate beside the original with its recipe; answers with the paths written, relative to the file. */
  writeCandidate(p: { title: string; steps: readonly RecipeStep[] }): {
    model: string;
    recipe: string;
    fileBytes: number;
  };

  /** The page's selection, for the tree and the text form. */
  select(p: { layer: string | null }): null;
  /** Opens the text form beside, at a layer when one is given. */
  showText(p: { layer?: string }): null;
  /** Opens a rule's manual page. */
  showRule(p: { rule: string }): null;
  /** Asks for a dataset file and keeps it for the document. */
  pickData(p: None): DocumentState;
  /** Puts text on the clipboard. */
  copy(p: { text: string }): null;
  /** Writes what the page made where the person says; null when they do not. */
  saveFile(p: { name: string; content: Uint8Array }): { file: string } | null;
  /** Writes the model in another tool's form, as `kerf export --to` does; null when nobody says where. */
  exportAs(p: { to: string; name: string }): { file: string; bytes: number } | null;
  /** Asks for a file with values per layer; null when the question is dismissed. */
  pickOverlay(p: None): { name: string; text: string } | null;
}

export type PageMethod = keyof PageApi;
export type PageParams<M extends PageMethod> = Parameters<PageApi[M]>[0];
export type PageResult<M extends PageMethod> = ReturnType<PageApi[M]>;

/** How the host follows a call it serves: progress goes back to the page, `signal` fires on `cancel`. */
export interface HostCall {
  readonly signal: AbortSignal;
  progress(fraction: number, message: string): void;
}

/** One handler per method; a thrown `KerfError` becomes a `WireError`. */
export type PageHandlers = {
  readonly [M in PageMethod]: (params: PageParams<M>, call: HostCall) => Promise<PageResult<M>>;
};

export type ToHost =
  | { readonly kind: 'call'; readonly id: number; readonly method: PageMethod; readonly params: unknown }
  | { readonly kind: 'cancel'; readonly id: number };

/** Small facts the host pushes. */
export type Notice =
  | { readonly notice: 'changed'; readonly state: DocumentState }
  /** Another view selected a layer; null clears. */
  | { readonly notice: 'select'; readonly layer: string | null }
  /** A command asks for a tab; `run` starts its job (benchmark, compare, optimize). */
  | { readonly notice: 'show'; readonly tab: Tab; readonly run: boolean }
  /** A command asks for a comparison side by side. */
  | { readonly notice: 'compare'; readonly against: Against }
  /** A command brings a file with values per layer. */
  | { readonly notice: 'values'; readonly name: string; readonly text: string }
  /** Sensitivities were measured: `measured` has them; `show` when a command asks to see them. */
  | { readonly notice: 'measured'; readonly show: boolean }
  /** Work the host started itself; null when it ended. */
  | {
      readonly notice: 'job';
      readonly job: { readonly title: string; readonly fraction: number; readonly message: string } | null;
    };

export type ToPage =
  /** `revision` is the state the answer was computed from; the page drops answers older than what it shows. */
  | { readonly kind: 'result'; readonly id: number; readonly revision: number; readonly result: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: WireError }
  | { readonly kind: 'progress'; readonly id: number; readonly fraction: number; readonly message: string }
  | ({ readonly kind: 'notice' } & Notice);
