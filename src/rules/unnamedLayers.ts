import type { Rule } from './rule.ts';
import { onModel } from './support.ts';

export const unnamedLayers: Rule = {
  id: 'unnamed-layers',
  severity: 'hint',
  title: 'Layers have no name',
  manual: `Most layers of the model have no name. Kerf calls them by their first output; profilers and tools that exclude layers by name
call them by number, which changes with every edit.

**Example.** A model written by a converter that leaves names out, with values called 12, 13, 14.

**Remedy.** Export with names, where the exporter can.`,
  check({ model }) {
    if (model.dialect !== 'onnx') return [];
    const { nodes } = model.graphs[0];
    const unnamed = nodes.filter((node) => node.name === '').length;
    if (nodes.length < 4 || unnamed * 2 <= nodes.length) return [];
    return onModel(unnamedLayers, `${unnamed} of ${nodes.length} layers have no name.`);
  },
};
