import type { Tab } from '../../src/editor/page/protocol.ts';
import type { App } from '../app.ts';
import { h } from '../dom.ts';
import type { GraphPane } from '../graph/graphPane.ts';
import { tabs } from '../ui/controls.ts';
import { createBenchmarkTab } from './benchmarkTab.ts';
import { createCompareTab } from './compareTab.ts';
import { createLayersTab } from './layersTab.ts';
import { createMemoryTab } from './memoryTab.ts';
import { createOptimizeTab } from './optimizeTab.ts';
import { createRecipeTab } from './recipeTab.ts';
import { createRooflineTab } from './rooflineTab.ts';
import { createWeightsTab } from './weights/weightsTab.ts';

/** The tabs below the graph. */
export function createBottom(
  app: App,
  graph: GraphPane,
): { readonly element: HTMLElement; run(tab: Tab): void } {
  const benchmark = createBenchmarkTab(app);
  const compare = createCompareTab(app);
  const optimize = createOptimizeTab(app);
  const entries: readonly { readonly id: Tab; readonly title: string; readonly view: HTMLElement }[] = [
    { id: 'layers', title: 'Layers', view: createLayersTab(app, graph) },
    { id: 'weights', title: 'Weights', view: createWeightsTab(app, graph) },
    { id: 'benchmark', title: 'Benchmark', view: benchmark.element },
    { id: 'compare', title: 'Compare', view: compare.element },
    { id: 'memory', title: 'Memory', view: later(app, 'memory', () => createMemoryTab(app)) },
    { id: 'roofline', title: 'Roofline', view: later(app, 'roofline', () => createRooflineTab(app, graph)) },
    { id: 'recipe', title: 'Recipe', view: createRecipeTab(app) },
    { id: 'optimize', title: 'Optimize', view: optimize.element },
  ];
  const panels = tabs(entries, (id) => app.tab.set(id as Tab));
  app.tab.watch((tab) => panels.show(tab));
  const jobs: Partial<Record<Tab, () => void>> = {
    benchmark: benchmark.run,
    compare: compare.run,
    optimize: optimize.run,
  };
  return { element: panels.element, run: (tab) => jobs[tab]?.() };
}

/** A tab that is made when it is first shown: what it asks the host for is not asked before. */
function later(app: App, tab: Tab, make: () => HTMLElement): HTMLElement {
  const place = h('div', { class: 'later' });
  const stop = app.tab.watch((now) => {
    if (now === tab && !place.hasChildNodes()) place.append(make());
  });
  if (place.hasChildNodes()) stop();
  return place;
}
