import { byteSize } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Node, TfliteModel, Value, ValueId } from '../../ir/model.ts';
import { elementCount, isStatic } from '../../ir/types.ts';
import type { HostTensor, LayerTime, Tensors } from '../runner.ts';
import { median } from '../measure/statistics.ts';
import type { TfliteProgram } from './tfliteModel.ts';
import { encoded, isFed, singleOperator, withOutputs } from './tfliteModel.ts';

const warmup = 2;

/**
 * Median time of every operator of the main graph. No TFLite runtime here tells the times of operators inside its XNNPACK
 * delegate by tensor, so each operator is cut out as a model of its own and timed on the values it gets in the
 * whole model. Operators that do not run alone (bodies, resources) are left out: their time is unknown.
 */
export async function timeOperators(
  model: TfliteModel,
  feeds: Tensors,
  runs: number,
  open: (bytes: Uint8Array) => Promise<TfliteProgram>,
): Promise<readonly LayerTime[]> {
  const values = await valuesOf(model, feeds, open);
  const times: LayerTime[] = [];
  for (const [index, node] of model.graphs[0].nodes.entries()) {
    const time = await timeOperator(model, node, values, runs, open);
    if (time !== undefined) times.push({ name: node.id, op: node.op, node: index, ...time });
  }
  return times;
}

/** The values that operators read, from one inference of the model with all of them as outputs. */
async function valuesOf(
  model: TfliteModel,
  feeds: Tensors,
  open: (bytes: Uint8Array) => Promise<TfliteProgram>,
): Promise<ReadonlyMap<ValueId, HostTensor>> {
  const [graph] = model.graphs;
  const read = new Set(graph.nodes.flatMap((node) => node.inputs));
  const made = graph.nodes.flatMap((node) => node.outputs);
  const outputs = made.filter((id): id is ValueId => id !== null && read.has(id));
  const values = new Map(Object.entries(feeds));
  if (outputs.length === 0) return values;
  try {
    const program = await open(encoded(withOutputs(model, outputs)));
    for (const [id, tensor] of Object.entries(await program.run(feeds))) values.set(id, tensor);
    program.close();
  } catch (error) {
    // The old interpreter cannot show the inner values of some models; operators are then timed on zeros.
    if (!KerfError.is(error, 'runtime-refused')) throw error;
  }
  return values;
}

/** Zeros in place of a value that is not known; `undefined` when its size is not known either. */
function zeros(value: Value | undefined): HostTensor | undefined {
  if (value?.type?.kind !== 'tensor') return undefined;
  const { dtype, shape } = value.type;
  const count = elementCount(shape);
  const size = count === undefined ? undefined : byteSize(dtype, count);
  if (size === undefined || !isStatic(shape)) return undefined;
  return { dtype, dims: shape, data: new Uint8Array(size) };
}

async function timeOperator(
  model: TfliteModel,
  node: Node,
  values: ReadonlyMap<ValueId, HostTensor>,
  runs: number,
  open: (bytes: Uint8Array) => Promise<TfliteProgram>,
): Promise<{ readonly ms: number; readonly provider: string } | undefined> {
  const all = model.graphs[0].values;
  const fed = node.inputs.filter((id): id is ValueId => id !== null && isFed(all.get(id)));
  const known = fed.map((id) => [id, values.get(id) ?? zeros(all.get(id))] as const);
  if (known.some(([, tensor]) => tensor === undefined)) return undefined;
  try {
    const program = await open(encoded(singleOperator(model, node)));
    const prepared = await program.prepare(Object.fromEntries(known) as Tensors);
    for (let run = 0; run < warmup; run += 1) await prepared.run();
    const elapsed = new Float64Array(runs);
    for (let run = 0; run < runs; run += 1) {
      const start = performance.now();
      await prepared.run();
      elapsed[run] = performance.now() - start;
    }
    prepared.dispose();
    program.close();
    return { ms: median(elapsed), provider: program.kernels };
  } catch (error) {
    // An operator that only works within its model has no time of its own.
    if (KerfError.is(error, 'runtime-refused') || KerfError.is(error, 'unsupported')) return undefined;
    throw error;
  }
}
