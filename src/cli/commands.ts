import type { Command } from 'commander';
import { addApplyCommand } from './commands/apply.ts';
import { addAuditCommand } from './commands/audit.ts';
import { addBenchCommand } from './commands/bench.ts';
import { addCheckCommand } from './commands/check.ts';
import { addConvertCommand } from './commands/convert.ts';
import { addDiffCommand } from './commands/diff.ts';
import { addEstimateCommand } from './commands/estimate.ts';
import { addEvalCommand } from './commands/eval.ts';
import { addExportCommand } from './commands/export.ts';
import { addInspectCommand } from './commands/inspect.ts';
import { addListCommands } from './commands/list.ts';
import { addMcpCommand } from './commands/mcp.ts';
import { addMixedCommand } from './commands/mixed.ts';
import { addOptimizeCommand } from './commands/optimize.ts';
import { addPrintCommand } from './commands/print.ts';
import { addSensitivityCommand } from './commands/sensitivity.ts';
import { addWeightsCommand } from './commands/weights.ts';
import type { Session } from './session.ts';

/** All commands of `kerf`, in the order of its help. Their JSON is a contract: fields may join, none goes. */
export function addCommands(program: Command, session: Session): void {
  addInspectCommand(program, session);
  addPrintCommand(program, session);
  addListCommands(program, session);
  addEstimateCommand(program, session);
  addDiffCommand(program, session);
  addCheckCommand(program, session);
  addAuditCommand(program, session);
  addApplyCommand(program, session);
  addOptimizeCommand(program, session);
  addConvertCommand(program, session);
  addExportCommand(program, session);
  addEvalCommand(program, session);
  addBenchCommand(program, session);
  addMcpCommand(program, session);
  addSensitivityCommand(program, session);
  addMixedCommand(program, session);
  addWeightsCommand(program, session);
}
