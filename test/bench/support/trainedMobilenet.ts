import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { GraphEditor } from '../../../src/ir/edit.ts';
import type { Graph, Node, OnnxModel, ValueId } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { floatTensor } from '../../../src/ir/numbers.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { indexOf } from '../../../src/ir/walk.ts';
import { stripped } from '../../../src/passes/requantize/strip.ts';
import { openNpz } from '../../../src/runtime/data/npz.ts';
import { npy, npz } from '../../unit/support/npy.ts';
import { shared } from '../../unit/support/models.ts';

/** A MobileNetV2 with trained weights, in int8: those are decoded here. */
export const quantizedMobilenet = path.join(shared, 'models/tflite/mobilenet_v2_q.tflite');

/**
 * The float model behind the quantized MobileNetV2, after its conversion to ONNX: pairs of quantization taken out, ReLU6 in real
 * numbers instead of codes, floats at both ends.
 */
export function decodedMobilenet(converted: OnnxModel): OnnxModel {
  const [was] = converted.graphs;
  const codes = was.outputs[0] as ValueId;
  const { model } = stripped(converted);
  const [graph] = model.graphs;
  const [fed] = graph.inputs as [ValueId];
  const decoded = graph.nodes.find(({ op, inputs }) => op === 'DequantizeLinear' && inputs[0] === fed);
  const logits = graph.nodes.at(-1)?.outputs[0];
  if (
    decoded?.outputs[0] == null ||
    logits == null ||
    indexOf(was).producer.get(codes)?.op !== 'QuantizeLinear'
  )
    throw new Error('this is not the MobileNetV2 that was expected');
  const editor = new GraphEditor(graph, model);
  const low = editor.addConstant('relu6_low', floatTensor([], Float32Array.of(0)));
  const high = editor.addConstant('relu6_high', floatTensor([], Float32Array.of(6)));
  for (const node of graph.nodes)
    if (node.op === 'Clip') editor.replaceNode(node.id, [clipped(node, low, high)]);
  editor.removeNode(decoded.id);
  editor.replaceUses(decoded.outputs[0], fed);
  return withMainGraph(model, withFloatEnds(editor.finish(), fed, logits));
}

function clipped(node: Node, low: ValueId, high: ValueId): Node {
  return { ...node, inputs: [node.inputs[0] as ValueId, low, high] };
}

function withFloatEnds(graph: Graph, fed: ValueId, logits: ValueId): Graph {
  const values = new Map(graph.values);
  values.set(fed, { id: fed, name: fed, type: tensorType('float32', [1, 3, 224, 224]) });
  values.set(logits, { id: logits, name: logits, type: tensorType('float32', [1, 1000]) });
  return { ...graph, values, outputs: [logits] };
}

const side = 224;
const small = 32;

/** Photographs of CIFAR-10 enlarged for that model, as a dataset file in `folder`. */
export async function enlargedPhotographs(folder: string, count: number): Promise<string> {
  const pictures = openNpz(path.join(shared, 'data/cifar10-unlabelled-5000.npz')).array('x').data;
  const large = new Uint8Array(count * side * side * 3);
  for (let picture = 0; picture < count; picture += 1) {
    const own = pictures.subarray(picture * small * small * 3, (picture + 1) * small * small * 3);
    enlarge(own, large.subarray(picture * side * side * 3, (picture + 1) * side * side * 3));
  }
  await writeFile(
    path.join(folder, 'photographs.npz'),
    npz({ x: npy('|u1', [count, side, side, 3], large) }),
  );
  const recipe = {
    array: 'x',
    transpose: [0, 3, 1, 2],
    scale: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  };
  const file = path.join(folder, 'photographs.json');
  await writeFile(file, JSON.stringify({ source: 'photographs.npz', inputs: { '*': recipe } }));
  return file;
}

/** Bilinear, with the centres of pixels. */
function enlarge(from: Uint8Array, to: Uint8Array): void {
  const places = Array.from({ length: side }, (_, at) => {
    const centre = ((at + 0.5) * small) / side - 0.5;
    const first = Math.min(small - 2, Math.max(0, Math.floor(centre)));
    return { first, part: Math.min(1, Math.max(0, centre - first)) };
  });
  for (const [y, row] of places.entries())
    for (const [x, column] of places.entries())
      for (let channel = 0; channel < 3; channel += 1) {
        const at = (down: number, right: number) =>
          from[((row.first + down) * small + column.first + right) * 3 + channel] as number;
        const top = at(0, 0) * (1 - column.part) + at(0, 1) * column.part;
        const bottom = at(1, 0) * (1 - column.part) + at(1, 1) * column.part;
        to[(y * side + x) * 3 + channel] = Math.round(top * (1 - row.part) + bottom * row.part);
      }
}
