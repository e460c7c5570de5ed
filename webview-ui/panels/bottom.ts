import type { Tab } from '../../src/editor/pageProtocol.ts';
import type { App } from '../app.ts';
import type { GraphPane } from '../graph/graphPane.ts';
import { tabs } from '../ui/controls.ts';
import { createBenchmarkTab } from './benchmarkTab.ts';
import { createCompareTab } from './compareTab.ts';
import { createLayersTab } from './layersTab.ts';
import { createMemoryTab } from './memoryTab.ts';
import { createOptimizeTab } from './optimizeTab.ts';
import { createRecipeTab } from './recipeTab.ts';
import { createRooflineTab } from './rooflineTab.ts';

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
    { id: 'benchmark', title: 'Benchmark', view: benchmark.element },
    { id: 'compare', title: 'Compare', view: compare.element },
    { id: 'memory', title: 'Memory', view: createMemoryTab(app) },
    { id: 'roofline', title: 'Roofline', view: createRooflineTab(app, graph) },
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
