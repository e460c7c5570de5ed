import type { Session, TensorInfo } from '../runner.ts';

interface Pairing {
  /** For each output of the reference, the place of the model's output that answers to it. */
  readonly places: readonly (number | undefined)[];
  readonly notes: readonly string[];
}

/**
 * Outputs with the same name belong together; of the others, those at the same place among them, and a note says so,
 * because nothing but the order speaks for it.
 */
export function pairOutputs(model: readonly TensorInfo[], reference: readonly TensorInfo[]): Pairing {
  const named = reference.map(({ name }) => model.findIndex((each) => each.name === name));
  const left = model.flatMap((_, place) => (named.includes(place) ? [] : [place]));
  const renamed: string[] = [];
  const alone: string[] = [];
  const places = named.map((place, at) => {
    if (place >= 0) return place;
    const name = reference[at]?.name ?? '';
    const next = left.shift();
    if (next === undefined) alone.push(name);
    else renamed.push(`${model[next]?.name} with ${name}`);
    return next;
  });
  const notes = [
    ...(renamed.length > 0
      ? [`outputs are paired by their place, not by their names: ${renamed.join(', ')}`]
      : []),
    ...(alone.length > 0 ? [`outputs of the reference without a counterpart: ${alone.join(', ')}`] : []),
  ];
  return { places, notes };
}

/** Codes mean the same on both sides where only one file says what they mean. */
export function withSharedScales(
  own: readonly TensorInfo[],
  other: readonly TensorInfo[],
  places: readonly (number | undefined)[],
): readonly TensorInfo[] {
  return own.map((info, at) => {
    const match = other[places[at] ?? -1];
    const missing = info.quantization === undefined && match?.dtype === info.dtype;
    return missing && match.quantization !== undefined ? { ...info, quantization: match.quantization } : info;
  });
}

/** States that a model hands out to be fed in again: inputs that the other model lacks, with an output `…_next`. */
export function statesOf(session: Session, other: Session): readonly string[] {
  const { inputs, outputs } = session.info;
  return inputs
    .filter(({ name, dtype, dims }) => {
      const next = outputs.find((each) => each.name === `${name}_next`);
      return (
        next?.dtype === dtype &&
        next.dims.length === dims.length &&
        dims.every((dim, axis) => dim > 0 && dim === next.dims[axis]) &&
        !other.info.inputs.some((each) => each.name === name)
      );
    })
    .map(({ name }) => name);
}
