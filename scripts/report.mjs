/** A reporter of vitest that prints nothing: it writes JSON to the file that PVX_REPORT names, which test.mjs reads. */
import { writeFileSync } from 'node:fs';
import { JsonReporter } from 'vitest/node';

export default class Report extends JsonReporter {
  async writeReport(report) {
    writeFileSync(process.env.PVX_REPORT, report);
  }
}
