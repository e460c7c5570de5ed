import { createInterface } from 'node:readline';

/** JSON-RPC 2.0 over lines of stdin and stdout, as the Model Context Protocol's stdio transport has it. */

export type Params = Readonly<Record<string, unknown>>;

/** An error with a JSON-RPC code. */
export class RpcError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export const rpcCodes = { parse: -32700, invalid: -32600, unknownMethod: -32601, badParams: -32602 } as const;

export interface Peer {
  notify(method: string, params: Params): void;
  request(method: string, params: Params): Promise<unknown>;
}

export interface Handlers {
  /** Answers a request; `signal` fires when the client cancels it. */
  request(method: string, params: Params, signal: AbortSignal, peer: Peer): Promise<unknown>;
  notification(method: string, params: Params): void;
}

interface Message {
  readonly id?: unknown;
  readonly method?: unknown;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
}

/** Serves until the input ends. */
export async function serve(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  handlers: Handlers,
): Promise<void> {
  const send = (message: object): void =>
    void output.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const running = new Map<unknown, AbortController>();
  const waiting = new Map<unknown, { resolve(result: unknown): void; reject(error: Error): void }>();
  let asked = 0;
  const peer: Peer = {
    notify: (method, params) => send({ method, params }),
    request(method, params) {
      const id = `kerf-${++asked}`;
      send({ id, method, params });
      return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
    },
  };
  const answer = async (id: unknown, method: string, params: Params): Promise<void> => {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      send({ id, result: await handlers.request(method, params, controller.signal, peer) });
    } catch (error) {
      const code = error instanceof RpcError ? error.code : -32603;
      send({ id, error: { code, message: error instanceof Error ? error.message : String(error) } });
    } finally {
      running.delete(id);
    }
  };
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    if (line.trim() === '') continue;
    const message = parsed(line);
    if (message === undefined) send({ id: null, error: { code: rpcCodes.parse, message: 'not JSON' } });
    else if (typeof message.method !== 'string') settle(message, waiting);
    else {
      const params = isRecord(message.params) ? message.params : {};
      if (message.id !== undefined) void answer(message.id, message.method, params);
      else if (message.method === 'notifications/cancelled') running.get(params['requestId'])?.abort();
      else handlers.notification(message.method, params);
    }
  }
  for (const controller of running.values()) controller.abort();
}

function settle(
  { id, result, error }: Message,
  waiting: Map<unknown, { resolve(result: unknown): void; reject(error: Error): void }>,
): void {
  const open = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) open?.resolve(result);
  else open?.reject(new Error(isRecord(error) ? String(error['message']) : 'the client refused'));
}

function parsed(line: string): Message | undefined {
  try {
    const message: unknown = JSON.parse(line);
    return isRecord(message) ? message : undefined;
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
