import { h } from '../dom.ts';
import type { Camera } from './camera.ts';
import { describeEdge, describeItem } from './describe.ts';
import type { Hit } from './hit.ts';
import type { Scene } from './scene.ts';

export interface Tooltip {
  readonly element: HTMLElement;
  follow(
    point: { x: number; y: number },
    scene: Scene,
    hit: Hit | undefined,
    more: { readonly camera: Camera; readonly words: readonly string[] },
  ): void;
  hide(): void;
}

/** Cards speak for themselves when they can be read; edges and distant boxes say what they are. */
const readableZoom = 0.5;

export function createTooltip(): Tooltip {
  const element = h('div', { class: 'tooltip', attributes: { role: 'tooltip' } });
  element.hidden = true;
  return {
    element,
    follow(point, scene, hit, { camera, words }) {
      const text = textFor(scene, hit, camera, words);
      element.hidden = text === '';
      if (text === '') return;
      element.textContent = text;
      const room = element.parentElement!;
      const x = Math.min(point.x + 14, room.clientWidth - element.offsetWidth - 8);
      const below = point.y + 18 + element.offsetHeight < room.clientHeight;
      element.style.left = `${Math.max(4, x)}px`;
      element.style.top = `${below ? point.y + 18 : point.y - element.offsetHeight - 8}px`;
    },
    hide() {
      element.hidden = true;
    },
  };
}

function textFor(scene: Scene, hit: Hit | undefined, camera: Camera, words: readonly string[]): string {
  if (hit === undefined) return '';
  if (hit.kind === 'edge') return describeEdge(scene, hit.edge);
  if (hit.kind === 'outline') return 'Fold this group';
  if (hit.kind === 'stub') return `${describeEdge(scene, hit.edge)}\ngo to ${scene.labels[hit.item]!.title}`;
  return camera.zoom < readableZoom ? describeItem(scene, hit.item, words[hit.item] ?? '') : '';
}
