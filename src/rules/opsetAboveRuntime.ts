import type { Rule } from './rule.ts';
import { onModel } from './support.ts';

/** What ONNX Runtime 1.30 reads. */
const newest = { ir: 13, opset: 26 } as const;

export const opsetAboveRuntime: Rule = {
  id: 'opset-above-runtime',
  severity: 'error',
  title: 'The file is newer than the runtimes that should load it',
  manual: `The IR version or the operator set is above what ONNX Runtime ${'1.30'} accepts (IR ${newest.ir}, opset ${newest.opset}), or a
TFLite file has a schema version other than 3. The runtime refuses the file whatever is in it.

**Example.** IR 14, written by a nightly build of onnx.

**Remedy.** Export with an older opset, or lower the version stamp when no newer operator is used.`,
  check({ model }) {
    if (model.dialect === 'tflite') {
      if (model.version === 3) return [];
      return onModel(opsetAboveRuntime, `The schema version is ${model.version}; runtimes read version 3.`);
    }
    const opset = model.opsets.get('') ?? 0;
    const parts = [
      ...(model.irVersion > newest.ir ? [`IR version ${model.irVersion} (at most ${newest.ir})`] : []),
      ...(opset > newest.opset ? [`opset ${opset} (at most ${newest.opset})`] : []),
    ];
    return parts.length === 0
      ? []
      : onModel(opsetAboveRuntime, `ONNX Runtime 1.30 does not load this file: ${parts.join(', ')}.`);
  },
};
