import type { Analysis, LayerCost } from '../analysis/report.ts';
import { printModel } from '../formats/text/print.ts';
import { readModelFile } from '../formats/io/models.ts';
import { aeqOfSteps } from '../optimize/aeq/write.ts';
import type { Graph, Node } from '../ir/model.ts';
import { indexOf } from '../ir/walk.ts';
import { scopeOf } from './graphView.ts';
import { recipeText } from './recipeFiles.ts';
import type { Held } from './store.ts';

/** A text made of a model, its costs and its history; `path` is where it will lie. */
type Exporter = (held: Held, analysis: Analysis, path: string) => string;

const columns = [
  'id',
  'name',
  'op',
  'params',
  'weightBytes',
  'macs',
  'flops',
  'activationBytes',
  'outputShapes',
] as const;

/** RFC 4180; unknown numbers are empty cells. */
const csv: Exporter = (_, analysis) => {
  const cell = (value: unknown) => {
    const text = value === undefined ? '' : Array.isArray(value) ? value.join(' ') : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const row = (layer: LayerCost) => columns.map((column) => cell(layer[column])).join(',');
  return `${[columns.join(','), ...analysis.layers.map(row)].join('\r\n')}\r\n`;
};

const text: Exporter = ({ model }, { types }) =>
  printModel(model, { types: (graph, value) => types.get(graph)?.get(value) }).text;

/** The graph JSON of Model Explorer (google-ai-edge/model-explorer, "Develop Adapter Extension"). */
const modelExplorer: Exporter = ({ model }, analysis) => {
  const costs = new Map(analysis.layers.map((layer) => [layer.id, layer]));
  const graphs = model.graphs.map((graph, index) => ({
    id: graph.name || `graph ${index}`,
    nodes: graph.nodes.map((node) => explorerNode(graph, node, costs.get(node.id))),
  }));
  return JSON.stringify({ label: 'kerf', graphs }, undefined, 1);
};

function explorerNode(graph: Graph, node: Node, cost: LayerCost | undefined) {
  const { producer } = indexOf(graph);
  const incomingEdges = node.inputs.flatMap((id, target) => {
    const source = id === null ? undefined : producer.get(id);
    if (id === null || source === undefined) return [];
    const output = String(source.outputs.indexOf(id));
    return [{ sourceNodeId: source.id, sourceNodeOutputId: output, targetNodeInputId: String(target) }];
  });
  const attributes = columns.flatMap((column) => {
    const value = cost?.[column];
    return value === undefined || ['id', 'name', 'op'].includes(column)
      ? []
      : [{ key: column, value: String(value) }];
  });
  return {
    id: node.id,
    label: node.op,
    namespace: scopeOf(node.name === '' ? node.id : node.name),
    incomingEdges,
    attrs: attributes,
  };
}

/** The recipe that leads from the file to this value. */
const recipe: Exporter = (held, _, path) => recipeText(path, held.path, held.steps);

/** The same for AI Edge Quantizer: its rules name operators of the file that the steps start from. */
const aeq: Exporter = (held) => {
  const { model } = readModelFile(held.path);
  return `${JSON.stringify(aeqOfSteps(model, held.steps), undefined, 2)}\n`;
};

/** By the name that `kerf export --to` takes. */
export const exporters: Readonly<Record<string, Exporter>> = {
  csv,
  text,
  recipe,
  aeq,
  'model-explorer': modelExplorer,
};
