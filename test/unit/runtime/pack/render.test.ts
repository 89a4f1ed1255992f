/** What becomes of an `exec` in a pvrexport: liblxc takes its command apart at spaces, and knows no quotes. */
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { renderConfiguration, renderScript } from '../../../../src/runtime/pack/render.js';

const commandOf = (exec: readonly string[]) => {
  const text = renderConfiguration({ name: 'web', run: { exec: [...exec] }, args: {} });
  return /^lxc\.init\.cmd = (.*)$/m.exec(text ?? '')?.[1];
};

describe('the exec of a container', () => {
  test('is the command of lxc where its words can stand in it', () => {
    expect(commandOf(['node', '/app/x.mjs', "a='b'"])).toBe("node /app/x.mjs a='b'");
    expect(renderScript({ exec: ['node', '/app/x.mjs'] })).toBeNull();
    expect(renderScript({})).toBeNull();
  });

  test.each([
    [['sh', '-c', 'mkdir /run/a; exec b']],
    [['sh', '-c', `echo "it's"\n\\ $HOME`]],
    [['node', '-e', '']],
    [["'quoted'", 'b']],
    [['a program', 'b']],
  ])('is a script where they can’t, and that has the same words: %j', (words) => {
    expect(commandOf(words)).toBe('/bin/sh /etc/pv/exec');
    const script = renderScript({ exec: words });
    const said = script?.replace(/^exec /, "printf '%s\\0' ") as string;
    const seen = execFileSync('sh', ['-c', said], { encoding: 'utf8' });
    expect(seen.split('\0').slice(0, -1)).toEqual(words);
  });
});
