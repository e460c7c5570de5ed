import type { NodeId } from '../../ir/model.ts';
import { KerfError } from '../../ir/errors.ts';
import { multiplyLayerOf } from '../../passes/support/denseLayer.ts';
import type { Calibrator } from '../../passes/pass.ts';
import { localSqnr } from '../../optimize/sensitivity/proxy.ts';
import type { WeightFigures } from '../../optimize/sensitivity/proxy.ts';
import type { JobContext } from '../context.ts';
import type { Subject } from './subject.ts';

/** What is known of a layer without running what lies behind it. */
export interface Proxy extends Partial<WeightFigures> {
  readonly localSqnrDb?: number | null;
}

export interface Proxies {
  readonly layers: ReadonlyMap<NodeId, Proxy>;
  readonly refused: ReadonlyMap<NodeId, string>;
}

/** Gram matrices held at once. */
const gramBytes = 128 * 2 ** 20;

/** Statistics of the weights before and after, and with a calibrator the errors of the layers' own outputs. */
export async function proxiesOf(
  subject: Subject,
  calibrator: Calibrator | undefined,
  job: JobContext,
): Promise<Proxies> {
  const layers = new Map<NodeId, Proxy>();
  const refused = new Map<NodeId, string>();
  const { model, targets } = subject;
  const groups = calibrator === undefined ? [targets.map(({ id }) => id)] : groupsOf(subject);
  for (const [index, group] of groups.entries()) {
    await job.step(index / groups.length, `weights ${index + 1} of ${groups.length}`);
    const moments = await calibrator?.moments(model, group);
    for (const id of group) {
      try {
        const changed = await subject.change([id]);
        const { original, figures } = subject.originalOf(changed, id);
        const own = moments?.get(id);
        const localSqnrDb = own && localSqnr(original, changed, id, own);
        layers.set(id, {
          ...figures,
          ...(localSqnrDb !== undefined && { localSqnrDb }),
        });
      } catch (error) {
        if (!KerfError.is(error) || error.reason === 'cancelled') throw error;
        refused.set(id, error.message);
      }
    }
  }
  return { layers, refused };
}

function groupsOf({ model, targets }: Subject): readonly (readonly NodeId[])[] {
  const groups: NodeId[][] = [];
  let room = 0;
  for (const node of targets) {
    const layer = multiplyLayerOf(model, node);
    const bytes = layer === undefined ? 0 : 8 * layer.groups * layer.inputs ** 2;
    if (groups.length === 0 || bytes > room) {
      groups.push([]);
      room = gramBytes;
    }
    groups.at(-1)?.push(node.id);
    room -= bytes;
  }
  return groups;
}
