/** Why an operation failed; code branches on the reason, people read the message. */
export type ErrorReason =
  | 'not-a-model'
  | 'truncated'
  | 'malformed'
  | 'missing-weights'
  | 'unsafe-path'
  | 'unsupported'
  | 'bad-option'
  | 'bad-dataset'
  | 'not-found'
  | 'io'
  | 'runtime-refused'
  | 'runtime-crashed'
  | 'cancelled'
  | 'internal';

/** An error that names the file, the place in it and the reason. */
export class KerfError extends Error {
  readonly reason: ErrorReason;
  readonly file?: string;
  readonly place?: string;

  constructor(reason: ErrorReason, message: string, where: { file?: string; place?: string } = {}) {
    super(message);
    this.name = 'KerfError';
    this.reason = reason;
    if (where.file !== undefined) this.file = where.file;
    if (where.place !== undefined) this.place = where.place;
  }

  static is(error: unknown, reason?: ErrorReason): error is KerfError {
    return error instanceof KerfError && (reason === undefined || error.reason === reason);
  }

  /** One line: `file: place: message`. */
  get line(): string {
    return [this.file, this.place, this.message]
      .filter((part) => part !== undefined && part !== '')
      .join(': ');
  }
}

/** Damage found while reading: the rest of the model is still there. */
export interface Damage {
  readonly severity: 'error' | 'warning';
  /** Where in the file or the graph, for example `graph.node[12]` or `buffer 7`. */
  readonly place: string;
  readonly message: string;
}
