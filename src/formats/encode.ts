import type { Bytes } from '../ir/bytes.ts';
import type { Model } from '../ir/model.ts';
import { encodeOnnx } from './onnx/write.ts';
import { encodeTflite } from './tflite/write.ts';

/** A model in its own format, as parts to be written one after another. */
export function encodeModel(model: Model): readonly Bytes[] {
  return model.dialect === 'onnx' ? encodeOnnx(model) : encodeTflite(model);
}
