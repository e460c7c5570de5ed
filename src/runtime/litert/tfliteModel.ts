import { concatBytes, memoryBytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Graph, Node, TfliteModel, Value, ValueId } from '../../ir/model.ts';
import type { QuantizationDetails } from '../../formats/tflite/extra.ts';
import { readTflite } from '../../formats/tflite/read.ts';
import { encodeTflite } from '../../formats/tflite/write.ts';
import type { PreparedRun } from '../process/backend.ts';
import type { Tensors } from '../runner.ts';

/** A model in memory that a TFLite runtime has loaded; its inputs and outputs have the names of the file. */
export interface TfliteProgram {
  /** Which kernels run it, when the runtime tells. */
  readonly kernels: string;
  run(feeds: Tensors): Promise<Tensors>;
  prepare(feeds: Tensors): Promise<PreparedRun>;
  /** Not to be called after a failure. */
  close(): void;
}

/** The structure of a model that a runtime has accepted. Throws `KerfError('runtime-refused')` when it cannot be read. */
export function readStructure(bytes: Uint8Array, path: string): TfliteModel {
  try {
    return readTflite(memoryBytes(bytes)).model;
  } catch (error) {
    if (!KerfError.is(error)) throw error;
    throw new KerfError('runtime-refused', error.message, { file: path, place: error.place ?? '' });
  }
}

export function hasCustomOperators(model: TfliteModel): boolean {
  return model.graphs.some((graph) => graph.nodes.some((node) => node.domain === 'custom'));
}

/**
 * An output of SSD's post-processing that the file declares as a scalar, as exporters do: its size shows as it runs, which
 * LiteRT's buffers cannot follow.
 */
export function undeclaredDetections(model: TfliteModel): ValueId | undefined {
  for (const { nodes, values } of model.graphs)
    for (const { op, outputs } of nodes.filter((node) => node.domain === 'custom')) {
      const bare = outputs.slice(0, 3).find((id) => {
        const type = id === null ? undefined : values.get(id)?.type;
        return type?.kind === 'tensor' && (type.shape?.length ?? 0) === 0;
      });
      if (op === 'TFLite_Detection_PostProcess' && bare != null) return bare;
    }
  return undefined;
}

/**
 * An input that comes out again as it is: LiteRT binds one buffer to both, and neither the output nor what reads the input
 * sees the numbers.
 */
export function passedThrough({ graphs: [graph] }: TfliteModel): ValueId | undefined {
  return graph.outputs.find((id) => graph.inputs.includes(id));
}

/** A model as the bytes of its file. */
export function encoded(model: TfliteModel): Uint8Array {
  return concatBytes(encodeTflite(model));
}

/** The model with other outputs, which may be any values of its main graph. */
export function withOutputs(model: TfliteModel, outputs: readonly ValueId[]): TfliteModel {
  const [main, ...rest] = model.graphs;
  const graph: Graph = { ...main, outputs, values: named(main.values, [...main.inputs, ...outputs]) };
  return {
    ...model,
    graphs: [graph, ...rest],
    signatures: model.signatures.filter((each) => each.graph !== 0),
  };
}

/** A model of one operator, fed with all that is not constant; state it keeps stays inside. */
export function singleOperator(model: TfliteModel, node: Node): TfliteModel {
  const { values: all } = model.graphs[0];
  const present = [...node.inputs, ...node.outputs, ...(node.intermediates ?? [])].filter(
    (id) => id !== null,
  );
  const details = present.flatMap((id) => blockTensors(all.get(id)));
  const values = new Map<ValueId, Value>();
  for (const id of new Set([...present, ...details])) {
    const value = all.get(id);
    if (value !== undefined) values.set(id, value);
  }
  const inputs = [...new Set(node.inputs.filter((id) => id !== null))].filter((id) => isFed(all.get(id)));
  const outputs = node.outputs.filter((id) => id !== null);
  const graph: Graph = { name: '', inputs, outputs, nodes: [node], values: named(values, present) };
  return { dialect: 'tflite', graphs: [graph], version: 3, description: '', metadata: [], signatures: [] };
}

export function isFed(value: Value | undefined): boolean {
  return value !== undefined && value.constant === undefined && value.variable !== true;
}

/** Tensors that hold the scales of a blockwise quantization. */
function blockTensors(value: Value | undefined): readonly ValueId[] {
  const details = value?.quantization?.details as Partial<QuantizationDetails> | undefined;
  return [details?.scales, details?.zeroPoints].filter((id) => id !== undefined);
}

/** Stored names equal to the ids, so that the runtime's names are unique and ours. */
function named(values: ReadonlyMap<ValueId, Value>, ids: readonly ValueId[]): ReadonlyMap<ValueId, Value> {
  const wanted = new Set(ids);
  return new Map(
    [...values].map(([id, value]) => [
      id,
      wanted.has(id) && value.name !== id ? { ...value, name: id } : value,
    ]),
  );
}
