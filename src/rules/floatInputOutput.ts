import type { NodeId, ValueId } from '../ir/model.ts';
import { feedsOf } from '../ir/model.ts';
import { indexOf } from '../ir/walk.ts';
import { soleReader } from '../passes/support/graph.ts';
import { passFix } from './fixes.ts';
import { typeIn } from './places.ts';
import type { Rule, RuleContext } from './rule.ts';
import { onLayers } from './support.ts';

const quantizers = new Set(['QUANTIZE', 'QuantizeLinear']);
const dequantizers = new Set(['DEQUANTIZE', 'DequantizeLinear']);

export const floatInputOutput: Rule = {
  id: 'float-input-output',
  severity: 'information',
  title: 'An integer model with float inputs or outputs',
  manual: `The layers compute in integers, but the model takes or gives floating-point numbers and converts them at its edge. The
conversions are layers that NPUs send back to the processor, and a microcontroller may have neither the time nor the code for
them; a camera or a microphone gives integers anyway.

**Example.** A TFLite model quantized with float32 input and output: \`QUANTIZE\` first, \`DEQUANTIZE\` last.

**Remedy.** Run \`io-types\` with int8: the conversions go, the scales stay.`,
  check(context) {
    const { model, device } = context;
    const layers = boundaryConversions(context);
    const strict = model.dialect === 'tflite' && (device?.class === 'mcu' || device?.integerOnly === true);
    // An ONNX runtime folds these into the kernels next to them.
    if (model.dialect === 'onnx' && device?.integerOnly !== true) return [];
    return onLayers(
      { id: floatInputOutput.id, severity: strict ? 'warning' : floatInputOutput.severity },
      layers,
      (where) => `Floating-point numbers are converted at the edge of an integer model${where}.`,
      passFix(context, 'io-types', {
        title: 'Take and give int8',
        options: { input: 'int8', output: 'int8' },
      }),
    );
  },
};

/** A model with one of these at its input computes in integers behind it. */
function boundaryConversions(context: RuleContext): readonly NodeId[] {
  const graph = context.model.graphs[0];
  const isFloat = (id: ValueId) => typeIn(context, graph, id)?.dtype === 'float32';
  const { producer } = indexOf(graph);
  const first = feedsOf(graph).flatMap(({ id }) => {
    const reader = soleReader(graph, id);
    return reader !== undefined && quantizers.has(reader.op) && isFloat(id) ? [reader.id] : [];
  });
  const last = graph.outputs.flatMap((id) => {
    const maker = producer.get(id);
    const constant = maker !== undefined && graph.values.get(maker.inputs[0] ?? '')?.constant !== undefined;
    return maker !== undefined && dequantizers.has(maker.op) && !constant && isFloat(id) ? [maker.id] : [];
  });
  return [...first, ...last];
}
