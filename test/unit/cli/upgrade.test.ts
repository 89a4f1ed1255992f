/** `pv-xconnect upgrade` against a control socket whose daemon does what the test says. */
import { describe, expect, it } from 'vitest';
import { upgradeCommand } from '../../../src/cli/upgrade.js';
import { eventually } from '../../support/wait.js';
import { Control } from '../status/control.js';
import { Paper } from './paper.js';

async function run(control: string, installed = '0.1.1') {
  const [stdout, stderr] = [new Paper(), new Paper()];
  const code = await upgradeCommand({ control, installed }, { stdout, stderr });
  return { code, out: stdout.text, err: stderr.text };
}

const asked = ({ replaceable }: Control) => eventually(() => expect(replaceable.asked).toBe(1));

describe('pv-xconnect upgrade', () => {
  it('waits until another daemon answers, and says which version that is', async () => {
    const control = await Control.start();
    const running = run(control.path);
    await asked(control);
    Object.assign(control.replaceable, { version: '0.1.1', incarnation: 2 });
    expect(await running).toEqual({ code: 0, out: 'upgraded from 0.1.0 to 0.1.1\n', err: '' });
  });

  it('says why the new version was given up', async () => {
    const control = await Control.start();
    const running = run(control.path);
    await asked(control);
    control.replaceable.state = { error: 'its relay ended (exit code 3).' };
    expect(await running).toEqual({
      code: 1,
      out: '',
      err: 'pv-xconnect: 0.1.0 goes on: its relay ended (exit code 3).\n',
    });
  });

  it('says why there can be none now', async () => {
    const control = await Control.start();
    control.replaceable.obstacle = 'An upgrade is under way: wait until it is over.';
    const { code, err } = await run(control.path);
    expect([code, err]).toEqual([1, `pv-xconnect: ${control.replaceable.obstacle}\n`]);
    expect(control.replaceable.asked).toBe(0);
  });

  it('does not take a daemon that was started anew for the version that is installed', async () => {
    const control = await Control.start();
    const running = run(control.path);
    await asked(control);
    control.replaceable.incarnation = 2;
    const { code, err } = await running;
    expect([code, err]).toEqual([
      1,
      'pv-xconnect: The daemon was started anew as 0.1.0, 0.1.1 was expected: look at its log.\n',
    ]);
  });

  it('says what to do where no daemon listens', async () => {
    const { code, err } = await run('/nowhere/control.sock');
    expect([code, err]).toEqual([1, expect.stringContaining('start pv-xconnect')]);
  });
});
