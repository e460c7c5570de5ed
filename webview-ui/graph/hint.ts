import type { Hint, Scene } from './scene.ts';
import type { GraphView } from '../../src/engine/view.ts';
import type { Visible } from './visible.ts';

export function hintOf(former: Scene, view: GraphView, visible: Visible): Hint {
  const places = new Map<string, { x: number; own: boolean }>();
  for (let v = 0; v < former.view.nodeCount; v++) {
    const item = former.visible.itemOf[v]!;
    const own = former.visible.node[item] === v;
    places.set(former.view.strings[former.view.id[v]!]!, { x: former.layout.x[item]!, own });
  }
  const at = (v: number) => places.get(view.strings[view.id[v]!]!);
  const wasTile = new Map<string, boolean>();
  former.visible.node.forEach((v, i) =>
    wasTile.set(former.view.strings[former.view.id[v]!]!, former.visible.group[i]! >= 0),
  );
  return {
    hint: Float32Array.from(visible.node, (v) => at(v)?.x ?? Number.NaN),
    keep: Float32Array.from(visible.node, (v, i) => {
      const place = at(v);
      const same = wasTile.get(view.strings[view.id[v]!]!) === visible.group[i]! >= 0;
      return place?.own === true && same ? place.x : Number.NaN;
    }),
  };
}
