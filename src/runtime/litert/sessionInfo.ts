import type { TfliteModel, Value } from '../../ir/model.ts';
import type { SessionInfo, TensorInfo } from '../runner.ts';
import type { WasmFiles } from './wasm.ts';
import { versionOf } from './wasm.ts';

/** What a runtime says of the model that it has loaded. */
interface Loaded {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly loadMs: number;
}

/** Both TFLite runtimes are WebAssembly without threads, and both run XNNPACK's kernels. */
export function sessionInfo(
  runtime: SessionInfo['runtime'],
  files: WasmFiles,
  model: TfliteModel,
  { inputs, outputs, loadMs }: Loaded,
): SessionInfo {
  return {
    runtime,
    version: versionOf(files),
    provider: 'xnnpack',
    threads: 1,
    inputs: inputs.map((each, position) => describeEnd(model, 'inputs', position, each)),
    outputs: outputs.map((each, position) => describeEnd(model, 'outputs', position, each)),
    loadMs,
  };
}

/**
 * Names an end of the main graph as the IR does, with its quantization: runtimes say the names of a signature, which
 * need not be the tensors', and no scales.
 */
function describeEnd(
  model: TfliteModel,
  side: 'inputs' | 'outputs',
  position: number,
  found: TensorInfo,
): TensorInfo {
  const [graph] = model.graphs;
  const signature = model.signatures.find((each) => each.graph === 0);
  const id = signature?.[side].find(([key]) => key === found.name)?.[1] ?? graph[side][position];
  const value = id === undefined ? undefined : graph.values.get(id);
  if (value === undefined) return found;
  const { name: _renamed, ...rest } = found;
  return { name: value.id, ...rest, ...quantizationOf(value) };
}

function quantizationOf({ quantization }: Value): Pick<TensorInfo, 'quantization'> {
  const scale = quantization?.scale[0];
  if (quantization === undefined || scale === undefined || quantization.scale.length !== 1) return {};
  return { quantization: { scale, zeroPoint: quantization.zeroPoint[0] ?? 0 } };
}
