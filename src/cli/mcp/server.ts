import type { CallOptions } from '../../engine/protocol.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Session } from '../session.ts';
import type { Handlers, Params, Peer } from './rpc.ts';
import { isRecord, RpcError, rpcCodes } from './rpc.ts';
import type { Confirm } from './tools.ts';
import { Input, tools } from './tools.ts';

/** Versions of the Model Context Protocol that this server speaks, newest first. */
const versions = ['2025-06-18', '2025-03-26', '2024-11-05'];

const instructions =
  'Kerf looks at ONNX and TFLite models, says what hurts on a device, applies passes and measures. Models are never changed in place: apply and optimize write new files.';

/** The server's side of the protocol: a handshake, the list of tools, and their calls. */
export function mcpHandlers(session: Session): Handlers {
  let canAsk = false;
  return {
    notification: () => undefined,
    async request(method, params, signal, peer) {
      switch (method) {
        case 'initialize': {
          const { protocolVersion, capabilities } = params;
          canAsk = isRecord(capabilities) && 'elicitation' in capabilities;
          return {
            protocolVersion: versions.find((each) => each === protocolVersion) ?? versions[0],
            capabilities: { tools: {} },
            serverInfo: { name: 'kerf', title: 'Kerf', version: KERF_VERSION },
            instructions,
          };
        }
        case 'ping':
          return {};
        case 'tools/list':
          return { tools: tools.map(declared) };
        case 'tools/call':
          return callTool(session, params, signal, peer, canAsk ? confirmThrough(peer) : agreed);
        default:
          throw new RpcError(rpcCodes.unknownMethod, `there is no method '${method}'`);
      }
    },
  };
}

function declared({
  name,
  title,
  description,
  writes,
  properties,
  required,
}: (typeof tools)[number]): object {
  return {
    name,
    title,
    description,
    inputSchema: { type: 'object', properties, required, additionalProperties: false },
    annotations: { title, readOnlyHint: !writes, destructiveHint: false, openWorldHint: false },
  };
}

/** Clients ask before they call a tool that is not read-only; those that can be asked are asked for the file as well. */
const agreed: Confirm = () => Promise.resolve(true);

function confirmThrough(peer: Peer): Confirm {
  return async (message) => {
    const answer = await peer.request('elicitation/create', {
      message,
      requestedSchema: { type: 'object', properties: {} },
    });
    return isRecord(answer) && answer['action'] === 'accept';
  };
}

async function callTool(
  session: Session,
  params: Params,
  signal: AbortSignal,
  peer: Peer,
  confirm: Confirm,
): Promise<object> {
  const tool = tools.find(({ name }) => name === params['name']);
  if (tool === undefined)
    throw new RpcError(rpcCodes.badParams, `there is no tool '${String(params['name'])}'`);
  const input = new Input(isRecord(params['arguments']) ? params['arguments'] : {});
  try {
    const result = await tool.run(input, session, callOptions(params, signal, peer), confirm);
    return { content: [{ type: 'text', text: JSON.stringify(result) }], structuredContent: result };
  } catch (error) {
    // A failure is an answer too: the model reads why and tries something else.
    const message = KerfError.is(error) ? error.line : error instanceof Error ? error.message : String(error);
    return { content: [{ type: 'text', text: message }], isError: true };
  }
}

function callOptions({ _meta }: Params, signal: AbortSignal, peer: Peer): CallOptions {
  const token = isRecord(_meta) ? _meta['progressToken'] : undefined;
  if (token === undefined) return { signal };
  let reported = -1;
  return {
    signal,
    onProgress(fraction, message) {
      // Progress must grow.
      if (fraction <= reported) return;
      reported = fraction;
      peer.notify('notifications/progress', { progressToken: token, progress: fraction, total: 1, message });
    },
  };
}
