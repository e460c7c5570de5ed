import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { Graph, Node } from '../../ir/model.ts';
import type { Dim, ValueType } from '../../ir/types.ts';
import { branchCost } from '../branches.ts';
import { axisOf, combine, join } from '../dims.ts';
import { known, scalarOf, shapeOf, tensorTypeOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import { onnx, unknownCost } from './kit.ts';

function bodyOf(node: Node, name: string): Graph | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'graph' ? attribute.value : undefined;
}

/** What holds whichever of the two it is. */
function joinKnown(a: Known, b: Known): Known {
  const type = joinTypes(a.type, b.type);
  return type === undefined ? {} : { type };
}

function joinTypes(a: ValueType | undefined, b: ValueType | undefined): ValueType | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (a.kind === 'optional' && b.kind !== 'optional') return joinOptional(a.element, b);
  if (b.kind === 'optional' && a.kind !== 'optional') return joinOptional(b.element, a);
  if (a.kind !== b.kind) return undefined;
  if ((a.kind === 'tensor' || a.kind === 'sparse') && (b.kind === 'tensor' || b.kind === 'sparse')) {
    if (a.dtype !== b.dtype) return undefined;
    const shape = join(a.shape, b.shape);
    return shape === undefined ? { kind: a.kind, dtype: a.dtype } : { kind: a.kind, dtype: a.dtype, shape };
  }
  if ((a.kind === 'sequence' || a.kind === 'optional') && (b.kind === 'sequence' || b.kind === 'optional')) {
    const element = joinTypes(a.element, b.element);
    return element && { kind: a.kind, element };
  }
  return sameType(a, b) ? a : undefined;
}

/** A value that may be absent, and one that is there. */
function joinOptional(element: ValueType, present: ValueType): ValueType | undefined {
  const joined = joinTypes(element, present);
  return joined && { kind: 'optional', element: joined };
}

/** Which branch runs, when the condition follows from shapes and constants. */
function takenBranch(context: OpContext): boolean | undefined {
  const condition = scalarOf(context.input(0));
  return condition === undefined ? undefined : condition !== 0;
}

/** Both branches are inferred, so that both have types; only the taken one counts when the condition is known. */
function inferIf(context: OpContext): readonly Known[] {
  const [yes, no] = ['then_branch', 'else_branch'].map((name) => {
    const body = bodyOf(context.node, name);
    return body && context.inferBody(body, []);
  });
  const taken = takenBranch(context);
  const chosen = taken === undefined ? undefined : taken ? yes : no;
  if (chosen !== undefined) return chosen;
  return context.node.outputs.map((_, index) => joinKnown(yes?.[index] ?? {}, no?.[index] ?? {}));
}

function ifCost(context: CostContext): OpCost {
  const [yes = unknownCost, no = unknownCost] = ['then_branch', 'else_branch'].map((name) => {
    const body = bodyOf(context.node, name);
    return body && context.bodyCost(body);
  });
  return branchCost(yes, no, takenBranch(context));
}

/** Rounds after which loop-carried shapes that still change are given up as unknown. */
const mostRounds = 3;

/**
 * Types of loop-carried values that hold in every iteration: whatever a round changes is widened. Content never
 * survives, because it changes from one iteration to the next.
 */
function fixpoint(
  initial: readonly Known[],
  round: (state: readonly Known[]) => readonly Known[],
): { state: readonly Known[]; outputs: readonly Known[] } {
  let state = initial.map(withoutContent);
  let outputs = round(state);
  for (let count = 0; count < mostRounds; count += 1) {
    const next = state.map((value, index) => withoutContent(joinKnown(value, outputs[index] ?? {})));
    if (next.every((value, index) => sameType(value.type, state[index]?.type))) break;
    state = next;
    outputs = round(state);
  }
  return { state, outputs };
}

function withoutContent(value: Known): Known {
  return value.type === undefined ? {} : { type: value.type };
}

