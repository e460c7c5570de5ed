import type { Against, Tab } from '../src/editor/page/protocol.ts';
import type { Selection } from './loadedGraph.ts';
import type { Camera } from './graph/camera.ts';
import { type Shown, nothingShown } from './graph/hiding.ts';
import type { OverlayId } from './graph/overlay.ts';
import type { Scale } from './graph/scale.ts';

/** What a page remembers while its tab is hidden or the window reloads: how things look, never the model. */
interface Remembered {
  readonly camera: Camera | undefined;
  /** Fold level; `undefined` is the one the model opens with. */
  readonly level: number | undefined;
  /** Kinds of small layers that have cards of their own. */
  readonly shown: Shown;
  /** Groups toggled against the level, by key. */
  readonly toggled: readonly string[];
  readonly selection: Selection;
  readonly overlay: OverlayId;
  readonly scale: Scale;
  readonly threshold: number;
  readonly tab: Tab;
  readonly panes: Readonly<Record<string, { readonly size: number; readonly open: boolean }>>;
  /** What the layers of the table are grouped by. */
  readonly grouping: string;
  /** Queries used before, the last one first. */
  readonly queries: readonly string[];
  /** What the model is compared with, side by side. */
  readonly against: Against | undefined;
  readonly sort: { readonly column: string; readonly down: boolean };
}

const initial: Remembered = {
  camera: undefined,
  level: undefined,
  shown: nothingShown,
  toggled: [],
  selection: undefined,
  overlay: 'none',
  scale: 'root',
  threshold: 0,
  tab: 'layers',
  panes: {},
  grouping: 'none',
  queries: [],
  against: undefined,
  sort: { column: 'index', down: false },
};

export interface ViewState {
  get<K extends keyof Remembered>(key: K): Remembered[K];
  set<K extends keyof Remembered>(key: K, value: Remembered[K]): void;
}

/** A drag changes the camera sixty times a second; the host need not hear of each. */
const writeAfterMs = 150;

/** Reads what a former page left; writes changes soon, and at once when the page is about to go. */
export function readViewState(host: { getState(): unknown; setState(state: unknown): void }): ViewState {
  const former = host.getState();
  let state: Remembered = {
    ...initial,
    ...(typeof former === 'object' && former !== null ? (former as Partial<Remembered>) : {}),
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const write = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    host.setState(state);
  };
  window.addEventListener('pagehide', write);
  document.addEventListener('visibilitychange', write);
  return {
    get: (key) => state[key],
    set(key, value) {
      state = { ...state, [key]: value };
      timer ??= setTimeout(write, writeAfterMs);
    },
  };
}

/** A view that nobody comes back to. */
export function forgetfulViewState(): ViewState {
  let state = initial;
  return {
    get: (key) => state[key],
    set(key, value) {
      state = { ...state, [key]: value };
    },
  };
}
