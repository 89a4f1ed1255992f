/** The program pventer. */
import { pventer } from './pventer.js';

process.exitCode = await pventer(process.argv.slice(2));
