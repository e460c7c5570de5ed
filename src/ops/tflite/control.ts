import { intAttribute } from '../../ir/attribute.ts';
import type { Graph } from '../../ir/model.ts';
import { branchCost } from '../branches.ts';
import { join } from '../dims.ts';
import { scalarOf, shapeOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import { asDeclared, out, tflite, unknownCost } from './kit.ts';

/** The subgraph an option refers to. */
function bodyOf(context: OpContext, option: string): Graph | undefined {
  return context.model.graphs[intAttribute(context.node, option, -1)];
}

function inputsFrom(context: OpContext, first: number): readonly Known[] {
  return context.node.inputs.slice(first).map((_, index) => context.input(first + index));
}

function inferIf(context: OpContext): readonly Known[] {
  const [yes, no] = ['then_subgraph_index', 'else_subgraph_index'].map((option) => {
    const body = bodyOf(context, option);
    return body && context.inferBody(body, inputsFrom(context, 1));
  });
  return context.node.outputs.map((_, index) => {
    const shape = join(shapeOf(yes?.[index] ?? {}), shapeOf(no?.[index] ?? {}));
    return out(context, shape, index);
  });
}

function ifCost(context: CostContext): OpCost {
  const condition = scalarOf(context.input(0));
  const [yes = unknownCost, no = unknownCost] = ['then_subgraph_index', 'else_subgraph_index'].map(
    (option) => {
      const body = bodyOf(context, option);
      return body && context.bodyCost(body);
    },
  );
  return branchCost(yes, no, condition === undefined ? undefined : condition !== 0);
}

/** Loop-carried values keep their declared types; both subgraphs are inferred so that their layers have types. */
function inferWhile(context: OpContext): readonly Known[] {
  const state = context.node.outputs.map((_, index) => out(context, undefined, index));
  for (const option of ['cond_subgraph_index', 'body_subgraph_index']) {
    const body = bodyOf(context, option);
    if (body !== undefined) context.inferBody(body, state);
  }
  return state;
}

const whileCost = (): OpCost => ({
  ...unknownCost,
  formula: 'unknown: the number of iterations depends on data',
});

function inferCall(option: string): Operator['infer'] {
  return (context) => {
    const body = bodyOf(context, option);
    const results = body === undefined ? [] : context.inferBody(body, inputsFrom(context, 0));
    return context.node.outputs.map((_, index) => out(context, shapeOf(results[index] ?? {}), index));
  };
}

const callCost =
  (option: string) =>
  (context: CostContext): OpCost => {
    const body = bodyOf(context, option);
    return body === undefined ? unknownCost : { ...context.bodyCost(body), formula: 'the called subgraph' };
  };

/** Initialization runs once, before the first inference, so it costs an inference nothing. */
function inferCallOnce(context: OpContext): readonly Known[] {
  const body = bodyOf(context, 'init_subgraph_index');
  if (body !== undefined) context.inferBody(body, []);
  return [];
}

export const controlOperators: readonly Operator[] = [
  tflite('IF', 'control', inferIf, { cost: ifCost }),
  tflite('WHILE', 'control', inferWhile, { cost: whileCost }),
  tflite('CALL', 'control', inferCall('subgraph'), { cost: callCost('subgraph') }),
  tflite('STABLEHLO_COMPOSITE', 'control', inferCall('decomposition_subgraph_index'), {
    cost: callCost('decomposition_subgraph_index'),
  }),
  tflite('CALL_ONCE', 'control', inferCallOnce),
  tflite('VAR_HANDLE', 'control', asDeclared),
  tflite('READ_VARIABLE', 'control', asDeclared),
  tflite('ASSIGN_VARIABLE', 'control', () => []),
];
