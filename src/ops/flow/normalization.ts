import { intAttribute } from '../../ir/attribute.ts';
import type { ChannelFlow, FlowContext } from './flow.ts';
import { at, inputsOf, outputsOf, positive, tieAll, unary } from './flow.ts';

/** Statistics and parameters per channel of axis 1. `mixed` axes are normalized over and stay. */
function perChannel(mixesSpatial: boolean): ChannelFlow {
  return {
    flow(context) {
      const [x, ...parameters] = inputsOf(context.node);
      const [y, ...extra] = outputsOf(context.node);
      if (x === undefined || y === undefined) return;
      const rank = context.shape(x)?.length ?? 0;
      tieAll(context, x, y, mixesSpatial ? axesFrom(2, rank) : new Set());
      for (const id of [...parameters, ...extra]) context.tie(at(id, 0), at(x, 1));
    },
  };
}

function axesFrom(first: number, rank: number): ReadonlySet<number> {
  return new Set(Array.from({ length: rank }, (_, axis) => axis).slice(first));
}

/** One axis, or all from it on, is normalized together. */
function along(attribute: string, fallback: number, more: (context: FlowContext) => boolean): ChannelFlow {
  return unary((context, rank) => {
    const axis = positive(intAttribute(context.node, attribute, fallback), rank);
    return more(context) ? axesFrom(axis, rank) : new Set([axis]);
  });
}

const softmaxFallback: ChannelFlow = {
  flow: (context) =>
    // Before version 13 the axes from `axis` on are flattened together.
    along('axis', context.version < 13 ? 1 : -1, ({ version }) => version < 13).flow(context),
};

/** Scale and bias have the shape of the normalized axes, which stay; further outputs are statistics of the others. */
const layerNorm: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const [x] = inputsOf(node);
    const [y] = outputsOf(node);
    if (x === undefined || y === undefined) return;
    const rank = context.shape(x)?.length ?? 0;
    tieAll(context, x, y, axesFrom(positive(intAttribute(node, 'axis', -1), rank), rank));
  },
};

export const onnxNormalization = {
  BatchNormalization: perChannel(false),
  InstanceNormalization: perChannel(true),
  LayerNormalization: layerNorm,
  SimplifiedLayerNormalization: layerNorm,
  RMSNormalization: layerNorm,
  Softmax: softmaxFallback,
  LogSoftmax: softmaxFallback,
  Hardmax: softmaxFallback,
  LpNormalization: along('axis', -1, () => false),
  LRN: unary(() => new Set([1])),
} satisfies Readonly<Record<string, ChannelFlow>>;
