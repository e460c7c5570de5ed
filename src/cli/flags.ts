import { keyValue } from './arguments.ts';

/** Flags that many commands take. */
export interface Json {
  readonly json?: boolean;
}

export interface Bind {
  readonly bind?: Record<string, string>;
}

export const jsonFlag = ['--json', 'print one JSON document on stdout'] as const;
export const bindFlag = ['--bind <name=n>', 'bind a free dimension', keyValue] as const;
