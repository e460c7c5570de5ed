import { KerfError } from '../../ir/errors.ts';
import type { Model, Node, NodeId } from '../../ir/model.ts';
import type { OptionValues, RecipeStep } from '../../passes/pass.ts';
import { passById } from '../../passes/registry.ts';
import { operationOf, scopeOf } from './names.ts';
import type { AeqRule, AeqTensor } from './types.ts';
import { untouched } from './types.ts';

export interface AeqSteps {
  readonly steps: readonly RecipeStep[];
  /** What was taken for something near. */
  readonly notes: readonly string[];
}

/** What one operator is to become: a step without its layers. */
interface Plan {
  readonly step: RecipeStep;
  readonly notes: readonly string[];
}

/**
 * The steps that do to a TFLite model what a recipe of AI Edge Quantizer asks for. As there, the last matching rule wins,
 * rules for `*` replace earlier ones with the same expression, and an operator without a rule stays as it is.
 * Throws `KerfError('unsupported')` for ONNX models and for what no pass can do.
 */
export function stepsOfAeq(rules: readonly AeqRule[], model: Model): AeqSteps {
  if (model.dialect !== 'tflite')
    throw new KerfError('unsupported', 'recipes of AI Edge Quantizer are for TFLite models');
  const ordered = effectiveRules(rules);
  const groups = new Map<string, { plan: Plan; layers: NodeId[] }>();
  const ends = endsOf(ordered);
  for (const node of model.graphs[0].nodes) {
    const rule = lastMatch(ordered, operationOf(node.op), scopeOf(model.graphs[0], node));
    const plan = rule && planOf(rule, ends);
    if (plan === undefined || !applies(plan.step, node, model)) continue;
    const key = JSON.stringify(plan.step);
    const group = groups.get(key) ?? { plan, layers: [] };
    group.layers.push(node.id);
    groups.set(key, group);
  }
  const whole = model.graphs[0].nodes.length;
  const steps = [...groups.values()].map(
    ({ plan, layers }): RecipeStep => (layers.length === whole ? plan.step : { ...plan.step, layers }),
  );
  steps.sort((a, b) => Number(a.pass === 'quantize-static') - Number(b.pass === 'quantize-static'));
  return { steps, notes: [...new Set([...groups.values()].flatMap(({ plan }) => plan.notes))] };
}

/** Rules by expression in the order of their first mention, as the tool keeps them. */
function effectiveRules(rules: readonly AeqRule[]): readonly AeqRule[] {
  const scopes = new Map<string, AeqRule[]>();
  for (const rule of rules) {
    const known = scopes.get(rule.regex) ?? [];
    const same = known.findIndex(({ operation }) => operation === rule.operation);
    if (rule.operation === '*') scopes.set(rule.regex, [rule]);
    else if (same >= 0) scopes.set(rule.regex, known.with(same, rule));
    else scopes.set(rule.regex, [...known, rule]);
  }
  return [...scopes.values()].flat();
}

function lastMatch(rules: readonly AeqRule[], operation: string, scope: string): AeqRule | undefined {
  return rules.findLast(
    (rule) => (rule.operation === '*' || rule.operation === operation) && new RegExp(rule.regex).test(scope),
  );
}

/** The model's ends are integers when a static rule for everything, or for them, covers both. */
function endsOf(rules: readonly AeqRule[]): 'int8' | 'float' {
  const covered = (operation: string) => {
    const rule = rules.findLast((each) => each.regex === '.*' && ['*', operation].includes(each.operation));
    return rule !== undefined && rule.algorithm_key !== untouched && isStatic(rule);
  };
  return covered('INPUT') && covered('OUTPUT') ? 'int8' : 'float';
}

function isStatic({ op_config: config }: AeqRule): boolean {
  return config?.activation_tensor_config != null && config.compute_precision !== 'FLOAT';
}

