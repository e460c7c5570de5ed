import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SharedWeights } from '../../formats/io/models.ts';
import { writeScratchModel } from '../../formats/io/models.ts';
import type { Model, Node, ValueId } from '../../ir/model.ts';
import { submodel } from '../../optimize/sensitivity/submodel.ts';
import type { Runner, Session } from '../../runtime/runner.ts';

/** A part of a model that a runtime has loaded. */
export interface Part {
  readonly session: Session;
  readonly feeds: readonly ValueId[];
  readonly outputs: readonly ValueId[];
  readonly nodes: readonly Node[];
  close(): Promise<void>;
}

export interface Opening {
  readonly runner: Runner;
  readonly folder: string;
  readonly anyBatch: boolean;
  /** The weights of the original, in a file that parts refer to (ONNX). */
  readonly weights: SharedWeights | undefined;
}

/**
 * Sessions take turns, and the threads of the one that ran last wait busily for its next turn: with several threads each,
 * MobileNetV2 took three times the processor time.
 */
const threads = 1;

let lastPart = 0;

/** Loads what makes some values out of others; undefined when nothing has to be made. */
export async function openPart(
  model: Model,
  ends: { readonly inputs: readonly ValueId[]; readonly outputs: readonly ValueId[] },
  { runner, folder, anyBatch, weights }: Opening,
): Promise<Part | undefined> {
  const part = submodel(model, new Set(ends.inputs), [...new Set(ends.outputs)], anyBatch);
  if (part.outputs.length === 0) return undefined;
  lastPart += 1;
  const file = join(folder, `part${lastPart}.${model.dialect}`);
  await writeScratchModel(part.model, file, weights);
  const session = await runner.open(file, { threads });
  return {
    session,
    feeds: part.feeds,
    outputs: part.outputs,
    nodes: part.nodes,
    async close() {
      await session.close();
      await rm(file, { force: true });
      await rm(`${file}.data`, { force: true });
    },
  };
}
