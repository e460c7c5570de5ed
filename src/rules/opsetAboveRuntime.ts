import type { OnnxModel } from '../ir/model.ts';
import { restamp } from '../passes/repair/versions.ts';
import { passFix } from './fixes.ts';
import type { Fix, Rule, RuleContext } from './rule.ts';
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
  check(context) {
    const { model } = context;
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
      : onModel(
          opsetAboveRuntime,
          `ONNX Runtime 1.30 does not load this file: ${parts.join(', ')}.`,
          restamping(context, model),
        );
  },
};

/** Lower stamps, where nothing in the file needs the higher ones. */
function restamping(context: RuleContext, model: OnnxModel): readonly Fix[] {
  const options = { opset: newest.opset, ir: newest.ir };
  const after = restamp(model, options.opset, options.ir)?.model;
  if (after?.dialect !== 'onnx' || after.irVersion > newest.ir) return [];
  if ((after.opsets.get('') ?? 0) > newest.opset) return [];
  return passFix(context, 'repair', {
    title: 'Stamp the file with the versions that it needs: same result',
    options,
  });
}
