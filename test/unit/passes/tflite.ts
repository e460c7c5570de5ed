import type { Model } from '../../../src/ir/model.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { randomDataset } from '../../../src/runtime/data/random.ts';
import type { HostTensor, TensorInfo, Tensors } from '../../../src/runtime/runner.ts';
import { temporaryFile } from './calibrate.ts';
import type { Outputs } from './runtime.ts';
import { floatsOf } from './runtime.ts';

/**
 * Outputs of a TFLite model or file for seeded inputs, as real numbers. Models with int8 inputs get the same real
 * inputs through their scale. A state is carried from one sample to the next.
 */
export async function runTflite(
  model: Model | string,
  like: Model | string = model,
  count = 4,
): Promise<Outputs> {
  const runner = startRunner();
  const session = await runner.open(typeof model === 'string' ? model : await temporaryFile(model), {});
  const reference =
    like === model
      ? session
      : await runner.open(typeof like === 'string' ? like : await temporaryFile(like), {});
  const data = randomDataset(reference.info.inputs, { seed: 5, count });
  const outputs: Outputs = {};
  for (let i = 0; i < data.samples; i += 1) {
    const results = await session.run(encoded(data.feeds(i, 1), session.info.inputs));
    for (const { name, quantization } of session.info.outputs) {
      outputs[`${i}/${name}`] = floatsOf(results[name], quantization);
    }
  }
  runner.kill();
  return outputs;
}

function encoded(feeds: Tensors, inputs: readonly TensorInfo[]): Tensors {
  const result: Record<string, HostTensor> = {};
  for (const { name, dtype, quantization } of inputs) {
    const feed = feeds[name] as HostTensor;
    if (feed.dtype === dtype || quantization === undefined) result[name] = feed;
    else {
      const { scale, zeroPoint } = quantization;
      const codes = Int8Array.from(floatsOf(feed), (value) =>
        Math.max(-128, Math.min(127, Math.round(value / scale) + zeroPoint)),
      );
      result[name] = { dtype: 'int8', dims: feed.dims, data: new Uint8Array(codes.buffer) };
    }
  }
  return result;
}
