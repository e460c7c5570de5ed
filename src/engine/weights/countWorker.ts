import { parentPort } from 'node:worker_threads';
import { counted } from '../../analysis/weightSurvey.ts';
import type { FileBytes } from '../../formats/io/openFile.ts';
import { openFile } from '../../formats/io/openFile.ts';
import { KerfError } from '../../ir/errors.ts';
import { wireError } from '../wireError.ts';
import type { CountAnswer, CountRequest } from './countPool.ts';

/** Entry of a counting thread: runs of files come in, what was counted goes out. */
let last: FileBytes | undefined;

parentPort?.on('message', (request: CountRequest) => {
  const answer = answerTo(request);
  const buffers =
    'made' in answer && 'table' in answer.made ? [answer.made.table.buffer, answer.made.samples.buffer] : [];
  parentPort?.postMessage(answer, buffers as ArrayBuffer[]);
});

function answerTo({ file, stamp, start, length, task }: CountRequest): CountAnswer {
  try {
    if (last?.path !== file || last.stamp !== stamp) last = openFile(file);
    if (last.stamp !== stamp)
      throw new KerfError('io', 'the file has changed on disk since it was opened', { file });
    return { made: counted({ ...task, data: last.slice(start, length) }) };
  } catch (error) {
    return { error: wireError(error) };
  }
}