/** Passes for weights take weighted layers only; a static one takes every operator that its runtime can. */
function applies(step: RecipeStep, node: Node, model: Model): boolean {
  const pass = passById(step.pass);
  return step.pass === 'quantize-static' || pass?.appliesTo?.(node, model) !== false;
}

function planOf(rule: AeqRule, ends: 'int8' | 'float'): Plan | undefined {
  const { op_config: config = {}, algorithm_key: algorithm } = rule;
  const weights = config.weight_tensor_config ?? undefined;
  if (algorithm === untouched || (weights === undefined && !isStatic(rule))) return undefined;
  if (algorithm === 'float_casting' || weights?.dtype === 'FLOAT') {
    if (weights?.num_bits !== 16)
      throw new KerfError('unsupported', `weights in ${weights?.num_bits}-bit floats`);
    return { step: { pass: 'fp16' }, notes: [] };
  }
  const notes = notesOf(rule, weights);
  const smallest = config.min_weight_elements ?? 0;
  const fineness = isPerTensor(weights) ? { perChannel: false } : {};
  if (isStatic(rule)) {
    const bits = config.activation_tensor_config?.num_bits ?? 8;
    const scheme = `w${weights?.num_bits ?? 8}a${bits}`;
    // There, weights of four bits are stored in four.
    const packed = (weights?.num_bits ?? 8) <= 4 && bits === 8 ? { packed: true } : {};
    const options: OptionValues = { scheme, io: ends, ...packed, ...known('quantize-static', fineness) };
    return { step: { pass: 'quantize-static', options }, notes };
  }
  const computesInIntegers = config.compute_precision !== 'FLOAT' && config.explicit_dequantize !== true;
  if (computesInIntegers && weights?.num_bits === 8) {
    const dense = isPerTensor(weights) ? {} : { perChannelDense: true };
    return { step: { pass: 'quantize-dynamic', options: { smallest, ...dense } }, notes };
  }
  const rounding = algorithm === 'gptq' ? 'optimized' : 'nearest';
  const block = blockOf(weights);
  const options = {
    bits: String(weights?.num_bits ?? 8),
    conv: true,
    rounding,
    ends: false,
    smallest,
    ...(block > 0 && knownBlocks.has(block) && { block: String(block) }),
  };
  // Kerf leaves weights in the operator, whose kernel quantizes its float input as it runs.
  const hybrid = computesInIntegers
    ? []
    : ['weights that were to be dequantized first stay in their operators'];
  return { step: { pass: 'quantize-weights', options }, notes: [...notes, ...hybrid] };
}

/** Options that the pass has. */
function known(pass: string, options: OptionValues): OptionValues {
  const names = new Set(passById(pass)?.options.map(({ name }) => name));
  return Object.fromEntries(Object.entries(options).filter(([name]) => names.has(name)));
}

function isPerTensor(weights: AeqTensor | undefined): boolean {
  return weights?.granularity === 'TENSORWISE' || weights?.channel_wise === false;
}

/** Weights that share a scale; 0 for one scale per output channel or tensor. */
function blockOf(weights: AeqTensor | undefined): number {
  const named = /^BLOCKWISE_(\d+)$/.exec(weights?.granularity ?? '')?.[1];
  return named === undefined ? (weights?.block_size ?? 0) : Number(named);
}

const knownBlocks = new Set([32, 64, 128]);

const plainAlgorithms = new Set(['min_max_uniform_quantize', 'gptq', 'float_casting']);

function notesOf({ algorithm_key: algorithm }: AeqRule, weights: AeqTensor | undefined): readonly string[] {
  const notes: string[] = [];
  if (!plainAlgorithms.has(algorithm)) notes.push(`${algorithm} was taken for min_max_uniform_quantize`);
  const block = blockOf(weights);
  if (block > 0 && !knownBlocks.has(block))
    notes.push(`blocks of ${block} weights were taken for one scale per output channel`);
  return notes;
}
