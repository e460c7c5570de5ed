import type { Bytes } from '../ir/bytes.ts';
import { KerfError } from '../ir/errors.ts';
import type { Dialect } from '../ir/model.ts';

/** Tells the format from the content, never from the name. Throws `KerfError('not-a-model')`. */
export function sniff(bytes: Bytes): Dialect {
  if (bytes.length === 0) throw new KerfError('not-a-model', 'the file is empty');
  const head = bytes.read(0, 64);
  const identifier = String.fromCharCode(...head.subarray(4, 8));
  if (identifier === 'TFL3') return 'tflite';
  if (head[0] === 0x50 && head[1] === 0x4b)
    throw new KerfError('not-a-model', 'this is a ZIP archive, not a model');
  const text = String.fromCharCode(...head);
  if (text.startsWith('version https://git-lfs'))
    throw new KerfError(
      'not-a-model',
      'this is a Git LFS pointer: git lfs pull fetches the model it stands for',
    );
  if (/^\s*<(!doctype|html|\?xml)/i.test(text))
    throw new KerfError(
      'not-a-model',
      'this is a web page or XML, not a model: it may be the page of a download',
    );
  // A ModelProto starts with one of its fields: a length-delimited or varint field of a number up to 26.
  const field = (head[0] as number) >> 3;
  const type = (head[0] as number) & 7;
  if (field >= 1 && field <= 26 && (type === 0 || type === 2)) return 'onnx';
  throw new KerfError('not-a-model', 'neither an ONNX model nor a TFLite flatbuffer (identifier TFL3)');
}
