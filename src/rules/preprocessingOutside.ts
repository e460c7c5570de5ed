import type { Graph, Model, Node, ValueId } from '../ir/model.ts';
import { feedsOf } from '../ir/model.ts';
import type { Shape } from '../ir/types.ts';
import { soleReader } from '../passes/support/graph.ts';
import type { Rule } from './rule.ts';
import { typeIn } from './places.ts';
import { onModel } from './support.ts';

/** Pixels along a side from which an input is taken for an image. */
const smallest = 16;
const convolutions = /^(Conv|CONV_2D|DEPTHWISE_CONV_2D)$/;
/** What may stand between an image and its first convolution without scaling it. */
const movers = /^(Transpose|Pad|Cast|Identity|TRANSPOSE|PAD|CAST|RESHAPE|Reshape)$/;

export const preprocessingOutside: Rule = {
  id: 'preprocessing-outside',
  severity: 'hint',
  title: 'The scaling of the image is not part of the model',
  manual: `A floating-point image goes straight into a convolution, and nothing in the file says what its numbers should be: 0 to 255,
0 to 1, or normalized by a mean and a deviation. An application that guesses wrong gets poor results and no error. Done in the
application, the scaling also costs a pass over the image.

**Example.** An ImageNet model that expects \`(x / 255 - mean) / std\` and says so only in its training script.

**Remedy.** Put the scaling into the model (it can be folded into the first convolution), or write it into the file's metadata.`,
  check(context) {
    const { model } = context;
    if (saysHow(model)) return [];
    const graph = model.graphs[0];
    const images = feedsOf(graph).filter(({ id }) => {
      const type = typeIn(context, graph, id);
      return type?.dtype === 'float32' && isImage(type.shape, model) && isConvolved(graph, id);
    });
    const names = images.map(({ name }) => `“${name}”`).join(', ');
    if (images.length === 0) return [];
    return onModel(preprocessingOutside, `How to scale the image ${names} is not part of the model.`);
  },
};

function isImage(shape: Shape | undefined, { dialect }: Model): boolean {
  if (shape?.length !== 4) return false;
  const [, second, third, fourth] = shape;
  const [channels, ...sides] = dialect === 'onnx' ? [second, third, fourth] : [fourth, second, third];
  const large = sides.every((side) => typeof side !== 'number' || side >= smallest);
  return (channels === 1 || channels === 3) && large;
}

function isConvolved(graph: Graph, input: ValueId): boolean {
  let reader: Node | undefined = soleReader(graph, input);
  for (let hops = 0; hops < 4 && reader !== undefined && movers.test(reader.op); hops += 1)
    reader = soleReader(graph, reader.outputs[0]);
  return reader !== undefined && convolutions.test(reader.op);
}

/** Metadata about normalization: of TFLite's task library, or keys that speak of it. */
function saysHow(model: Model): boolean {
  if (model.dialect === 'tflite') return model.metadata.some(({ name }) => name === 'TFLITE_METADATA');
  return model.metadata.some(([key]) => /mean|std|norm|scale|preproc|image\.(type|range)/i.test(key));
}
