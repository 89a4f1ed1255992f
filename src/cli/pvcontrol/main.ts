/** The program pvcontrol. */
import { StandardOutput } from '../../kernel/standard-output.js';
import { pvcontrol } from './pvcontrol.js';

const output = new StandardOutput('pvcontrol');
const { stdin, stdout, stderr } = process;
process.exitCode = await output.settle(
  await pvcontrol(process.argv.slice(2), { stdin, stdout, stderr }),
);
// Standard input that nobody has read to its end would keep this process.
stdin.destroy();
