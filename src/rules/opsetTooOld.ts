import type { Rule } from './rule.ts';
import { onModel } from './support.ts';

/** QuantizeLinear exists since opset 10. */
const quantizable = 10;
/** ONNX Runtime guarantees opsets from 7 on. */
const supported = 7;

export const opsetTooOld: Rule = {
  id: 'opset-too-old',
  severity: 'information',
  title: 'An operator set from before quantization',
  manual: `Below opset 10 there is no QuantizeLinear, so other tools cannot quantize the file as it is (Kerf raises the opset when it
quantizes). Below opset 7 runtimes do not promise to load it: broadcasting and several operators meant something else.

**Example.** A model of 2018 with opset 3.

**Remedy.** Export the model again with opset 13 or later, or convert it with onnx's version converter.`,
  check({ model }) {
    if (model.dialect !== 'onnx') return [];
    const opset = model.opsets.get('') ?? model.opsets.get('ai.onnx');
    if (opset === undefined || opset >= quantizable) return [];
    if (opset < supported)
      return onModel(
        { id: opsetTooOld.id, severity: 'warning' },
        `Opset ${opset} is older than runtimes promise to load (${supported}).`,
      );
    return onModel(
      opsetTooOld,
      `Opset ${opset} has no quantization operators; they came with opset ${quantizable}. Passes that need them raise it.`,
    );
  },
};
