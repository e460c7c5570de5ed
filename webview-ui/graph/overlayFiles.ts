import type { GraphView } from '../../src/engine/view.ts';
import { digits, plural, time } from '../format.ts';
import type { LayerValues } from './overlay.ts';

/** One set of numbers that a file holds, under the names it uses for layers. */
interface NamedValues {
  readonly title: string;
  readonly values: ReadonlyMap<string, number>;
  readonly unit: 'ms' | 'none';
}

/**
 * Reads numbers per layer from the JSON of other tools: node data of Model Explorer (one or many graphs), metrics of a
 * Netron attachment, a profile of ONNX Runtime (Chrome trace events), or a plain object from names to numbers. Throws
 * `Error` in words when it is none of them.
 */
export function readOverlayFile(text: string, name: string): readonly NamedValues[] {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw new Error(`${name} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const title = name.replace(/\.json$/i, '');
  const found = [
    ...ortProfile(data, title),
    ...netronAttachment(data, title),
    ...explorerData(data, title),
    ...visqErrors(data, title),
    ...plainNumbers(data, title),
  ].filter(({ values }) => values.size > 0);
  if (found.length === 0)
    throw new Error(
      `${name} holds no values per layer: it is no node data of Model Explorer, no attachment of Netron and no profile of ONNX Runtime.`,
    );
  return found;
}

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Milliseconds per node and inference: its kernel times over all inferences, divided by their number. */
function ortProfile(data: unknown, title: string): readonly NamedValues[] {
  const events = isObject(data) && Array.isArray(data['traceEvents']) ? data['traceEvents'] : data;
  if (!Array.isArray(events)) return [];
  let runs = 0;
  const micros = new Map<string, number>();
  for (const event of events) {
    if (!isObject(event)) continue;
    if (event['name'] === 'model_run') runs++;
    const own = typeof event['name'] === 'string' ? /^(.*)_kernel_time$/.exec(event['name'])?.[1] : undefined;
    if (own === undefined || event['cat'] !== 'Node' || typeof event['dur'] !== 'number') continue;
    micros.set(own, (micros.get(own) ?? 0) + event['dur']);
  }
  const values = new Map([...micros].map(([name, us]) => [name, us / 1000 / Math.max(1, runs)]));
  return [{ title: `${title} (ONNX Runtime)`, values, unit: 'ms' }];
}

/** One set for each metric that nodes carry. */
function netronAttachment(data: unknown, title: string): readonly NamedValues[] {
  if (!isObject(data) || data['signature'] !== 'netron:attachment' || !Array.isArray(data['metrics']))
    return [];
  const byMetric = new Map<string, Map<string, number>>();
  for (const item of data['metrics']) {
    if (!isObject(item) || item['kind'] !== 'node' || typeof item['name'] !== 'string') continue;
    const target = item['target'] ?? item['identifier'];
    const value = Number(item['value']);
    if ((typeof target !== 'string' && typeof target !== 'number') || Number.isNaN(value)) continue;
    const values = byMetric.get(item['name']) ?? new Map<string, number>();
    byMetric.set(item['name'], values.set(String(target), value));
  }
  return [...byMetric].map(([metric, values]) => ({ title: `${title}: ${metric}`, values, unit: 'none' }));
}

/** `{"results": {id: {"value": 1}}}`, alone or under the names of graphs. */
function explorerData(data: unknown, title: string): readonly NamedValues[] {
  if (!isObject(data)) return [];
  const graphs: readonly (readonly [string, unknown])[] = isObject(data['results'])
    ? [['', data]]
    : Object.entries(data);
  return graphs.flatMap(([graph, content]) => {
    if (!isObject(content) || !isObject(content['results'])) return [];
    const values = new Map<string, number>();
    for (const [id, result] of Object.entries(content['results'])) {
      const value = isObject(result) ? result['value'] : result;
      if (typeof value === 'number') values.set(id, value);
    }
    return [
      {
        title: graph === '' || graphs.length === 1 ? title : `${title}: ${graph}`,
        values,
        unit: 'none' as const,
      },
    ];
  });
}

/** Errors per tensor: `{"meta": {"metric": "MPEIR"}, "error": [{name: 0.1}]}`. */
function visqErrors(data: unknown, title: string): readonly NamedValues[] {
  if (!isObject(data) || !Array.isArray(data['error'])) return [];
  const meta = isObject(data['meta']) ? data['meta'] : {};
  const values = new Map(data['error'].flatMap((part) => (isObject(part) ? numbersIn(part) : [])));
  return [{ title: `${title}: ${String(meta['metric'] ?? 'error')}`, values, unit: 'none' }];
}

function plainNumbers(data: unknown, title: string): readonly NamedValues[] {
  if (!isObject(data) || 'signature' in data) return [];
  return [{ title, values: new Map(numbersIn(data)), unit: 'none' }];
}

function numbersIn(object: Json): readonly (readonly [string, number])[] {
  return Object.entries(object).flatMap(([name, value]) => {
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    return typeof number === 'number' && Number.isFinite(number) ? [[name, number] as const] : [];
  });
}

/**
 * Finds the layers behind the names of a file: by id, by name, by the value they make, by their place among the layers.
 * Answers how many names found nobody.
 */
export function matchValues(
  view: GraphView,
  found: NamedValues,
  file: string,
): { readonly overlay: LayerValues; readonly missed: number } {
  const byName = layerNames(view);
  const values = new Map<string, number>();
  let missed = 0;
  for (const [name, value] of found.values) {
    const v = byName.get(name) ?? byName.get(plainKernel(name));
    if (v === undefined) {
      missed++;
      continue;
    }
    const id = view.strings[view.id[v]!]!;
    // Several kernels of one layer take their times one after another.
    values.set(id, (found.unit === 'ms' ? (values.get(id) ?? 0) : 0) + value);
  }
  const rest = missed === 0 ? '' : `, ${plural(missed, 'name')} without a layer`;
  const note = `${file}: ${plural(values.size, 'layer')}${rest}`;
  const { title, unit } = found;
  const format = unit === 'ms' ? time : digits;
  return {
    overlay: { id: `file:${title}`, title, format, fold: unit === 'ms' ? 'sum' : 'largest', values, note },
    missed,
  };
}

/** ONNX Runtime renames what it fuses. */
function plainKernel(name: string): string {
  return name
    .replace(/^fused /, '')
    .replace(/\/MatMulAddFusion$/, '')
    .replace(/_nchwc$/, '')
    .replace(/_token_\d+$/, '');
}

function layerNames(view: GraphView): ReadonlyMap<string, number> {
  const byName = new Map<string, number>();
  const add = (name: string, v: number) => {
    if (!byName.has(name)) byName.set(name, v);
  };
  const layers = Array.from(view.kind.keys()).filter((v) => view.kind[v] === 0);
  for (const v of layers) add(view.strings[view.id[v]!]!, v);
  for (const v of layers) add(view.strings[view.name[v]!]!, v);
  for (let e = 0; e < view.edgeFrom.length; e++) {
    const label = view.strings[view.edgeLabel[e]!]!;
    if (view.kind[view.edgeFrom[e]!] === 0) add(label.slice(0, label.lastIndexOf(': ')), view.edgeFrom[e]!);
  }
  layers.filter((v) => view.nested[v] === 0).forEach((v, place) => add(String(place), v));
  return byName;
}
