import type { Command } from 'commander';
import { serve } from '../mcp/rpc.ts';
import { mcpHandlers } from '../mcp/server.ts';
import type { Session } from '../session.ts';

/** `kerf mcp`: the same work for an agent, over the Model Context Protocol's stdio transport. */
export function addMcpCommand(program: Command, session: Session): void {
  program
    .command('mcp')
    .description('serve inspect, check, apply, benchmark, compare and optimize to an agent (MCP over stdio)')
    .action(() => serve(process.stdin, process.stdout, mcpHandlers(session)));
}
