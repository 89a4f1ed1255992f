import { describe, expect, it } from 'vitest';
import { nearest } from '../../../src/kernel/nearest.js';

describe('the nearest known name', () => {
  it.each([
    ['alow', ['name', 'allow'], 'allow'],
    ['requried', ['required', 'optional'], 'required'],
    ['allowFrom', ['allow_from'], 'allow_from'],
    ['ALLOW-FROM', ['allow_from'], 'allow_from'],
    ['rwa', ['raw'], 'raw'],
    ['rol', ['role'], 'role'],
    ['sokcte', ['socket'], 'socket'],
  ])('of %s among %j is %s', (word, known, meant) => {
    expect(nearest(word, known)).toBe(meant);
  });

  it.each([
    ['future', ['fds', 'role']],
    ['x', ['a', 'ab']],
    ['path', ['match']],
    ['', ['a']],
    ['x'.repeat(65), ['x'.repeat(64)]],
    ['sokct', ['rules']],
  ])('of %s among %j is none', (word, known) => {
    expect(nearest(word, known)).toBeUndefined();
  });

  it('is the first of those that are equally near, the nearest before', () => {
    expect(nearest('rat', ['raw', 'ram'])).toBe('raw');
    expect(nearest('server', ['servers2', 'serve', 'server-'])).toBe('server-');
  });

  it('is looked for no further than a bound', () => {
    const many = Array.from({ length: 5_000 }, (_, at) => `${'x'.repeat(55)}${at}`);
    expect(nearest('role', [...many, 'role'])).toBeUndefined();
  });
});
