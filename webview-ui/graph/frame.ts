import type { Change } from '../compare/comparison.ts';
import type { Box, Camera, Size } from './camera.ts';
import type { Scene } from './scene.ts';
import type { Theme } from './theme.ts';

/** What is on the picture beside the graph itself. */
export interface Decor {
  /** Fill of each item: a step of the ramp, a kind, or -1 for none. */
  readonly heat: Int16Array;
  readonly heatKind: 'ramp' | 'kinds';
  /** Length of each item's bar, 0..1; NaN draws none. */
  readonly bar: Float32Array;
  /** The value behind bar and heat, in words. */
  readonly words: readonly string[];
  /** 1 for items below the threshold. */
  readonly dim: Uint8Array;
  /** Show the words on the card: heat is never the only carrier. */
  readonly showWords: boolean;
  readonly selected: number;
  readonly hovered: number;
  readonly hoveredEdge: number;
  readonly matches: Uint8Array;
  readonly currentMatch: number;
  /** How each item differs from the model beside this one; `undefined` when there is none. */
  readonly changes: readonly (Change | undefined)[] | undefined;
  /** The canvas has the keyboard. */
  readonly focused: boolean;
}

export interface Frame {
  readonly context: CanvasRenderingContext2D;
  readonly scene: Scene;
  readonly theme: Theme;
  readonly camera: Camera;
  readonly screen: Size;
  readonly decor: Decor;
  /** Opacity of lines while boxes are on their way; 1 when absent. */
  readonly lines?: number;
}

/** World rectangle of the frame. */
export function windowOf({ camera, screen }: Frame): Box {
  return {
    left: camera.x,
    top: camera.y,
    right: camera.x + screen.width / camera.zoom,
    bottom: camera.y + screen.height / camera.zoom,
  };
}
