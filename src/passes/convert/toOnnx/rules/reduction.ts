import { attr, intAttribute } from '../../../../ir/attribute.ts';
import type { Rule } from '../emission.ts';

function reduce(op: string): Rule {
  return (emission) => {
    const axes = emission.builder.int64(`${emission.name}_axes`, [emission.integers(1)].flat());
    const keepdims = attr.int(intAttribute(emission.node, 'keep_dims', 0));
    return emission.emit(op, [emission.operand(0), axes], { keepdims });
  };
}

/** Before opset 18 these take their axes as an attribute, from then on as an input; the model is 19 or newer. */
function reduceBool(op: 'ReduceMax' | 'ReduceMin'): Rule {
  return (emission) => {
    const axes = emission.builder.int64(`${emission.name}_axes`, emission.integers(1));
    const keepdims = attr.int(intAttribute(emission.node, 'keep_dims', 0));
    const numbers = emission.cast(emission.operand(0), 'int32');
    return emission.cast(emission.emit(op, [numbers, axes], { keepdims }), 'bool');
  };
}

function argument(op: 'ArgMax' | 'ArgMin'): Rule {
  return (emission) => {
    const axis = attr.int(emission.integers(1)[0] ?? 0);
    const found = emission.emit(op, [emission.operand(0)], { axis, keepdims: attr.int(0) });
    const dtype = emission.dtypeOf(emission.output());
    return dtype === 'int64' ? found : emission.cast(found, dtype);
  };
}

const cumulative: Rule = (emission) =>
  emission.emit('CumSum', [emission.operand(0), emission.int64(1)], {
    exclusive: attr.int(intAttribute(emission.node, 'exclusive', 0)),
    reverse: attr.int(intAttribute(emission.node, 'reverse', 0)),
  });

const topK: Rule = (emission) => {
  const count = emission.reshape(emission.int64(1), [1]);
  const name = emission.name;
  const [values, indices] = emission.builder.emitMany(
    'TopK',
    [emission.operand(0), count],
    [`${name}_values`, `${name}_indices`],
  );
  const dtype = emission.dtypeOf(emission.output(1));
  return [
    values as string,
    dtype === 'int64' ? (indices as string) : emission.cast(indices as string, dtype),
  ];
};

export const reductionRules: Readonly<Record<string, Rule>> = {
  MEAN: reduce('ReduceMean'),
  SUM: reduce('ReduceSum'),
  REDUCE_MAX: reduce('ReduceMax'),
  REDUCE_MIN: reduce('ReduceMin'),
  REDUCE_PROD: reduce('ReduceProd'),
  REDUCE_ANY: reduceBool('ReduceMax'),
  REDUCE_ALL: reduceBool('ReduceMin'),
  ARG_MAX: argument('ArgMax'),
  ARG_MIN: argument('ArgMin'),
  CUMSUM: cumulative,
  TOPK_V2: topK,
};
