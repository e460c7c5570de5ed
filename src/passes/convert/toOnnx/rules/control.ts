import { intAttribute } from '../../../../ir/attribute.ts';
import type { Attribute, Graph, ValueId } from '../../../../ir/model.ts';
import type { Emission, Rule } from '../emission.ts';

const body = (graph: Graph): Attribute => ({ kind: 'graph', value: graph });

function subgraph(emission: Emission, option: string): number {
  const index = intAttribute(emission.node, option, -1);
  return index < 0 ? emission.refuse(`${option} is missing`) : index;
}

/** Both branches read what goes in where it is: bodies of ONNX see the values around them. */
const branch: Rule = (emission) => {
  const { builder, name, node } = emission;
  const given = node.inputs.slice(1).map((_, index) => emission.operand(index + 1));
  const bodyOf = (option: string, suffix: string) =>
    builder.body(`${name}_${suffix}`, () => ({
      inputs: [],
      outputs: emission
        .inline(subgraph(emission, option), given)
        .map((value, index) => leaving(emission, value, index, suffix)),
    }));
  const names = node.outputs.map((id, index) => `${id ?? `${name}_${index}`}_chosen`);
  return builder.emitMany('If', [emission.operand(0)], names, {
    then_branch: body(bodyOf('then_subgraph_index', 'then')),
    else_branch: body(bodyOf('else_subgraph_index', 'else')),
  });
};

/** ONNX asks at the end of each round whether there is another, TFLite before it: the first question stands outside. */
const loop: Rule = (emission) => {
  const { builder, name, node } = emission;
  const [condition, round] = ['cond_subgraph_index', 'body_subgraph_index'].map((option) =>
    subgraph(emission, option),
  ) as [number, number];
  const given = node.inputs.map((_, index) => emission.operand(index));
  const asked = (values: readonly ValueId[]) =>
    emission.reshape(
      emission.inline(condition, values)[0] ?? emission.refuse('its condition has no output'),
      [],
    );
  const first = asked(given);
  const looped = builder.body(`${name}_round`, () => {
    const counter = builder.declare(builder.free(`${name}_counter`), 'int64', []);
    const going = builder.declare(builder.free(`${name}_going`), 'bool', []);
    const values = node.inputs.map((_, index) => {
      const { dtype, shape } = emission.realType(emission.value(index));
      return builder.declare(builder.free(`${name}_in${index}`), dtype, shape);
    });
    const made = emission.inline(round, values);
    const again = builder.output(asked(made), builder.free(`${name}_again`), 'bool', []);
    return {
      inputs: [counter, going, ...values],
      outputs: [again, ...made.map((value, index) => leaving(emission, value, index, 'round'))],
    };
  });
  const names = node.outputs.map((id, index) => `${id ?? `${name}_${index}`}_last`);
  return builder.emitMany('Loop', [null, first, ...given], names, { body: body(looped) });
};

/** An output of a body, which needs a name and a type of its own. */
function leaving(emission: Emission, value: ValueId, index: number, suffix: string): ValueId {
  const { dtype, shape } = emission.realType(emission.output(index));
  return emission.builder.output(
    value,
    emission.builder.free(`${emission.name}_${suffix}${index}`),
    dtype,
    shape,
  );
}

export const controlRules: Readonly<Record<string, Rule>> = { IF: branch, WHILE: loop };