function sameType(a: ValueType | undefined, b: ValueType | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function presentFrom(context: OpContext, from: number): readonly Known[] {
  return context.node.inputs.slice(from).map((_, index) => context.input(index + from));
}

/** How often a Loop runs, when the count is known and the condition is not computed from data. */
function tripCount(context: OpContext): Dim {
  return context.input(0).content?.[0] ?? null;
}

/** Body: (iteration, condition, carried…) to (condition, carried…, scanned…); scanned outputs gain a leading axis. */
function inferLoop(context: OpContext): readonly Known[] {
  const body = bodyOf(context.node, 'body');
  if (body === undefined) return [];
  const initial = presentFrom(context, 2);
  const scalars = [known('int64', []), known('bool', [])];
  const all = fixpoint(initial, (state) => context.inferBody(body, [...scalars, ...state]).slice(1));
  const trips = tripCount(context);
  return context.node.outputs.map((_, index) => {
    const value = all.outputs[index] ?? {};
    if (index < initial.length) return carried(all.state[index] ?? {}, value);
    const shape = shapeOf(value);
    return known(tensorTypeOf(value)?.dtype, shape && [trips, ...shape]);
  });
}

/** What may be absent before the first iteration is there after it: the body says so. */
function carried(state: Known, made: Known): Known {
  if (state.type?.kind === 'optional' && made.type !== undefined && made.type.kind !== 'optional') {
    return withoutContent(made);
  }
  return withoutContent(joinKnown(state, made));
}

function loopCost(context: CostContext): OpCost {
  const body = bodyOf(context.node, 'body');
  return body === undefined ? unknownCost : repeated(context.bodyCost(body), tripCount(context));
}

function repeated(once: OpCost, times: Dim): OpCost {
  if (typeof times !== 'number') {
    return {
      macs: undefined,
      otherOps: undefined,
      formula: 'unknown: the number of iterations depends on data',
    };
  }
  return {
    macs: once.macs === undefined ? undefined : once.macs * times,
    otherOps: once.otherOps === undefined ? undefined : once.otherOps * times,
    formula: `${times} iterations of the body`,
  };
}

/**
 * The axes scanned inputs are read along. Version 8 has sequence lengths first and a batch axis in front of everything,
 * which the body does not see.
 */
function scanParts(context: OpContext): { states: number; scanned: number; first: number } {
  const scanned = intAttribute(context.node, 'num_scan_inputs', 0);
  const first = context.version < 9 ? 1 : 0;
  return { states: context.node.inputs.length - first - scanned, scanned, first };
}

function scanLength(context: OpContext): Dim {
  const { states, first } = scanParts(context);
  const shape = context.shape(first + states);
  if (context.version < 9) return shape?.[1] ?? null;
  const axis = axisOf(intsAttribute(context.node, 'scan_input_axes')?.[0] ?? 0, shape?.length ?? 0);
  return axis === undefined ? null : (shape?.[axis] ?? null);
}

function inferScan(context: OpContext): readonly Known[] {
  const body = bodyOf(context.node, 'body');
  if (body === undefined) return [];
  if (context.version < 9) return inferBatchedScan(context, body);
  const { states, scanned, first } = scanParts(context);
  const inputAxes = intsAttribute(context.node, 'scan_input_axes') ?? [];
  const slices = Array.from({ length: scanned }, (_, index) => {
    const value = context.input(first + states + index);
    const shape = shapeOf(value);
    const axis = shape && axisOf(inputAxes[index] ?? 0, shape.length);
    return known(
      tensorTypeOf(value)?.dtype,
      shape?.filter((_dim, at) => at !== axis),
    );
  });
  const initial = presentFrom(context, first).slice(0, states);
  const all = fixpoint(initial, (state) => context.inferBody(body, [...state, ...slices]));
  const outputAxes = intsAttribute(context.node, 'scan_output_axes') ?? [];
  return context.node.outputs.map((_, index) => {
    const value = all.outputs[index] ?? {};
    if (index < states) return withoutContent(joinKnown(all.state[index] ?? {}, value));
    return stacked(value, outputAxes[index - states] ?? 0, scanLength(context));
  });
}

/** Version 8: states [N, …], scanned inputs and outputs [N, T, …]. */
function inferBatchedScan(context: OpContext, body: Graph): readonly Known[] {
  const { states, scanned, first } = scanParts(context);
  const without = (value: Known, axes: number): Known =>
    known(tensorTypeOf(value)?.dtype, shapeOf(value)?.slice(axes));
  const slices = Array.from({ length: scanned }, (_, index) =>
    without(context.input(first + states + index), 2),
  );
  const initial = presentFrom(context, first).slice(0, states);
  const batch = shapeOf(context.input(first + states))?.[0] ?? null;
  const all = fixpoint(
    initial.map((value) => without(value, 1)),
    (state) => context.inferBody(body, [...state, ...slices]),
  );
  return context.node.outputs.map((_, index) => {
    const value =
      index < states ? joinKnown(all.state[index] ?? {}, all.outputs[index] ?? {}) : all.outputs[index];
    const leading = index < states ? [batch] : [batch, scanLength(context)];
    const shape = value && shapeOf(value);
    return known(value && tensorTypeOf(value)?.dtype, shape && [...leading, ...shape]);
  });
}

function stacked(value: Known, axis: number, length: Dim): Known {
  const shape = shapeOf(value);
  const at = shape && axisOf(axis, shape.length + 1);
  if (shape === undefined || at === undefined) return known(tensorTypeOf(value)?.dtype, undefined);
  return known(tensorTypeOf(value)?.dtype, [...shape.slice(0, at), length, ...shape.slice(at)]);
}

function scanCost(context: CostContext): OpCost {
  const body = bodyOf(context.node, 'body');
  if (body === undefined) return unknownCost;
  const { states, first } = scanParts(context);
  const batch = context.version < 9 ? (context.shape(first + states)?.[0] ?? null) : 1;
  return repeated(context.bodyCost(body), combine(scanLength(context), '*', batch));
}

/** SequenceMap runs its body for every element of a sequence whose length depends on data. */
function inferSequenceMap(context: OpContext): readonly Known[] {
  const body = bodyOf(context.node, 'body');
  if (body === undefined) return [];
  const elements = context.node.inputs.map((_, index) => {
    const { type } = context.input(index);
    return type?.kind === 'sequence' ? { type: type.element } : context.input(index);
  });
  return context.inferBody(body, elements).map(({ type }): Known => {
    return type === undefined ? {} : { type: { kind: 'sequence', element: type } };
  });
}

export const controlOperators: readonly Operator[] = [
  onnx('If', 'control', inferIf, { cost: ifCost }),
  onnx('Loop', 'control', inferLoop, { cost: loopCost }),
  onnx('Scan', 'control', inferScan, { cost: scanCost }),
  onnx('SequenceMap', 'control', inferSequenceMap, {
    cost: () => repeated(unknownCost, null),
  }),
];
