import type { Graph, NodeId } from '../../ir/model.ts';
import type { Damage } from '../../ir/errors.ts';
import type { ExternalResolver } from './readTensor.ts';
import type { WireReader } from './wire.ts';

/** State shared by everything read from one file. */
export interface ReadContext {
  readonly resolve: ExternalResolver;
  readonly damage: Damage[];
  readonly nodeIds: Set<NodeId>;
  /** Reads a `GraphProto`: attributes hold graphs, whose nodes hold attributes. */
  graph(reader: WireReader, end: number, place: string): Graph;
}
