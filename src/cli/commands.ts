import type { Command } from 'commander';
import { addAuditCommand } from './commands/audit.ts';
import { addChangeCommands } from './commands/change.ts';
import { addCheckCommand } from './commands/check.ts';
import { addLookCommands } from './commands/look.ts';
import { addMcpCommand } from './commands/mcp.ts';
import { addMeasureCommands } from './commands/measure.ts';
import { addMixedCommand } from './commands/mixed.ts';
import { addSensitivityCommand } from './commands/sensitivity.ts';
import { addWeightsCommand } from './commands/weights.ts';
import type { Session } from './session.ts';

/** All commands of `kerf`; their JSON is a contract (DESIGN §6). */
export function addCommands(program: Command, session: Session): void {
  addLookCommands(program, session);
  addCheckCommand(program, session);
  addAuditCommand(program, session);
  addChangeCommands(program, session);
  addMeasureCommands(program, session);
  addMcpCommand(program, session);
  addSensitivityCommand(program, session);
  addMixedCommand(program, session);
  addWeightsCommand(program, session);
}
