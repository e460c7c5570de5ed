import { KerfError } from '../../ir/errors.ts';
import type { Graph, Model, Node } from '../../ir/model.ts';
import type { RecipeStep } from '../../passes/pass.ts';
import { operationOf, scopeOf } from './names.ts';
import type { AeqConfig, AeqRule, AeqTensor } from './types.ts';

/**
 * A recipe as a list of rules for AI Edge Quantizer: one for the whole model where a step has no layers, one per layer
 * otherwise. Steps that it has no counterpart for throw `KerfError('unsupported')`; exact ones are left out.
 */
export function aeqOfSteps(model: Model, steps: readonly RecipeStep[]): readonly AeqRule[] {
  if (model.dialect !== 'tflite')
    throw new KerfError('unsupported', 'recipes of AI Edge Quantizer are for TFLite models');
  const [graph] = model.graphs;
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  return steps.flatMap((step) => {
    const made = settingsOf(step);
    if (made === undefined) return [];
    if (step.layers === undefined) return [{ regex: '.*', operation: '*', ...made }];
    return step.layers.flatMap((id) => {
      const node = nodes.get(id);
      return node === undefined ? [] : [{ ...placeOf(graph, node), ...made }];
    });
  });
}

function placeOf(graph: Graph, node: Node): Pick<AeqRule, 'regex' | 'operation'> {
  return { regex: `^${escaped(scopeOf(graph, node))}$`, operation: operationOf(node.op) };
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

const exactPasses = new Set(['simplify', 'fuse', 'layout']);

function settingsOf({
  pass,
  options = {},
}: RecipeStep): Pick<AeqRule, 'algorithm_key' | 'op_config'> | undefined {
  if (exactPasses.has(pass)) return undefined;
  const smallest =
    typeof options['smallest'] === 'number' ? { min_weight_elements: options['smallest'] } : {};
  if (pass === 'fp16')
    return {
      algorithm_key: 'float_casting',
      op_config: {
        weight_tensor_config: { num_bits: 16, symmetric: true, granularity: 'TENSORWISE', dtype: 'FLOAT' },
        ...storedOnly,
      },
    };
  if (pass === 'quantize-dynamic')
    return plain({ weight_tensor_config: weights(8), ...integer, ...smallest });
  if (pass === 'quantize-weights') {
    const algorithm = options['rounding'] === 'nearest' ? 'min_max_uniform_quantize' : 'gptq';
    const block = Number(options['block'] ?? 0);
    const made = {
      weight_tensor_config: weights(Number(options['bits'] ?? 8), false, block),
      ...integer,
      ...smallest,
    };
    return { algorithm_key: algorithm, op_config: made };
  }
  if (pass === 'quantize-static') {
    const [, w = '8', a = '8'] = /^w(\d+)a(\d+)$/.exec(String(options['scheme'] ?? 'w8a8')) ?? [];
    const activations: AeqTensor = {
      num_bits: Number(a),
      symmetric: a === '16',
      granularity: 'TENSORWISE',
      dtype: 'INT',
    };
    return plain({
      activation_tensor_config: activations,
      weight_tensor_config: weights(Number(w), options['perChannel'] === false),
      ...integer,
    });
  }
  throw new KerfError('unsupported', `AI Edge Quantizer has nothing like ${pass}`);
}

const integer = { compute_precision: 'INTEGER', explicit_dequantize: false, skip_checks: false } as const;
const storedOnly = { compute_precision: 'FLOAT', explicit_dequantize: true, skip_checks: false } as const;

function plain(config: AeqConfig): Pick<AeqRule, 'algorithm_key' | 'op_config'> {
  return { algorithm_key: 'min_max_uniform_quantize', op_config: config };
}

function weights(bits: number, perTensor = false, block = 0): AeqTensor {
  return {
    num_bits: bits,
    symmetric: true,
    granularity: block > 0 ? `BLOCKWISE_${block}` : perTensor ? 'TENSORWISE' : 'CHANNELWISE',
    dtype: 'INT',
    block_size: block,
  };
}
